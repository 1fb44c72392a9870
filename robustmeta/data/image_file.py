"""One image from a file or from memory: upright, on white, in grey or colours, cut to a square and resized."""

from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageOps

from robustmeta.errors import RobustMetaError


def read_image(file: Path | BinaryIO, what: str, size: int | None, channels: int) -> Image.Image:
    """One image in L or RGB, turned upright as it says, laid on white where transparent, and `squared` to a size.

    Raises `RobustMetaError`, with `what` it is, for an image that cannot be read or has more than 8 bits.
    """
    try:
        with Image.open(file) as opened:
            image = ImageOps.exif_transpose(opened)
            image.load()
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise RobustMetaError(f"cannot read the image {what} ({error}); repair or remove it") from error
    if image.mode[0] in "IF":
        raise RobustMetaError(f"{what} has more than 8 bits a pixel (mode {image.mode}); convert it to 8")
    if "transparency" in image.info or image.mode in ("LA", "PA", "RGBA"):
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return squared(image.convert("L" if channels == 1 else "RGB"), size)


def squared(image: Image.Image, size: int | None) -> Image.Image:
    """The largest centred square of an image, resized (Lanczos) to sides of `size`; without a size the image itself."""
    if size is None or image.size == (size, size):
        return image
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.LANCZOS)

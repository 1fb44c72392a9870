"""A folder of images of one's own: a folder a class, with or without folders of the splits above them."""

import os
from dataclasses import replace
from pathlib import Path

from robustmeta.data.classes import ImageClasses
from robustmeta.data.datasets import DATASETS, SPLITS
from robustmeta.data.grouping import SHARES, grouped, shared_out
from robustmeta.data.image_file import read_image
from robustmeta.data.pixels import Stack, image_bytes
from robustmeta.errors import RobustMetaError

#: What the names of image files end in, in small letters or capitals; other files are passed over.
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm")


@DATASETS.register("folder", collection="folder")
def folder(
    split: str,
    root: Path,
    path: str = "",
    size: int | None = None,
    channels: int = 3,
    shares: tuple[float, ...] | None = None,
) -> ImageClasses:
    """Images of your own: `PATH/CLASS/*.png`, or `PATH/{train,val,test}/CLASS/*.png`, as uint8 `[M, C, H, W]`.

    path: the folder, looked for under `root` (`--data-root`, `$ROBUSTMETA_DATA`), then from the current folder; by
    default `root` itself. size: of the images' sides, for which the largest centred square is taken and resized
    (Lanczos); None for images that are all of one shape. channels: 1, grey, or 3, colours. Transparent images are laid
    on white, and photographs turned upright as they say.
    shares: of the classes that train, val and test take where no folders of these names divide them, by default
    0.64, 0.16 and 0.2: classes are put in the order of the SHA-256 of their names and cut at these shares, so that
    whose they are hangs on the names of all of them: a class that comes or goes may move others to another split.
    Classes and files are in the order of their names; hidden ones, and files that do not end in .png, .jpg or the
    like, are passed over, as is `__MACOSX`. A process reads the images once: start it anew when they change.

    Raises `RobustMetaError` for a folder that is not there or not so laid out, as with splits of other names beside
    these, a class in two splits or without images,
    an image that cannot be read or has more than 8 bits, and images of several shapes without a `size`.
    """
    if channels not in (1, 3) or (size is not None and size < 1):
        raise RobustMetaError(f"channels is {channels} and size {size}; the one must be 1 or 3, the other 1 or more")
    where = _found(root, path)
    classes = _classes(where, split, shares)
    files = {name: image_files(at) for name, at in classes.items()}
    stack = Stack(sum(map(len, files.values())), "set size, to which all are resized")
    labels = [name for name, paths in files.items() for _ in paths]
    for row, file in enumerate(file for paths in files.values() for file in paths):
        stack.put(row, image_bytes(read_image(file, str(file), size, channels), str(file)), str(file))
    made = grouped(f"folder/{split}", stack.images, labels)
    return replace(made, known_as=tuple(str(classes[name].resolve()) for name in made.labels))


def _found(root: Path, path: str) -> Path:
    places = [root / Path(path).expanduser(), *([Path(path).expanduser()] if path else [])]
    found = next((place for place in places if place.is_dir()), None)
    if found is None:
        looked = " or ".join(dict.fromkeys(map(str, places)))
        raise RobustMetaError(f"there is no folder {looked}; give the folder of your images as path")
    return found


def _classes(where: Path, split: str, shares: tuple[float, ...] | None) -> dict[str, Path]:
    """The folder of each class of a split, by its name."""
    inside = subfolders(where)
    if inside and set(inside) <= set(SPLITS):
        if shares is not None:
            raise RobustMetaError(f"{where} is divided into {', '.join(inside)} already; leave out shares")
        if split not in inside:
            raise RobustMetaError(f"{where} has the folders {', '.join(inside)}, but not {split!r}; add it")
        classes = {name: subfolders(at) for name, at in inside.items()}
        for other in set(inside) - {split}:
            if twice := sorted(set(classes[split]) & set(classes[other])):
                raise RobustMetaError(
                    f"{where} has the class {twice[0]!r} in both {split} and {other}; few-shot splits share no class"
                )
        inside = classes[split]
    elif any(name.lower() in SPLITS and _divides(at) for name, at in inside.items()):
        others = ", ".join(repr(name) for name in inside if name not in SPLITS)
        raise RobustMetaError(
            f"{where} is divided into splits, and split folders are {', '.join(SPLITS)}; here also {others}: rename or "
            "move it"
        )
    elif inside:
        kept = shared_out(list(inside), split, SHARES if shares is None else shares)
        inside = {name: inside[name] for name in kept}
    if not inside:
        raise RobustMetaError(f"{where} has no classes for {split!r}; each class is a folder of its images")
    return inside


def subfolders(where: Path) -> dict[str, Path]:
    """The folders in a folder by name, in the order of their names; hidden ones and `__MACOSX` are passed over."""
    found = sorted(where.iterdir(), key=lambda path: path.name)
    return {path.name: path for path in found if path.is_dir() and not path.name.startswith((".", "__MACOSX"))}


def _divides(where: Path) -> bool:
    """Whether a folder holds folders and no images, as that of a split does."""
    return bool(subfolders(where)) and not _image_names(where)


def _image_names(where: Path) -> list[str]:
    return sorted(name for name in os.listdir(where) if name.lower().endswith(SUFFIXES) and not name.startswith("."))


def image_files(where: Path) -> list[Path]:
    """The images of a class, in the order of their names; raises `RobustMetaError` where there is none."""
    names = _image_names(where)
    if not names:
        raise RobustMetaError(
            f"{where} holds no image; it must be a class, a folder of its images ({SUFFIXES[0]}, ...)"
        )
    return [where / name for name in names]

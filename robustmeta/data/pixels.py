"""Images in the forms that people have them in -> uint8, 0 to 255, channels first."""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from robustmeta.errors import RobustMetaError

#: An axis as short as this may be that of the channels, where only the shape can tell.
MOST_CHANNELS = 4


def as_bytes(pixels: Tensor, what: str) -> Tensor:
    """uint8 pixels as they are; floats in [0, 1] times 255, rounded to the nearest whole number.

    Raises `RobustMetaError`, beginning with `what` they are, for other types, values outside [0, 1] and NaN.
    """
    if pixels.dtype == torch.uint8:
        return pixels
    if not pixels.is_floating_point():
        raise RobustMetaError(f"{what} has pixels of type {pixels.dtype}; use uint8, 0 to 255, or floats in [0, 1]")
    low, high = pixels.detach().aminmax()
    if not (low >= 0 and high <= 1):  # also catches NaN, whose comparisons are false
        raise RobustMetaError(
            f"{what} has values from {low.item():.4g} to {high.item():.4g}; floats must lie in [0, 1], without NaN: "
            "leave out Normalize, or divide by 255"
        )
    return pixels.detach().float().mul(255).round().to(torch.uint8)


def image_bytes(image: object, what: str) -> Tensor:
    """One image as uint8 `[C, H, W]`.

    image: a tensor `[C, H, W]` or `[H, W]` or an array `[H, W, C]` or `[H, W]`, of uint8 or of floats in [0, 1], or an
    image of Pillow in mode 1, L or RGB. Raises `RobustMetaError`, beginning with `what` it is, for all else.
    """
    if isinstance(image, Image.Image):
        if image.mode not in ("1", "L", "RGB"):
            raise RobustMetaError(f"{what} has mode {image.mode!r}; call .convert('L') or .convert('RGB') on it")
        image = np.asarray(image.convert("L") if image.mode == "1" else image)
    if isinstance(image, np.ndarray):
        pixels, channels = tensor_of(image, what), -1
    elif isinstance(image, Tensor):
        pixels, channels = image.cpu(), 0
    else:
        raise RobustMetaError(f"{what} is a {type(image).__name__}; use a tensor, an array or an image of Pillow")
    pixels = pixels.unsqueeze(channels) if pixels.dim() == 2 else pixels
    if pixels.dim() != 3 or not pixels.numel():
        raise RobustMetaError(f"{what} has shape {list(image.shape)}; a tensor is [C, H, W], an array [H, W, C]")
    if pixels.shape[channels] > MOST_CHANNELS >= pixels.shape[-1 - channels]:
        read = "a tensor is read as [C, H, W]" if channels == 0 else "an array is read as [H, W, C]"
        raise RobustMetaError(f"{what} has shape {list(image.shape)}, but {read}; move its axes")
    return as_bytes(pixels.movedim(channels, 0), what)


def tensor_of(array: NDArray[np.generic], what: str) -> Tensor:
    """The tensor of an array; raises `RobustMetaError`, beginning with `what` it is, for a type torch has not."""
    try:
        return torch.from_numpy(np.require(array, requirements=["C", "W"]))
    except TypeError:
        raise RobustMetaError(
            f"{what} has pixels of type {array.dtype}; use uint8, 0 to 255, or floats in [0, 1]"
        ) from None


class Stack:
    """Images `[C, H, W]` of one shape, one below another in a uint8 tensor that is made when the first is known."""

    def __init__(self, number: int, remedy: str) -> None:
        self._number, self._remedy, self._first = number, remedy, ""
        self.images = torch.empty(0)

    def put(self, row: int, image: Tensor, what: str) -> None:
        """Put an image at `row`; raises `RobustMetaError`, beginning with `what` it is, if its shape is another."""
        if not self._first:
            self._first, self.images = what, torch.empty(self._number, *image.shape, dtype=torch.uint8)
        if image.shape != self.images.shape[1:]:
            shapes = [list(shape) for shape in (image.shape, self.images.shape[1:])]
            raise RobustMetaError(f"{what} is {shapes[0]}, {self._first} is {shapes[1]} ([C, H, W]); {self._remedy}")
        self.images[row] = image

"""Few-shot classes from arrays: images and labels that are in memory."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from robustmeta.data.classes import ImageClasses
from robustmeta.data.grouping import grouped, label_of
from robustmeta.data.pixels import MOST_CHANNELS, as_bytes, tensor_of
from robustmeta.errors import RobustMetaError

Images = Tensor | NDArray[Any]
Labels = Tensor | NDArray[Any] | Sequence[int] | Sequence[str]


def from_arrays(images: Images, labels: Labels, name: str = "arrays/all") -> ImageClasses:
    """Images grouped by label.

    images: a tensor or array `[M, H, W]`, `[M, C, H, W]` or `[M, H, W, C]`, of uint8, or of floats in [0, 1], which are
    rounded to the nearest of the 256 levels of uint8. Of four axes that of the channels is the one, second or last,
    that has at most 4 entries. labels: M whole numbers or texts. name: data set and split, as `mine/train`.
    Classes are in the order of their numbers or of the alphabet, the images of a class as they came.

    Raises `RobustMetaError` for no images, another type or shape, a shape that both readings fit, values outside
    [0, 1] (as after Normalize), and labels that are no list, or of another number or type.
    """
    if isinstance(images, np.ndarray):
        images = tensor_of(images, "images")
    if not isinstance(images, Tensor):
        raise RobustMetaError(f"images is a {type(images).__name__}; use one tensor or array of them all")
    if not images.numel():
        raise RobustMetaError(f"images has shape {list(images.shape)}; there must be one or more")
    pixels = as_bytes(_channels_first(images.cpu()), "images")
    if not hasattr(labels, "__len__") or getattr(labels, "shape", None) == ():
        raise RobustMetaError(f"labels is {labels!r}; it must be a list, array or tensor of them, one an image")
    if len(labels) != len(pixels):
        raise RobustMetaError(f"there are {len(pixels)} images and {len(labels)} labels; give one label an image")
    return grouped(name, pixels, [label_of(label, f"image {index}") for index, label in enumerate(labels)])


def _channels_first(images: Tensor) -> Tensor:
    """Images `[M, C, H, W]`, whichever of its axes was that of the channels."""
    if images.dim() == 3:
        return images[:, None]
    shape = list(images.shape)
    first, last = (images.dim() == 4 and 1 <= shape[axis] <= MOST_CHANNELS for axis in (1, -1))
    if first and last:
        raise RobustMetaError(
            f"images has shape {shape}: [M, C, H, W] with {shape[1]} channels, or [M, H, W, C] with {shape[3]}; say "
            "which by torch.utils.data.TensorDataset(images, labels), whose images are [C, H, W]"
        )
    if not first and not last:
        raise RobustMetaError(
            f"images has shape {shape}; it must be [M, H, W], or [M, C, H, W] or [M, H, W, C] with at most "
            f"{MOST_CHANNELS} channels (an ImageClasses takes more)"
        )
    return images if first else images.permute(0, 3, 1, 2)

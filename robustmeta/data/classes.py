"""What every data set is once loaded: images of one split, grouped by class, in one tensor."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from robustmeta.errors import RobustMetaError


@dataclass(frozen=True, eq=False)
class ImageClasses:
    """The images of one split of a data set.

    name: data set and split, as `omniglot/test`.
    images: uint8 `[M, C, H, W]`, 0 to 255, the images of a class next to each other.
    counts: how many images each class has, in the order of `images`; sums to M.
    labels: the name of each class, in the same order.
    known_as: what each class is called in the collection that it is taken from, as `cifar-100/otter`, by which the
    classes of two data sets are told to be the same; empty, or of empty texts, where that is not known.

    Raises `RobustMetaError` for images of another type or shape, and counts, labels or known_as that do not fit them.
    """

    name: str
    images: Tensor
    counts: tuple[int, ...]
    labels: tuple[str, ...]
    known_as: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.dim() != 4:
            raise RobustMetaError(
                f"the images of {self.name} are {self.images.dtype} {list(self.images.shape)}; they must be uint8 "
                "[M, C, H, W], 0 to 255"
            )
        if sum(self.counts) != len(self.images) or len(self.counts) != len(self.labels) or min(self.counts) < 1:
            raise RobustMetaError(
                f"{self.name} has {len(self.images)} images, counts of {len(self.counts)} classes that sum to "
                f"{sum(self.counts)}, and {len(self.labels)} labels; they must agree, with an image or more a class"
            )
        if len(self.known_as) not in (0, len(self.labels)):
            raise RobustMetaError(f"{self.name} has {len(self.labels)} labels and is known as {len(self.known_as)}")

    @cached_property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that change with any pixel, and with the class of any image."""
        seen = hashlib.sha256(repr((tuple(self.images.shape), self.counts, self.labels)).encode())
        seen.update(np.ascontiguousarray(self.images.cpu().numpy()).data)
        return seen.hexdigest()[:16]

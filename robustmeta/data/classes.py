"""What every data set is once loaded: images of one split, grouped by class, in one tensor."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class ImageClasses:
    """The images of one split of a data set.

    name: data set and split, as `omniglot/test`.
    images: uint8 `[M, C, H, W]`, 0 to 255, the images of a class next to each other.
    counts: how many images each class has, in the order of `images`; sums to M.
    labels: the name of each class, in the same order.
    """

    name: str
    images: Tensor
    counts: tuple[int, ...]
    labels: tuple[str, ...]

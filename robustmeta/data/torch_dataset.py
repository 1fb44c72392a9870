"""Few-shot classes from a map-style data set of PyTorch, or anything indexed like one."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from torch.utils.data import DataLoader, IterableDataset

from robustmeta.data.classes import ImageClasses
from robustmeta.data.grouping import grouped, label_of
from robustmeta.data.pixels import Stack, image_bytes
from robustmeta.errors import RobustMetaError


@runtime_checkable
class Pairs(Protocol):
    """What has a length and an (image, label) at each index, as a map-style `torch.utils.data.Dataset` or a list."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def __getitem__(self, index: int, /) -> Any:
        """An (image, label)."""
        ...


def from_dataset(dataset: Pairs, name: str = "") -> ImageClasses:
    """Images of a data set, each index read once, grouped by label.

    dataset: gives (image, label) for 0 to len - 1. An image is a tensor `[C, H, W]`, an array `[H, W, C]`, or either
    `[H, W]`, of uint8, or of floats in [0, 1], which are rounded to the nearest of the 256 levels of uint8; or an
    image of Pillow in mode 1, L or RGB. A label is a whole number, a text, or a tensor or array of one number. What a
    random transform drew at this reading stays. name: data set and split; by default the type's, as `cifar10/all`.
    Classes are in the order of their numbers or of the alphabet, the images of a class by index.

    Raises `RobustMetaError`, with the index, for images of another kind or shape than the first, values outside
    [0, 1] (as after Normalize), and labels of another kind; and for a data set without an index, a length or an item.
    """
    kind = type(dataset).__name__
    if isinstance(dataset, DataLoader):
        raise RobustMetaError("a DataLoader has no index; give the data set that it loads, loader.dataset")
    if isinstance(dataset, IterableDataset):
        raise RobustMetaError(f"{kind} is an IterableDataset, without an index; give list(dataset), if it ends")
    if isinstance(dataset, Mapping) or not isinstance(dataset, Pairs):
        raise RobustMetaError(
            f"{kind} is no data set of pairs by number; give the name of one, (images, labels), or a map-style "
            "torch.utils.data.Dataset of (image, label), with __getitem__ and __len__"
        )
    if not len(dataset):
        raise RobustMetaError(f"{kind} is empty; there must be one image or more")
    stack, labels = Stack(len(dataset), "give all one shape, by a Resize in the data set's transform"), []
    for index in range(len(dataset)):
        item, what = dataset[index], f"item {index} of {kind}"
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise RobustMetaError(f"{what} is a {type(item).__name__}, not a pair (image, label); make pairs of them")
        image, label = item
        labels.append(label_of(label, what))
        stack.put(index, image_bytes(image, what), what)
    return grouped(name or f"{kind.lower()}/all", stack.images, labels)

"""Data sets by name, each file registering one loader, and data of your own: all become `ImageClasses`."""

from pathlib import Path

from robustmeta.data import cifar_fs as cifar_fs
from robustmeta.data import fc100 as fc100
from robustmeta.data import folder as folder
from robustmeta.data import glyphs as glyphs
from robustmeta.data import mini_imagenet as mini_imagenet
from robustmeta.data import omniglot as omniglot
from robustmeta.data import tiered_imagenet as tiered_imagenet
from robustmeta.data.arrays import Images, Labels, from_arrays
from robustmeta.data.classes import ImageClasses
from robustmeta.data.datasets import DATASETS, SPLITS
from robustmeta.data.grouping import SHARES, part_of
from robustmeta.data.root import data_root
from robustmeta.data.torch_dataset import Pairs, from_dataset
from robustmeta.errors import RobustMetaError, unknown
from robustmeta.schema import Source, arguments

__all__ = ["DATASETS", "SPLITS", "ImageClasses", "OwnData", "as_classes", "from_arrays", "from_dataset", "load"]

OwnData = ImageClasses | Pairs | tuple[Images, Labels]
"""What `as_classes` takes."""


def load(name: str, split: str, root: str | Path | None = None, **options: object) -> ImageClasses:
    """The images of one split of a data set, grouped by class.

    name: a key of `DATASETS`; split: `train`, `val` or `test`, whose classes are disjoint; root: the folder of
    the archives, by default `$ROBUSTMETA_DATA`, else the user's cache; options: what the data set's own loader
    takes. Raises `RobustMetaError` for an unknown name, split or option, and where the data cannot be had.
    """
    loader = DATASETS[name]
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    source = Source(f"the data set {name!r}", {})
    return loader(split, data_root(root), **arguments(loader, options, source, (), given=("split", "root")))


def as_classes(data: OwnData, split: str | None = None, shares: tuple[float, ...] | None = None) -> ImageClasses:
    """Data of your own, grouped by class.

    data: `(images, labels)` (see `from_arrays`); a map-style `torch.utils.data.Dataset` of (image, label), or a list of
    such pairs (see `from_dataset`); or an `ImageClasses`, as it is. split: None for all classes, or `train`, `val` or
    `test` for those that `shares`, by default 0.64, 0.16 and 0.2, give it: the classes, in the order of the SHA-256 of
    their labels, are cut at these, so that splits have no class in common. Raises `RobustMetaError` where these do, for
    shares without a split, and for a split of an `ImageClasses`, which is one.
    """
    if split is None and shares is not None:
        raise RobustMetaError(f"shares is {list(shares)} without a split; say which, train, val or test")
    if isinstance(data, ImageClasses):
        if split is not None:
            raise RobustMetaError(f"{data.name} is one split already; leave out split, here {split!r}")
        return data
    classes = from_arrays(*data) if isinstance(data, tuple) and len(data) == 2 else from_dataset(data)
    return classes if split is None else part_of(classes, split, SHARES if shares is None else shares)

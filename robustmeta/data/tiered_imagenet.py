"""tieredImageNet: 608 classes of ImageNet, divided by what they are kinds of (Ren et al., 2018)."""

from pathlib import Path

from robustmeta.data.classes import ImageClasses
from robustmeta.data.datasets import DATASETS
from robustmeta.data.local_copy import local_copy

#: Classes of each split.
CLASSES = {"train": 351, "val": 97, "test": 160}


@DATASETS.register("tiered_imagenet", collection="imagenet")
def tiered_imagenet(split: str, root: Path, path: str = "", size: int = 84) -> ImageClasses:
    """One split of tieredImageNet as uint8 `[M, 3, size, size]`, from a copy of your own: it is not downloaded.

    351, 97 and 160 classes of 34 kinds, none of which is in two splits. The copy is `root/tiered-imagenet/` (or
    `tieredImageNet`, ...), else `root`, or `path`, from `root` or the current folder, in one of these layouts:
    `SPLIT_images_png.pkl` and `SPLIT_labels.pkl`, as its authors have it; `SPLIT_images.npz` (channels blue, green,
    red, as their program writes it) and `SPLIT_labels.pkl`; or `SPLIT/CLASS/*.jpg`. Images of another size are cut to
    the largest centred square and resized. All of a split is held in memory: at 84 the 448,695 images of train take
    9.5 GB, and reading a pickle as much again.

    Raises `RobustMetaError` where there is no such copy, one with another number of classes, or one that cannot be
    read.
    """
    return local_copy("tiered_imagenet", split, root, path, size, CLASSES[split])

"""miniImageNet: 100 classes of ImageNet, 600 images each (Vinyals et al., 2016)."""

from pathlib import Path

from robustmeta.data.classes import ImageClasses
from robustmeta.data.datasets import DATASETS
from robustmeta.data.local_copy import local_copy

#: Classes of each split (Ravi & Larochelle, 2017).
CLASSES = {"train": 64, "val": 16, "test": 20}
#: Images of each class.
EACH = 600


@DATASETS.register("mini_imagenet", collection="imagenet")
def mini_imagenet(split: str, root: Path, path: str = "", size: int = 84) -> ImageClasses:
    """One split of miniImageNet as uint8 `[M, 3, size, size]`, from a copy of your own: it is not downloaded.

    The classes are those of Ravi and Larochelle (2017), 64, 16 and 20. The copy is `root/mini-imagenet/` (or
    `miniImageNet`, `mini_imagenet`, ...), else `root`, or `path`, from `root` or the current folder, in one of these
    layouts: `mini-imagenet-cache-SPLIT.pkl` (`image_data`, `class_dict`); `miniImageNet_category_split_SPLIT.pickle`
    (`data`, `labels`); `SPLIT.csv` (`filename,label`) beside `images/`; or `SPLIT/CLASS/*.jpg`. Images of another size
    are cut to the largest centred square and resized. Copies differ in how they were made small, so task 17 has
    the same pixels only within a layout.

    Raises `RobustMetaError` where there is no such copy, one with another number of classes or of images in one,
    or one that cannot be read.
    """
    return local_copy("mini_imagenet", split, root, path, size, CLASSES[split], EACH)

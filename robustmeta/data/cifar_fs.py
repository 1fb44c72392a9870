"""CIFAR-FS: 64, 16 and 20 classes of CIFAR-100 (Bertinetto, Henriques, Torr & Vedaldi, 2019)."""

from pathlib import Path

from robustmeta.data.cifar100 import cifar100
from robustmeta.data.cifar100_classes import CIFAR_FS
from robustmeta.data.classes import ImageClasses
from robustmeta.data.datasets import DATASETS


@DATASETS.register("cifar_fs", collection="cifar-100", fixed=True)
def cifar_fs(split: str, root: Path) -> ImageClasses:
    """One split of CIFAR-FS as uint8 `[M, 3, 32, 32]`, 600 images a class; train, val and test have 64, 16 and 20.

    Made of CIFAR-100's official archive, which is found or downloaded, checked and kept as `cifar100` says.
    Raises `RobustMetaError` if it can neither be found nor downloaded, or is damaged or not CIFAR-100.
    """
    names = sorted(CIFAR_FS[split])
    return cifar100(f"cifar_fs/{split}", root, names, names)

"""FC100: CIFAR-100's superclasses divided 12, 4 and 4 (Oreshkin, Rodriguez & Lacoste, 2018)."""

from pathlib import Path

from robustmeta.data.cifar100 import cifar100
from robustmeta.data.cifar100_classes import FC100, SUPERCLASSES
from robustmeta.data.classes import ImageClasses
from robustmeta.data.datasets import DATASETS


@DATASETS.register("fc100", collection="cifar-100", fixed=True)
def fc100(split: str, root: Path) -> ImageClasses:
    """One split of FC100 as uint8 `[M, 3, 32, 32]`, 600 images a class; train, val and test have 60, 20 and 20.

    A class is labelled `superclass/class`, and no superclass is in two splits, which makes it harder than CIFAR-FS.
    Made of CIFAR-100's official archive, which is found or downloaded, checked and kept as `cifar100` says.
    Raises `RobustMetaError` if it can neither be found nor downloaded, or is damaged or not CIFAR-100.
    """
    classes = [(above, name) for above in FC100[split] for name in SUPERCLASSES[above]]
    return cifar100(f"fc100/{split}", root, [name for _, name in classes], ["/".join(pair) for pair in classes])

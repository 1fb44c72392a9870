"""The registry of data sets, apart from the loaders so that each of them can import it."""

from collections.abc import Callable

from robustmeta.data.classes import ImageClasses
from robustmeta.registry import Registry

SPLITS = ("train", "val", "test")

#: Loaders by name; each is `loader(split: str, root: Path, **options) -> ImageClasses`.
DATASETS: Registry[Callable[..., ImageClasses]] = Registry("data set")

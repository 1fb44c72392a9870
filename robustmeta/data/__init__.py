"""Data sets: each file registers one loader, `load(split, root, **options) -> ImageClasses`."""

import inspect
from pathlib import Path

from robustmeta.data import glyphs as glyphs
from robustmeta.data import omniglot as omniglot
from robustmeta.data.classes import ImageClasses
from robustmeta.data.datasets import DATASETS, SPLITS
from robustmeta.data.root import data_root
from robustmeta.errors import RobustMetaError, unknown

__all__ = ["DATASETS", "SPLITS", "ImageClasses", "load"]


def load(name: str, split: str, root: str | Path | None = None, **options: object) -> ImageClasses:
    """The images of one split of a data set, grouped by class.

    name: a key of `DATASETS`; split: `train`, `val` or `test`, whose classes are disjoint; root: the folder of
    the archives, by default `$ROBUSTMETA_DATA`, else the user's cache; options: what the data set's own loader
    takes. Raises `RobustMetaError` for an unknown name, split or option, and where the data cannot be had.
    """
    loader = DATASETS[name]
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    _check_options(name, options)
    return loader(split, data_root(root), **options)


def _check_options(name: str, options: dict[str, object]) -> None:
    parameters = inspect.signature(DATASETS[name]).parameters
    taken = {key: value.default for key, value in parameters.items() if key not in ("split", "root")}
    for key, value in options.items():
        if key not in taken:
            known = ", ".join(f"{option}={default!r}" for option, default in taken.items())
            raise RobustMetaError(f"the data set {name!r} has no option {key!r}; it takes {known or 'none'}")
        if isinstance(taken[key], bool) and not isinstance(value, bool):
            raise RobustMetaError(f"the option {key!r} of the data set {name!r} is {value!r}; use true or false")

"""Archives of arrays that may be damaged: read in one place."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from robustmeta.errors import RobustMetaError

Made = TypeVar("Made")


def read_npz(path: str | Path, make: Callable[[dict[str, NDArray[Any]]], Made], remedy: str) -> Made:
    """What `make` makes of the arrays of an `.npz` file, read by name; nothing in the file is run.

    Raises `RobustMetaError`, ending in the `remedy`, if the file is missing or damaged, or `make` can do nothing with
    what it holds; a `RobustMetaError` of its own goes through.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an unusual header, which here means damage
            with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return make({name: arrays[name] for name in arrays.files})
    except RobustMetaError:
        raise
    except Exception as error:  # damaged bytes end zip, zlib and numpy in whatever exception they lead them to first
        raise RobustMetaError(f"{path} is damaged; {remedy}") from error

"""Arrays that are made once and read back from the user's cache."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from robustmeta.data.root import cache_folder
from robustmeta.errors import RobustMetaError
from robustmeta.files import whole_file
from robustmeta.npz import read_npz

#: Part of every cache file's name; raise it when the layout of the files changes.
FORMAT = 1

Arrays = dict[str, NDArray[np.generic]]


def cached(name: str, make: Callable[[], Arrays]) -> Arrays:
    """The arrays that `make` returns, kept as `NAME-vFORMAT.npz` in the user's cache after the first call.

    `name` must change whenever what `make` returns would. A missing or damaged file is made again; where the
    cache cannot be written, nothing is kept and nothing is raised.
    """
    path = cache_folder() / f"{name}-v{FORMAT}.npz"
    try:
        return read_npz(path, dict, "it is made again")
    except RobustMetaError:
        pass
    arrays = make()
    try:
        with whole_file(path) as part:
            np.savez(part, **arrays)  # type: ignore[arg-type]
    except (RobustMetaError, OSError):
        pass
    return arrays

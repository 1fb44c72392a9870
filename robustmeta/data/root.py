"""Where data lies: the folder of the archives, and the user's cache of what was made from them."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """The user's cache: `$ROBUSTMETA_CACHE`, else `$XDG_CACHE_HOME/robustmeta`, else `~/.cache/robustmeta`."""
    if own := os.environ.get("ROBUSTMETA_CACHE"):
        return Path(own).expanduser()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared).expanduser() / "robustmeta"
    return Path("~/.cache/robustmeta").expanduser()


def data_root(root: str | os.PathLike[str] | None = None) -> Path:
    """The folder of the archives: `root` if given, else `$ROBUSTMETA_DATA`, else the user's cache."""
    chosen = root if root is not None else os.environ.get("ROBUSTMETA_DATA")
    return Path(chosen).expanduser() if chosen else cache_folder()

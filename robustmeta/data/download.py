"""Fetch one file whose checksum is known."""

import hashlib
import os
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from robustmeta.errors import RobustMetaError
from robustmeta.files import whole_file

_CHUNK = 1 << 20
_TIMEOUT_SECONDS = 30


def download(url: str, target: str | os.PathLike[str], md5: str) -> Path:
    """Fetch `url` into `target`, which appears only once it is whole and its md5 is the expected one.

    Raises `RobustMetaError` if `url` cannot be reached, the checksum differs (what arrived is removed), or
    the folder of `target` cannot be written.
    """
    target = Path(target)
    try:
        with whole_file(target) as part:
            seen = hashlib.md5(usedforsecurity=False)
            with part.open("wb") as file:
                for chunk in _chunks(url, target):
                    seen.update(chunk)
                    file.write(chunk)
            if seen.hexdigest() != md5:
                raise RobustMetaError(
                    f"{url} has md5 {seen.hexdigest()} instead of {md5}; what arrived was removed: try again, "
                    f"or put the right file at {target}"
                )
    except OSError as error:  # the clean-up of a path that leads through a file
        raise RobustMetaError(f"cannot write {target}: {error.strerror}; choose a writable folder") from error
    return target


def _chunks(url: str, target: Path) -> Iterator[bytes]:
    try:
        with urlopen(url, timeout=_TIMEOUT_SECONDS) as answer:
            while chunk := answer.read(_CHUNK):
                yield chunk
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(error, HTTPError):
            error.close()  # it holds the connection
        raise RobustMetaError(
            f"cannot download {url} ({reason}); check the network, or put the file at {target} by hand"
        ) from error

"""Files that appear whole or not at all."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from robustmeta.errors import RobustMetaError


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is renamed to `path`, on an exception removed.

    The temporary name keeps the suffix of `path`, so that writers that go by the suffix work. Parent folders
    are made. Raises `RobustMetaError` where the folder cannot be written.

    >>> folder = getfixture("tmp_path")
    >>> with whole_file(folder / "a.txt") as part:
    ...     _ = part.write_text("whole")
    >>> (folder / "a.txt").read_text()
    'whole'
    """
    target = Path(path)
    part = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield part
        os.replace(part, target)
    except OSError as error:
        raise RobustMetaError(f"cannot write {target}: {error.strerror or error}; choose a writable folder") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Hold `folder` (made if it is not there) against other processes; the lock goes with the process that has it.

    Raises `RobustMetaError` where the folder cannot be written or another process holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise RobustMetaError(f"cannot write {folder}: {error.strerror or error}; choose a writable folder") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise RobustMetaError(f"{folder} is in use by another run; wait for it or choose another folder") from error
    except OSError:
        pass  # some network file systems lock no folders; there a second run is not noticed
    try:
        yield
    finally:
        os.close(handle)

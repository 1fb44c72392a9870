"""A clock that several threads may start and stop."""

import threading
import time
from types import TracebackType

import torch


class Clock:
    """Seconds spent inside `with clock:`, summed over threads; a copy is the clock itself."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._begun = threading.local()
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: object) -> "Clock":
        return self

    def __enter__(self) -> "Clock":
        self._begun.at = now()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        spent = now() - self._begun.at
        with self._lock:
            self.seconds += spent

    def taken(self) -> float:
        """The seconds so far; the clock goes back to 0."""
        with self._lock:
            seconds, self.seconds = self.seconds, 0.0
        return seconds


def now() -> float:
    """Seconds, once the accelerator (if one is in use) has done what was asked of it."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter()

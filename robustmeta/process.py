"""How a process that trains or attacks is set up."""

import ctypes
import sys

import torch

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_MEBIBYTE = 2**20


def prepare_process(threads: int) -> None:
    """Set torch's threads, one being faster than two on one task, and what else makes a CPU quick at this.

    Denormal numbers, ten times slower than others, are flushed to 0 (a setting of the calling thread). Freed memory
    stays with the process: activations are freed and asked for again hundreds of times a second, and each time the
    system would clear their pages anew.
    """
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    if sys.platform == "linux":
        _keep_freed_memory()


def _keep_freed_memory() -> None:
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):  # another C library than GNU's
        return
    libc.mallopt(_M_MMAP_THRESHOLD, 32 * _MEBIBYTE)  # the most it takes
    libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    libc.mallopt(_M_TOP_PAD, 64 * _MEBIBYTE)

"""What a process is set up to, seen from inside one."""

import torch

from robustmeta.outer_step import flushes_denormals
from robustmeta.process import prepare_process


def test_threads_are_set_and_denormals_flushed() -> None:
    before, flushed = torch.get_num_threads(), flushes_denormals()
    try:
        torch.set_flush_denormal(False)
        prepare_process(2)
        assert torch.get_num_threads() == 2
        assert flushes_denormals()
    finally:
        torch.set_num_threads(before)
        torch.set_flush_denormal(flushed)

"""The counted operations, against torch's own counter."""

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.operations import attack_flops, forward_flops, matrix_rate
from benchmarks.setting import Setting


@pytest.mark.parametrize("size", [28, 32])
def test_operations_are_those_torch_counts(size: int) -> None:
    setting = Setting(size=size, width=8, channels=3, norm="group")
    network = setting.plain().requires_grad_(False)
    images = torch.rand(2, 3, size, size, requires_grad=True)
    with FlopCounterMode(display=False) as forward:
        logits = network(images)
    assert forward.get_total_flops() == 2 * forward_flops(setting)
    with FlopCounterMode(display=False) as backward:
        torch.autograd.grad(logits.sum(), images)
    assert backward.get_total_flops() == forward.get_total_flops()


def test_an_attack_is_its_steps_forward_and_back() -> None:
    setting = replace(Setting(), attack_steps=7)
    assert attack_flops(setting, 10) == 140 * forward_flops(setting)
    assert attack_flops(setting, 10, extra_forwards=1) == 150 * forward_flops(setting)


def test_the_matrix_rate_leaves_the_number_of_threads() -> None:
    before = torch.get_num_threads()
    assert matrix_rate(torch.float32, before + 1, repeats=1, side=8) > 0
    assert torch.get_num_threads() == before

"""Batch normalization against torch's and against finite differences, up to the third order."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from robustmeta.backbones.normalization import normalised

EPS = 1e-5


@pytest.fixture(params=[torch.contiguous_format, torch.channels_last], ids=["channels first", "channels last"])
def inputs(request: pytest.FixtureRequest) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(3)
    y = (2 * torch.randn(3, 2, 2, 3, dtype=torch.float64, generator=draw) + 1).to(memory_format=request.param)
    scale, shift = torch.randn(2, 2, dtype=torch.float64, generator=draw)
    return y.requires_grad_(), scale.clone().requires_grad_(), shift.clone().requires_grad_()


def function(y: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return normalised(y, scale, shift, EPS)


def torchs(y: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return F.batch_norm(y, None, None, scale, shift, training=True, eps=EPS)


def test_it_is_torchs_function(inputs: tuple[Tensor, ...]) -> None:
    torch.testing.assert_close(function(*inputs), torchs(*inputs))


def test_derivatives_are_those_of_finite_differences(inputs: tuple[Tensor, ...]) -> None:
    assert torch.autograd.gradcheck(function, inputs)
    assert torch.autograd.gradgradcheck(function, inputs)


def test_the_derivative_with_respect_to_scale_is_differentiable_too(inputs: tuple[Tensor, ...]) -> None:
    def of_scale_and_shift(y: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, ...]:
        loss = normalised(y, scale, shift, EPS).pow(3).sum()
        return torch.autograd.grad(loss, (scale, shift), create_graph=True)

    assert torch.autograd.gradcheck(of_scale_and_shift, inputs)


def written_out(y: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    var, mean = torch.var_mean(y, dim=(0, 2, 3), correction=0, keepdim=True)
    return scale[:, None, None] * (y - mean) / (var + EPS).sqrt() + shift[:, None, None]


def test_third_derivatives_are_those_of_the_formula_written_out(inputs: tuple[Tensor, ...]) -> None:
    found = []
    for tried in (function, written_out):
        first = torch.autograd.grad(tried(*inputs).pow(3).sum(), inputs[0], create_graph=True)[0]
        second = torch.autograd.grad(first.pow(2).sum(), inputs[0], create_graph=True)[0]
        found.append(torch.autograd.grad(second.pow(2).sum(), inputs[0])[0])
    torch.testing.assert_close(found[0], found[1], rtol=1e-8, atol=1e-8)


def test_a_constant_channel_is_normalised_to_its_shift() -> None:
    y, scale, shift = torch.full((2, 1, 2, 2), 7.0), torch.ones(1), torch.tensor([0.25])
    torch.testing.assert_close(normalised(y, scale, shift, EPS), torch.full((2, 1, 2, 2), 0.25), atol=1e-4, rtol=0)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_in_float32_the_variance_is_right_to_its_last_digits(memory_format: torch.memory_format) -> None:
    draw = torch.Generator().manual_seed(0)
    y = torch.rand(5, 8, 28, 28, generator=draw).pow(8).to(memory_format=memory_format)
    precise = torchs(y.double(), torch.ones(8, dtype=torch.float64), torch.zeros(8, dtype=torch.float64))
    found = normalised(y, torch.ones(8), torch.zeros(8), EPS)
    torch.testing.assert_close(found.double(), precise, rtol=1e-6, atol=2e-6)

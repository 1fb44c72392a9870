"""The first block's own gradient against torch's, on all that could tell them apart."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from robustmeta.backbones import thin_block
from robustmeta.backbones.thin_block import pooled_convolution


def ordinary(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.relu(F.max_pool2d(F.conv2d(x, weight, bias, padding=1), 2))


def made(images: int, channels: int, size: int, width: int = 5) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(images * 100 + size)
    x = torch.rand(images, channels, size, size + 1, dtype=torch.float64, generator=draw)
    weight = torch.randn(width, channels, 3, 3, dtype=torch.float64, generator=draw)
    bias = torch.randn(width, dtype=torch.float64, generator=draw)
    shape = (images, width, size // 2, (size + 1) // 2)
    return x, weight, bias, torch.randn(shape, dtype=torch.float64, generator=draw)


def gradient(function, x: Tensor, weight: Tensor, bias: Tensor, upstream: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    return torch.autograd.grad(function(x, weight, bias), x, upstream)[0]


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thin_block, "_CACHE", 5 * 7 * 8 * 8 * 2)  # two images of 7x8, of 5 doubles a pixel, at a time


@settings(max_examples=25, deadline=None)
@given(images=st.integers(1, 5), channels=st.integers(1, 5), size=st.integers(2, 9))
def test_value_and_gradient_are_those_of_torch(images: int, channels: int, size: int) -> None:
    x, weight, bias, upstream = made(images, channels, size)
    torch.testing.assert_close(pooled_convolution(x.requires_grad_(), weight, bias), ordinary(x, weight, bias))
    torch.testing.assert_close(
        gradient(pooled_convolution, x, weight, bias, upstream), gradient(ordinary, x, weight, bias, upstream)
    )


@pytest.mark.usefixtures("small_slices")
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_slices_do_not_show(memory_format: torch.memory_format) -> None:
    x, weight, bias, upstream = made(5, 2, 7)
    x, weight = x.to(memory_format=memory_format), weight.to(memory_format=memory_format)
    found = gradient(pooled_convolution, x, weight, bias, upstream)
    torch.testing.assert_close(found, gradient(ordinary, x, weight, bias, upstream))
    assert found.view(5, -1).shape == (5, 2 * 7 * 8)  # as attack libraries do


def test_where_pooled_values_tie_the_gradient_goes_where_torchs_goes() -> None:
    _, weight, bias, upstream = made(2, 1, 8)
    flat = torch.full((2, 1, 8, 9), 0.5, dtype=torch.float64)
    torch.testing.assert_close(
        gradient(pooled_convolution, flat, weight, bias.abs() + 9, upstream),
        gradient(ordinary, flat, weight, bias.abs() + 9, upstream),
    )


def test_derivatives_of_first_and_second_order_are_those_of_finite_differences() -> None:
    x, weight, bias, _ = made(2, 1, 4, width=2)
    x.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: pooled_convolution(x, weight, bias), x)
    assert torch.autograd.gradgradcheck(lambda x: pooled_convolution(x, weight, bias).square(), x)


def test_weights_that_require_a_gradient_get_it() -> None:
    x, weight, bias, upstream = made(3, 1, 6)
    inputs = [tensor.requires_grad_() for tensor in (x, weight, bias)]
    found = torch.autograd.grad(pooled_convolution(*inputs), inputs, upstream)
    for ours, torchs in zip(found, torch.autograd.grad(ordinary(*inputs), inputs, upstream), strict=True):
        torch.testing.assert_close(ours, torchs)


def test_an_attack_on_a_frozen_block_goes_by_the_quick_way_and_nothing_else_does() -> None:
    x, weight, bias, _ = made(1, 1, 4)
    assert "PixelGradient" in type(pooled_convolution(x.requires_grad_(), weight, bias).grad_fn).__name__
    assert "PixelGradient" not in type(pooled_convolution(x, weight.requires_grad_(), bias).grad_fn).__name__
    with torch.no_grad():
        assert pooled_convolution(x, weight, bias).grad_fn is None

"""Inner loops written out: independent of the learners, for their tests to compare with."""

from collections.abc import Callable, Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robustmeta.learners import Learner

Rates = Callable[[int, int], float | Tensor]
"""The rate of a weight (its number in the order of the parameters) at a step."""


def plain(weights: Sequence[Tensor], images: Tensor) -> Tensor:
    """Logits of images `[N, C, H, W]` by four blocks, normalised channel by channel, and a linear layer."""
    for i in range(4):
        kernel, scale, shift = weights[3 * i : 3 * i + 3]
        y = F.conv2d(images, kernel, padding=1)
        y = (y - y.mean((2, 3), keepdim=True)) / (y.var((2, 3), correction=0, keepdim=True) + 1e-5).sqrt()
        images = F.max_pool2d(F.relu(y * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)), 2)
    return F.linear(images.flatten(1), weights[12], weights[13])


def weights_of(network: nn.Module) -> list[Tensor]:
    """Copies of a network's weights, in the order of its parameters and of `plain`."""
    named = {**dict(network.named_buffers()), **dict(network.named_parameters())}
    order = [f"backbone.blocks.{i}.{part}" for i in range(4) for part in ("conv.weight", "scale", "shift")]
    order += ["linear.weight", "linear.bias"]
    return [named[name].detach().clone().requires_grad_() for name in order]


def numbers_of(network: nn.Module) -> list[int]:
    """Where each weight of `weights_of` stands among the network's parameters."""
    names = [name for name, _ in network.named_parameters()]
    order = [f"backbone.blocks.{i}.{part}" for i in range(4) for part in ("conv.weight", "scale", "shift")]
    return [names.index(name) for name in (*order, "linear.weight", "linear.bias")]


def descend(
    weights: list[Tensor], images: Tensor, labels: Tensor, steps: int, rates: Rates, second_order: bool = True
) -> list[list[Tensor]]:
    """theta_1 .. theta_steps on images `[N, C, H, W]` with labels `[N]`."""
    path = []
    for step in range(steps):
        slopes = torch.autograd.grad(
            F.cross_entropy(plain(weights, images), labels), weights, create_graph=second_order
        )
        weights = [w - rates(i, step) * slope for i, (w, slope) in enumerate(zip(weights, slopes, strict=True))]
        path.append(weights)
    return path


def check_slope(learner: Learner, loss: Callable[[], Tensor], step: float = 1e-8) -> None:
    """Assert that the gradient of the loss, along random directions, is the slope of central differences.

    The smaller a parameter's gradient, the longer its way, so that no small one's error hides behind the others.
    """
    learner.zero_grad()
    loss().backward()
    gradients = [parameter.grad.clone() for parameter in learner.parameters()]
    assert min(gradient.norm() for gradient in gradients) > 1e-9
    longest = max(gradient.norm() for gradient in gradients)
    generator = torch.Generator().manual_seed(0)
    for _ in range(2):
        along = [torch.randn(g.shape, generator=generator, dtype=g.dtype) for g in gradients]
        along = [
            way / way.norm() * (longest / gradient.norm()).clamp(max=30)
            for way, gradient in zip(along, gradients, strict=True)
        ]
        losses = []
        for sign in (1, -1):
            _move(learner, along, sign * step)
            losses.append(loss().item())
            _move(learner, along, -sign * step)
        expected = sum(float((g * way).sum()) for g, way in zip(gradients, along, strict=True))
        assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(expected, rel=1e-5), (losses, expected)
        assert abs(expected) > 1e-3


@torch.no_grad()
def _move(learner: Learner, along: Sequence[Tensor], by: float) -> None:
    for parameter, way in zip(learner.parameters(), along, strict=True):
        parameter += by * way

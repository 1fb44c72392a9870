"""Batch normalization by a batch's own statistics, quick to differentiate twice."""

from typing import Any

import torch
from torch import Tensor

Sums = tuple[Tensor, Tensor, Tensor]


def normalised(y: Tensor, scale: Tensor, shift: Tensor, eps: float) -> Tensor:
    """Channel by channel, scale * (y - mean(y)) / sqrt(var(y) + eps) + shift (Ioffe & Szegedy, 2015).

    y: `[B, C, H, W]`. scale, shift: `[C]`. The statistics are those of `y`.

    Deviates from torch's own function in nothing but the second derivative's cost, which MAML's outer loop pays: its
    sums over a channel are those that the first derivative has made, where torch makes a dozen of them anew.
    """
    output, _, _ = _Normalise.apply(y.to(scale.dtype), scale, shift, eps)  # type: ignore[no-untyped-call]
    return output  # type: ignore[no-any-return]


class _Normalise(torch.autograd.Function):
    """Output, mean and 1 / standard deviation, the last two without a gradient."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, scale: Tensor, shift: Tensor, eps: float) -> Sums:
        # Not torch's kernel: in channels-last its float32 variance is off by 1e-5, which five inner steps make 0.1.
        mean = y.mean((0, 2, 3))
        centred = y - _wide(mean)
        inverse = torch.rsqrt(centred.square().mean((0, 2, 3)) + eps)
        output = torch.addcmul(_wide(shift), centred, _wide(scale * inverse))
        ctx.save_for_backward(y, scale, mean, inverse)
        ctx.mark_non_differentiable(mean, inverse)
        ctx.eps = eps
        return output, mean, inverse

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        y, scale, mean, inverse = ctx.saved_tensors
        return (*_NormaliseBackward.apply(gradients[0], y, scale, mean, inverse, ctx.eps), None)  # type: ignore[no-untyped-call]


class _NormaliseBackward(torch.autograd.Function):
    """The gradients of y, scale and shift from that of the output, G: s (G - bar(G) - n bar(G n)), sum(G n), sum(G).

    There n = (y - mean) * inverse, s = scale * inverse, and a bar is the mean over a channel.
    """

    @staticmethod
    def forward(ctx: Any, g: Tensor, y: Tensor, scale: Tensor, mean: Tensor, inverse: Tensor, eps: float) -> Sums:
        to_y, to_scale, to_shift = _first(g, y, scale, mean, inverse, eps)
        ctx.save_for_backward(g, y, scale, mean, inverse, to_scale, to_shift)
        ctx.eps = eps
        return to_y, to_scale, to_shift

    @staticmethod
    def backward(ctx: Any, *second: Tensor) -> tuple[Tensor | None, ...]:
        """For u, v and w, what comes back to the gradients of y, scale and shift."""
        u, v, w = second
        g, y, scale, mean, inverse, sum_gn, sum_g = ctx.saved_tensors
        to_g, sum_un, sum_u = _first(u, y, scale, mean, inverse, ctx.eps)
        if torch.is_grad_enabled():  # a third derivative is wanted, for which no sum may be taken as given
            var, mean = torch.var_mean(y, dim=(0, 2, 3), correction=0)
            inverse, sum_g = torch.rsqrt(var + ctx.eps), g.sum((0, 2, 3))
            sum_gn = (g * (y - _wide(mean)) * _wide(inverse)).sum((0, 2, 3))
        count = y.numel() / len(scale)
        s, gn = scale * inverse, sum_gn / count
        un = sum_un / count
        shared = (u * g).sum((0, 2, 3)) - sum_u * sum_g / count - sum_un * gn  # sum(u (G - bar(G) - n bar(G n)))
        # n is linear in y: what multiplies it is moved to y itself and to a constant.
        to_g = _affine(to_g, y, v * inverse, w - v * mean * inverse)
        of_u, of_g = -s * inverse * gn, inverse * (v - s * un)
        of_n = -(s * inverse * shared / count + of_u * un + of_g * gn)
        constant = -(of_u * sum_u + of_g * sum_g) / count - of_n * mean * inverse
        to_y = _affine(u * _wide(of_u) + g * _wide(of_g), y, of_n * inverse, constant)
        return to_g, to_y, inverse * shared, None, None, None


def _first(g: Tensor, y: Tensor, scale: Tensor, mean: Tensor, inverse: Tensor, eps: float) -> Sums:
    made: Sums = torch.ops.aten.native_batch_norm_backward(
        g, y, scale, None, None, mean, inverse, True, eps, [True, True, True]
    )
    return made


def _affine(x: Tensor, y: Tensor, of_y: Tensor, constant: Tensor) -> Tensor:
    """The sum x + of_y * y + constant; of_y and constant are a number a channel."""
    return torch.addcmul(x + _wide(constant), y, _wide(of_y))


def _wide(channels: Tensor) -> Tensor:
    return channels[:, None, None]

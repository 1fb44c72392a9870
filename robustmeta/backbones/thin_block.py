"""Convolution, pooling and ReLU of images with few channels, whose gradient is asked for their pixels alone."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

THIN = 4
"""The most channels an image may have: above it, a library's own convolution is as fast."""

_CACHE = 2**22
"""Bytes of a convolution's output that are worked on at a time: about what a core's cache holds."""


def pooled_convolution(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """relu(maxpool2(conv3x3(x, weight) + bias)): images `[B, C, H, W]` to `[B, width, H//2, W//2]`.

    On a CPU, where `x` has at most `THIN` channels and alone requires a gradient, as an attack asks it, that gradient
    is taken as a matrix product and nine additions, a slice of images at a time: some three times as fast as by the
    library's convolution with few output channels. It is the same function and the same gradient, of any order.
    """
    thin = x.device.type == "cpu" and x.requires_grad and x.shape[1] <= THIN and torch.is_grad_enabled()
    if thin and not torch.is_autocast_enabled("cpu") and not (weight.requires_grad or bias.requires_grad):
        return _PixelGradient.apply(x, weight, bias)  # type: ignore[no-any-return,no-untyped-call]
    return F.relu(F.max_pool2d(F.conv2d(x, weight, bias, padding=1), 2))


class _PixelGradient(torch.autograd.Function):
    """The block, and the product of its Jacobian with respect to the pixels and a gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        size, (height, width) = _slice(x, weight), x.shape[2:]
        shape = (len(x), len(weight), height // 2, width // 2)
        output, places = torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last), []
        for images, out in zip(torch.split(x, size), torch.split(output, size), strict=True):
            pooled, place = F.max_pool2d(F.conv2d(images, weight, bias, padding=1), 2, return_indices=True)
            torch.clamp_min(pooled, 0, out=out)
            places.append(place)
        ctx.save_for_backward(x, weight, bias, output, *places)
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        x, weight, bias, output, *places = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient is itself to be differentiated
            again = F.relu(F.max_pool2d(F.conv2d(x, weight, bias, padding=1), 2))
            return torch.autograd.grad(again, x, gradients[0], create_graph=True)[0], None, None
        size, (channels, height, width) = _slice(x, weight), x.shape[1:]
        taps = weight.permute(1, 2, 3, 0).reshape(9 * channels, len(weight))
        padded = x.new_zeros(channels, len(x), height + 2, width + 2)
        slices = zip(
            torch.split(gradients[0], size),
            torch.split(output, size),
            places,
            torch.split(padded, size, 1),
            strict=True,
        )
        for gradient, out, place, target in slices:
            gradient = torch.ops.aten.threshold_backward(gradient, out, 0)  # of the ReLU
            unpooled = _unpooled(gradient, place, (height, width)).permute(1, 0, 2, 3)
            by_tap = (taps @ unpooled.reshape(len(weight), -1)).view(channels, 9, -1, height, width)
            for tap in range(9):
                down, right = divmod(tap, 3)
                target[..., down : down + height, right : right + width] += by_tap[:, tap]
        return padded[..., 1:-1, 1:-1].transpose(0, 1).contiguous(), None, None  # for those who view it as a vector


def _slice(x: Tensor, weight: Tensor) -> int:
    """How many images are worked on at a time."""
    return max(1, _CACHE // (len(weight) * x.shape[2] * x.shape[3] * x.element_size()))


def _unpooled(gradient: Tensor, place: Tensor, size: tuple[int, int]) -> Tensor:
    """The gradient `[B, width, H, W]` before pooling, of one after it, which went to the places of the maxima."""
    shape = (*gradient.shape[:2], *size)
    like = torch.empty(shape, dtype=gradient.dtype, memory_format=torch.channels_last)
    gradient = gradient.contiguous(memory_format=torch.channels_last)
    unpool = torch.ops.aten.max_pool2d_with_indices_backward
    unpooled: Tensor = unpool(gradient, like, [2, 2], [2, 2], [0, 0], [1, 1], False, place)
    return unpooled

"""The windows and bumps of the Square attack (Andriushchenko et al., 2020), one place for each task."""

from functools import cache

import torch
from torch import Tensor

from robustmeta.draws import Draws


def norm(delta: Tensor) -> Tensor:
    """The L2 norm of each image of `[T, Q, C, H, W]`, as `[T, Q, 1, 1, 1]`."""
    return delta.square().sum((-3, -2, -1), keepdim=True).sqrt()


def placed(drawn: Tensor, side: int, height: int, width: int) -> Tensor:
    """The top left corners `[T, 2]` of windows, from numbers `[T, 2]` in [0, 1)."""
    return (drawn * drawn.new_tensor([height - side, width - side])).long()


def window(corner: Tensor, side: int, height: int, width: int) -> Tensor:
    """Which pixels lie in the windows with corners `[T, 2]`, bool `[T, 1, 1, H, W]`."""
    inside = []
    for axis, length in ((0, height), (1, width)):
        beyond = torch.arange(length, device=corner.device) - corner[:, axis, None]
        inside.append((beyond >= 0) & (beyond < side))
    return (inside[0][:, :, None] & inside[1][:, None, :])[:, None, None]


def bump(side: int, turned: Tensor) -> Tensor:
    """A bump and its negative side by side, of norm 1, `[T, side, side]`; above each other unless `turned`, `[T]`."""
    upright = _upright(side).to(turned.device)
    return torch.where(turned[:, None, None], upright.T, upright)


def start_of_bumps(images: Tensor, draws: Draws) -> Tensor:
    """A grid of five by five bumps, each query and channel with its own signs, `[T, Q, C, H, W]`."""
    queries, channels, height, width = images.shape[1:]
    side = max(height // 5, 1)
    delta, begin = torch.zeros_like(images), (height - 5 * side) // 2
    for top in range(max(begin, 0), height - side + 1, side):
        for left in range(max(begin, 0), width - side + 1, side):
            shape = bump(side, draws.uniform(1)[:, 0] > 0.5).to(images)[:, None, None]
            signs = draws.signs(queries, channels, 1, 1)
            delta[..., top : top + side, left : left + side] += shape * signs
    return delta


@cache
def _upright(side: int) -> Tensor:
    parts = [_half(side // 2, side), -_half(side - side // 2, side)]
    whole = torch.cat(parts)
    return whole.div(whole.norm())


def _half(height: int, width: int) -> Tensor:
    """A sum of 1 / n^2 over ever wider rectangles about the middle."""
    found = torch.zeros(height, width)
    down, right = height // 2, width // 2
    for n in range(max(down, right) + 1):
        top, left = down - n, right - n
        found[max(top, 0) : top + 2 * n + 1, max(left, 0) : left + 2 * n + 1] += 1 / (n + 1) ** 2
    return found.div(found.norm().clamp_min(1e-12))

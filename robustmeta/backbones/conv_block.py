"""The block that Conv4 stacks: convolution, normalization, pooling and ReLU, for many tasks at once."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robustmeta.backbones.base import Moments
from robustmeta.backbones.normalization import normalised
from robustmeta.backbones.thin_block import pooled_convolution


class ConvBlock(nn.Module):
    """3x3 convolution, normalization, 2x2 max-pooling, ReLU: `[T*N, C, H, W]` to `[T*N, width, H//2, W//2]`.

    With weights of T networks, `[T, ...]`, it maps `[N, T*C, H, W]` to `[N, T*width, H//2, W//2]`: the networks lie
    side by side, the channels of one after those of another, in one convolution of T groups.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, width: int, norm: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.scale = nn.Parameter(torch.ones(width))
        self.shift = nn.Parameter(torch.zeros(width))
        self.norm, self.eps = norm, 1e-5
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, x: Tensor, tasks: int, given: Moments | None, passing: bool) -> tuple[Tensor, Moments | None]:
        """The block's output, and the moments to normalise other images of the same tasks with (or None)."""
        if self.conv.weight.dim() == 5:
            return self._side_by_side(x, tasks, given, passing)
        if self.norm == "running" and given is None and not self.training:
            # Copies, as classifiers keep them and the averages move in place.
            given = Moments(self.running_mean.clone()[None], self.running_var.clone()[None])
        if given is not None:
            return self._folded(x, *self._affine(given)), given
        y = self.conv(x)
        if self.norm == "group":
            y = F.group_norm(y, min(8, len(self.scale)), self.scale, self.shift, self.eps)
            return F.relu(F.max_pool2d(y, 2)), None
        sharing = 1 if self.norm == "running" else tasks  # S
        if not passing or self.norm == "transductive":
            parts = [normalised(part, self.scale, self.shift, self.eps) for part in _parts(y, sharing)]
            return F.relu(F.max_pool2d(_whole(parts), 2)), None
        by_task = y.unflatten(0, (sharing, -1))  # [S, N, width, H, W]
        mean = by_task.mean((1, 3, 4))
        own = Moments(mean, (by_task - mean[:, None, :, None, None]).square().mean((1, 3, 4)))
        scale, shift = (moment[:, None, :, None, None] for moment in self._affine(own))
        return F.relu(F.max_pool2d(torch.addcmul(shift, by_task, scale).flatten(0, 1), 2)), own

    def _folded(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """The block under fixed statistics, an affine map that folds into the convolution before it."""
        weights = self.conv.weight * scale[..., None, None, None]
        sharing = zip(_parts(x, len(scale)), _parts(weights, len(scale)), _parts(shift, len(scale)), strict=True)
        return _whole([pooled_convolution(part, w.squeeze(0), b.squeeze(0)) for part, w, b in sharing])

    def _side_by_side(
        self, x: Tensor, tasks: int, given: Moments | None, passing: bool
    ) -> tuple[Tensor, Moments | None]:
        weight, (scale, shift) = self.conv.weight.flatten(0, 1), (self.scale.flatten(), self.shift.flatten())
        if self.norm == "running" and given is None and not self.training:
            given = Moments(*(average.clone().expand(tasks, -1) for average in (self.running_mean, self.running_var)))
        if given is not None:
            scale, shift = (moment.flatten() for moment in self._affine(given))
            y = F.conv2d(x, weight * scale.view(-1, 1, 1, 1), shift, padding=1, groups=tasks)
            return F.relu(F.max_pool2d(y, 2)), given
        y, own = F.conv2d(x, weight, padding=1, groups=tasks), None
        if self.norm == "group":
            y = F.group_norm(y, tasks * min(8, self.scale.shape[1]), scale, shift, self.eps)
        else:
            if passing and self.norm != "transductive":
                by_task = torch.unflatten(y, 1, (tasks, -1))
                mean = by_task.mean((0, 3, 4))
                own = Moments(mean, (by_task - mean[..., None, None]).square().mean((0, 3, 4)))
            y = normalised(y, scale, shift, self.eps)
        return F.relu(F.max_pool2d(y, 2)), own

    def _affine(self, given: Moments) -> tuple[Tensor, Tensor]:
        scale = self.scale * torch.rsqrt(given.var + self.eps)
        return scale, self.shift - given.mean * scale


def _parts(x: Tensor, number: int) -> Sequence[Tensor]:
    """A tensor in parts of one size; of one part no view is made, whose backward pass would copy it."""
    return x.chunk(number) if number > 1 else [x]


def _whole(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat(tuple(parts)) if len(parts) > 1 else parts[0]

"""The block of convolutional backbones: convolution, normalization, pooling and ReLU, for many tasks at once."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robustmeta.backbones.base import Moments
from robustmeta.backbones.normalization import normalised
from robustmeta.backbones.thin_block import pooled_convolution


class ConvBlock(nn.Module):
    """Convolution, normalization, 2x2 max-pooling, ReLU: `[T*N, C, H, W]` to `[T*N, width, H//2, W//2]`.

    With weights of T networks, `[T, ...]`, it maps `[N, T*C, H, W]` to `[N, T*width, H//2, W//2]`: the networks lie
    side by side, the channels of one after those of another, in one convolution of T groups.

    kernel: size of the convolution, odd. slope: of the ReLU below 0; with 1 there is none. pools: whether it pools.

    Dropout multiplies the channels of the output by numbers `keep`, at least 0. Max-pooling and ReLUs of any slope are
    positively homogeneous, k f(y) = f(k y), so that it is the same to multiply the normalization's scale and shift.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self, channels: int, width: int, norm: str, *, kernel: int = 3, slope: float = 0.0, pools: bool = True
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=False)
        self.scale = nn.Parameter(torch.ones(width))
        self.shift = nn.Parameter(torch.zeros(width))
        self.norm, self.eps, self.slope, self.pools = norm, 1e-5, slope, pools
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(
        self, x: Tensor, tasks: int, given: Moments | None, passing: bool, keep: Tensor | None = None
    ) -> tuple[Tensor, Moments | None]:
        """The block's output, and the moments to normalise other images of the same tasks with (or None).

        keep: what the channels of an output without `given` moments are multiplied with, `[S, width]`.
        """
        if self.conv.weight.dim() == 5:
            return self._side_by_side(x, tasks, given, passing, keep)
        if self.norm == "running" and given is None and not self.training:
            # Copies, as classifiers keep them and the averages move in place.
            given = Moments(self.running_mean.clone()[None], self.running_var.clone()[None])
        if given is not None:
            return self._folded(x, *self._affine(given)), given
        y = self.conv(x)
        if self.norm == "group":
            return self._then(F.group_norm(y, min(8, len(self.scale)), self.scale, self.shift, self.eps)), None
        sharing = 1 if self.norm == "running" else tasks  # S
        if not passing or self.norm == "transductive":
            maps = (
                [(self.scale, self.shift)] * sharing
                if keep is None
                else [(k * self.scale, k * self.shift) for k in keep]
            )
            parts = [normalised(part, *own, self.eps) for part, own in zip(_parts(y, sharing), maps, strict=True)]
            return self._then(_whole(parts)), None
        by_task = y.unflatten(0, (sharing, -1))  # [S, N, width, H, W]
        mean = by_task.mean((1, 3, 4))
        moments = Moments(mean, (by_task - mean[:, None, :, None, None]).square().mean((1, 3, 4)), keep)
        scale, shift = (number[:, None, :, None, None] for number in self._affine(moments))
        return self._then(torch.addcmul(shift, by_task, scale).flatten(0, 1)), moments

    def _folded(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """The block under fixed statistics, an affine map that folds into the convolution before it."""
        weights = self.conv.weight * scale[..., None, None, None]
        sharing = zip(_parts(x, len(scale)), _parts(weights, len(scale)), _parts(shift, len(scale)), strict=True)
        return _whole([self._convolved(part, w.squeeze(0), b.squeeze(0)) for part, w, b in sharing])

    def _convolved(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        if self.pools and self.slope == 0 and weight.shape[-1] == 3:
            return pooled_convolution(x, weight, bias)
        return self._then(F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2))

    def _then(self, y: Tensor) -> Tensor:
        """Pooling and ReLU; in this order, which is the same function on a quarter of the values."""
        y = F.max_pool2d(y, 2) if self.pools else y
        return F.relu(y) if self.slope == 0 else y if self.slope == 1 else F.leaky_relu(y, self.slope)

    def _side_by_side(
        self, x: Tensor, tasks: int, given: Moments | None, passing: bool, keep: Tensor | None
    ) -> tuple[Tensor, Moments | None]:
        weight, (scale, shift) = self.conv.weight.flatten(0, 1), (self.scale.flatten(), self.shift.flatten())
        if self.norm == "running" and given is None and not self.training:
            given = Moments(*(average.clone().expand(tasks, -1) for average in (self.running_mean, self.running_var)))
        padding = weight.shape[-1] // 2
        if given is not None:
            scale, shift = (moment.flatten() for moment in self._affine(given))
            y = F.conv2d(x, weight * scale.view(-1, 1, 1, 1), shift, padding=padding, groups=tasks)
            return self._then(y), given
        y, own = F.conv2d(x, weight, padding=padding, groups=tasks), None
        if self.norm == "group":
            y = F.group_norm(y, tasks * min(8, self.scale.shape[1]), scale, shift, self.eps)
        else:
            if passing and self.norm != "transductive":
                by_task = torch.unflatten(y, 1, (tasks, -1))
                mean = by_task.mean((0, 3, 4))
                own = Moments(mean, (by_task - mean[..., None, None]).square().mean((0, 3, 4)), keep)
            if keep is not None:
                scale, shift = scale * keep.flatten(), shift * keep.flatten()
            y = normalised(y, scale, shift, self.eps)
        return self._then(y), own

    def _affine(self, given: Moments) -> tuple[Tensor, Tensor]:
        scale = self.scale * torch.rsqrt(given.var + self.eps)
        if given.keep is None:
            return scale, self.shift - given.mean * scale
        return scale * given.keep, (self.shift - given.mean * scale) * given.keep


def _parts(x: Tensor, number: int) -> Sequence[Tensor]:
    """A tensor in parts of one size; of one part no view is made, whose backward pass would copy it."""
    return x.chunk(number) if number > 1 else [x]


def _whole(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat(tuple(parts)) if len(parts) > 1 else parts[0]

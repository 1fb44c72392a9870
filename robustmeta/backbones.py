"""Backbones: images `[T, N, C, H, W]` of T tasks to features `[T, N, D]`, under a named normalization policy.

A backbone's forward pass is pure: it returns the statistics it normalised with, and takes statistics to normalise
with instead of its own. What is done with them is the policy:

    running       in training, the statistics of the supports adapted together (of all tasks for learners that share
                  their weights, of its own for MAML); in evaluation, their running average
    support       the statistics of each task's own support set
    group         group normalization, each image by itself: there are no statistics to pass on
    transductive  the statistics of whatever images are passed, task by task: queries help each other

The first three are inductive: the logits of a query do not depend on the other queries.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robustmeta.errors import RobustMetaError, unknown
from robustmeta.registry import Registry

POLICIES = ("running", "support", "group", "transductive")


class Moments(NamedTuple):
    """Mean and variance `[S, C]` of one normalization layer; S is 1 where all tasks share them, else T."""

    mean: Tensor
    var: Tensor


Statistics = tuple[Moments, ...]


class Embedding(NamedTuple):
    """Features `[T, N, D]`, and the statistics to normalise other images of the same tasks with (or None)."""

    features: Tensor
    statistics: Statistics | None


class Backbone(nn.Module):
    """What every backbone is: images `[T, N, C, H, W]` to features `[T, N, out_features]`, pure in its input."""

    norm: str

    @property
    def out_features(self) -> int:
        """D, the number of features of an image."""
        raise NotImplementedError(f"{type(self).__name__} must define out_features")

    def forward(self, images: Tensor, statistics: Statistics | None = None) -> Embedding:
        """Features of images `[T, N, C, H, W]`, normalised with `statistics` where they are given."""
        raise NotImplementedError(f"{type(self).__name__} must define forward(images, statistics) -> Embedding")

    def track(self, statistics: Statistics | None) -> None:
        """Take note of the statistics of a training batch's supports; does nothing unless a policy needs it."""


BACKBONES: Registry[type[Backbone]] = Registry("backbone")


class ConvBlock(nn.Module):
    """3x3 convolution, normalization, 2x2 max-pooling, ReLU: `[T*N, C, H, W]` to `[T*N, width, H//2, W//2]`."""

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

    def forward(self, x: Tensor, tasks: int, given: Moments | None) -> tuple[Tensor, Moments | None]:
        """The block's output, and the moments to normalise other images of the same tasks with (or None)."""
        if self.norm == "running" and given is None and not self.training:
            # Copies, as classifiers keep them and the averages move in place.
            given = Moments(self.running_mean.clone()[None], self.running_var.clone()[None])
        if given is not None and len(given.mean) == 1:
            scale, shift = self._affine(given)
            # Fixed statistics make the normalization an affine map: it folds into the convolution before it.
            y = F.conv2d(x, self.conv.weight * scale.view(-1, 1, 1, 1), shift[0], padding=1)
            return F.relu(F.max_pool2d(y, 2)), given
        y = self.conv(x)
        if self.norm == "group":
            y = F.group_norm(y, min(8, len(self.scale)), self.scale, self.shift, self.eps)
            return F.relu(F.max_pool2d(y, 2)), None
        by_task = y.unflatten(0, (1 if self.norm == "running" else tasks, -1))  # [S, N, width, H, W]
        if given is None:
            var, mean = torch.var_mean(by_task, dim=(1, 3, 4), correction=0)
            given = Moments(mean, var)
        scale, shift = (moment[:, None, :, None, None] for moment in self._affine(given))
        y = torch.addcmul(shift, by_task, scale).flatten(0, 1)
        return F.relu(F.max_pool2d(y, 2)), None if self.norm == "transductive" else given

    def _affine(self, given: Moments) -> tuple[Tensor, Tensor]:
        scale = self.scale * torch.rsqrt(given.var + self.eps)
        return scale, self.shift - given.mean * scale


@BACKBONES.register("conv4")
class Conv4(Backbone):
    """Four blocks of convolution, normalization, ReLU and pooling (Vinyals et al., 2016).

    channels, size: C and H = W of the images. width: channels of each block (64 in the papers).
    norm: the normalization policy, one of `running | support | group | transductive`.
    momentum: weight of the newest batch in the running average.

    Deviates from the paper in pooling before the ReLU (the same function, on a quarter of the values) and in the
    policies, of which the paper's code had one (transductive) without naming it.

    Raises `RobustMetaError` for an unknown policy, images too small for four poolings, no channels or a width that
    group normalization cannot divide, or a momentum outside [0, 1].
    """

    def __init__(
        self, channels: int = 1, size: int = 28, width: int = 64, norm: str = "running", momentum: float = 0.1
    ) -> None:
        super().__init__()
        if norm not in POLICIES:
            raise unknown("normalization policy", norm, POLICIES)
        if size < 16:
            raise RobustMetaError(f"images of {size}x{size} are too small for conv4; four poolings need at least 16x16")
        if channels < 1 or width < 1 or (norm == "group" and width % min(8, width)):
            raise RobustMetaError(
                f"channels is {channels} and width {width}; both must be at least 1, and under group normalization "
                "a width above 8 must be a multiple of 8"
            )
        if not 0 <= momentum <= 1:
            raise RobustMetaError(f"momentum is {momentum:g}; it must lie in [0, 1], the weight of the newest batch")
        self.channels, self.size, self.width, self.norm, self.momentum = channels, size, width, norm, momentum
        self.blocks = nn.ModuleList(ConvBlock(channels if i == 0 else width, width, norm) for i in range(4))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def out_features(self) -> int:
        """D, the number of features of an image."""
        return self.width * (self.size // 16) ** 2

    def forward(self, images: Tensor, statistics: Statistics | None = None) -> Embedding:
        """Features of images `[T, N, C, H, W]`, normalised with `statistics` where they are given.

        Raises `RobustMetaError` if the images are not `[T, N, channels, size, size]`.
        """
        if images.dim() != 5 or images.shape[2:] != (self.channels, self.size, self.size):
            expected = f"[T, N, {self.channels}, {self.size}, {self.size}]"
            raise RobustMetaError(f"conv4 was given images of shape {list(images.shape)}; it is made for {expected}")
        tasks, number = images.shape[:2]
        x = images.flatten(0, 1).to(memory_format=torch.channels_last)
        used = []
        for i, block in enumerate(self.blocks):
            x, moments = block(x, tasks, statistics[i] if statistics else None)
            used.append(moments)
        features = x.reshape(tasks, number, -1)
        return Embedding(features, None if None in used else tuple(used))

    @torch.no_grad()
    def track(self, statistics: Statistics | None) -> None:
        """Move the running averages towards `statistics` (averaged over tasks); does nothing for other policies."""
        if self.norm != "running" or statistics is None:
            return
        for block, moments in zip(self.blocks, statistics, strict=True):
            assert isinstance(block, ConvBlock)
            block.running_mean.lerp_(moments.mean.mean(0), self.momentum)
            block.running_var.lerp_(moments.var.mean(0), self.momentum)


def detach(statistics: Statistics | None) -> Statistics | None:
    """The same statistics, cut off from the graph."""
    return statistics and tuple(Moments(m.mean.detach(), m.var.detach()) for m in statistics)


def select_tasks(statistics: Statistics | None, tasks: Sequence[int]) -> Statistics | None:
    """The statistics of some of the tasks; statistics that all tasks share stay as they are."""
    return statistics and tuple(
        m if len(m.mean) == 1 else Moments(m.mean[list(tasks)], m.var[list(tasks)]) for m in statistics
    )

"""What backbones of convolution blocks have in common: their settings, statistics, dropout and embedding."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robustmeta.backbones.base import POLICIES, Backbone, Embedding, Moments, Statistics
from robustmeta.backbones.conv_block import ConvBlock
from robustmeta.draws import Draws, seeds_of
from robustmeta.errors import RobustMetaError, unknown


class Pass:
    """One pass of images `[T, N, C, H, W]` through blocks, which notes what each normalised with.

    Blocks are called in the order in which they were registered: moments belong to them by their place.
    keeps: in training with dropout, whence the masks are drawn; without, None.
    """

    def __init__(self, tasks: int, given: Statistics | None, passing: bool, keeps: "Keeps | None") -> None:
        self._tasks, self._given, self._passing, self._keeps = tasks, given, passing, keeps
        self.used: list[Moments | None] = []

    def mask(self, channels: int) -> Tensor | None:
        """A mask over the channels of a block's output; None where nothing is dropped, or the moments have one."""
        return None if self._keeps is None or self._given else self._keeps.drawn(channels)

    def __call__(self, block: nn.Module, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """The block's output, its channels multiplied with `keep`."""
        given = self._given[len(self.used)] if self._given else None
        y, moments = block(x, self._tasks, given, self._passing, keep)
        self.used.append(moments)
        return y  # type: ignore[no-any-return]


class Keeps:
    """Masks `[S, channels]`, 0 with probability `dropout` and else 1 / (1 - dropout), of S supports' own streams."""

    def __init__(self, images: Tensor, dropout: float) -> None:
        self._draws, self._dropout = Draws(images, seeds_of(images, True)), dropout

    def drawn(self, channels: int) -> Tensor:
        """The next mask."""
        kept = self._draws.uniform(channels) >= self._dropout
        return kept / (1 - self._dropout)


class Convolutional(Backbone):
    """A backbone of `ConvBlock`s. A subclass makes them, then calls `_finish`, and defines `_maps` and `_map_shape`.

    channels, size: C and H = W of the images. widths: channels of the blocks. poolings: how often they halve the image.
    norm: the normalization policy. momentum: weight of the newest batch in the running average.
    embedding: features of a last linear layer; None for the maps themselves, flattened. dropout: probability with
    which a channel is dropped in training. One mask is drawn where a support is read (for each task, or for all
    that share their statistics) and goes with the statistics to the queries, so that a classifier stays one function
    of its input; policies that pass no statistics have no dropout.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        widths: Sequence[int],
        norm: str,
        momentum: float,
        poolings: int,
        embedding: int | None,
        dropout: float,
    ) -> None:
        super().__init__()
        name, least = type(self).__name__.lower(), 2**poolings
        if norm not in POLICIES:
            raise unknown("normalization policy", norm, POLICIES)
        if size < least:
            raise RobustMetaError(
                f"images of {size}x{size} are too small for {name}; {poolings} poolings need at least {least}x{least}"
            )
        if channels < 1 or min(widths) < 1 or (norm == "group" and any(width % min(8, width) for width in widths)):
            raise RobustMetaError(
                f"channels is {channels} and width {widths[0]}; both must be at least 1, and under group normalization "
                f"a width above 8 must be a multiple of 8 (the widths of {name} are {', '.join(map(str, widths))})"
            )
        if not 0 <= momentum <= 1:
            raise RobustMetaError(f"momentum is {momentum:g}; it must lie in [0, 1], the weight of the newest batch")
        if embedding is not None and embedding < 1:
            raise RobustMetaError(f"embedding is {embedding}; it must be at least 1, or null for no embedding")
        if not 0 <= dropout < 1:
            raise RobustMetaError(f"dropout is {dropout:g}; it must be at least 0 and below 1")
        if dropout and norm not in ("running", "support"):
            raise RobustMetaError(
                f"dropout is {dropout:g} under the normalization policy {norm!r}, which has no statistics to take the "
                "mask to the queries; use running or support, or dropout 0"
            )
        self.channels, self.size, self.norm, self.momentum = channels, size, norm, momentum
        self.embedding, self.dropout = embedding, dropout

    def _finish(self) -> None:
        """Make what comes after the blocks."""
        if self.embedding is not None:
            self.linear = nn.Linear(self._mapped, self.embedding)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def _map_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the last map, or (D, 1, 1) of several, flattened."""
        raise NotImplementedError(f"{type(self).__name__} must define _map_shape")

    def _maps(self, x: Tensor, through: Pass) -> list[Tensor]:
        """The maps `[T*N, C, H, W]` that make the features, of images `[T*N, C, H, W]`."""
        raise NotImplementedError(f"{type(self).__name__} must define _maps(x, through)")

    @property
    def _mapped(self) -> int:
        return math.prod(self._map_shape)

    @property
    def map_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the feature map whose flattening the features are; (D, 1, 1) where there is no such map."""
        return self._map_shape if self.embedding is None else (self.embedding, 1, 1)

    @property
    def out_features(self) -> int:
        """D, the number of features of an image."""
        return math.prod(self.map_shape)

    def forward(self, images: Tensor, statistics: Statistics | None = None, passing: bool = True) -> Embedding:
        """Features of images `[T, N, C, H, W]`, normalised with `statistics` where they are given.

        passing: whether statistics are wanted for other images of the same tasks.
        Raises `RobustMetaError` if the images are not `[T, N, channels, size, size]`.
        """
        if images.dim() != 5 or images.shape[2:] != (self.channels, self.size, self.size):
            expected, name = f"[T, N, {self.channels}, {self.size}, {self.size}]", type(self).__name__.lower()
            raise RobustMetaError(f"{name} was given images of shape {list(images.shape)}; it is made for {expected}")
        tasks, number = images.shape[:2]
        grouped = self._blocks[0].conv.weight.dim() == 5  # weights of T networks, whose channels lie side by side
        x = images.transpose(0, 1).flatten(1, 2) if grouped else images.flatten(0, 1)
        x = x.to(memory_format=torch.channels_last)
        keeps = None
        if self.dropout and self.training and statistics is None:
            keeps = Keeps(images[:1] if self.norm == "running" and not grouped else images, self.dropout)
        through = Pass(tasks, statistics, passing, keeps)
        flat = [
            torch.unflatten(y, 1, (tasks, -1)).transpose(0, 1).flatten(2) if grouped else y.reshape(tasks, number, -1)
            for y in self._maps(x, through)
        ]
        features = torch.cat(flat, -1) if len(flat) > 1 else flat[0]
        if self.embedding is not None:
            features = linear(features, self.linear.weight, self.linear.bias)
        used = tuple(moments for moments in through.used if moments is not None)
        return Embedding(features, used if len(used) == len(through.used) else None)

    @torch.no_grad()
    def track(self, statistics: Statistics | None) -> None:
        """Move the running averages towards `statistics` (averaged over tasks); does nothing for other policies."""
        if self.norm != "running" or statistics is None:
            return
        for block, moments in zip(self._blocks, statistics, strict=True):
            block.running_mean.lerp_(moments.mean.mean(0), self.momentum)
            block.running_var.lerp_(moments.var.mean(0), self.momentum)

    @property
    def _blocks(self) -> list[ConvBlock]:
        return [module for module in self.modules() if isinstance(module, ConvBlock)]


def linear(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A linear layer on features `[T, N, D]`, with weights `[K, D]`, or `[T, K, D]` of T networks."""
    return torch.baddbmm(bias[:, None], features, weight.mT) if weight.dim() == 3 else F.linear(features, weight, bias)

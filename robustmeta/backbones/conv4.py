"""Conv4, the backbone of most few-shot papers."""

import torch
from torch import Tensor, nn

from robustmeta.backbones.base import BACKBONES, POLICIES, Backbone, Embedding, Statistics
from robustmeta.backbones.conv_block import ConvBlock
from robustmeta.errors import RobustMetaError, unknown


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

    takes_task_weights = True

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

    def forward(self, images: Tensor, statistics: Statistics | None = None, passing: bool = True) -> Embedding:
        """Features of images `[T, N, C, H, W]`, normalised with `statistics` where they are given.

        passing: whether statistics are wanted for other images of the same tasks.
        Raises `RobustMetaError` if the images are not `[T, N, channels, size, size]`.
        """
        if images.dim() != 5 or images.shape[2:] != (self.channels, self.size, self.size):
            expected = f"[T, N, {self.channels}, {self.size}, {self.size}]"
            raise RobustMetaError(f"conv4 was given images of shape {list(images.shape)}; it is made for {expected}")
        tasks, number = images.shape[:2]
        first = self.blocks[0]
        assert isinstance(first, ConvBlock)
        grouped = first.conv.weight.dim() == 5  # weights of T networks, whose channels lie side by side
        x = images.transpose(0, 1).flatten(1, 2) if grouped else images.flatten(0, 1)
        x = x.to(memory_format=torch.channels_last)
        used = []
        for i, block in enumerate(self.blocks):
            x, moments = block(x, tasks, statistics[i] if statistics else None, passing)
            used.append(moments)
        features = (
            torch.unflatten(x, 1, (tasks, -1)).transpose(0, 1).flatten(2) if grouped else x.reshape(tasks, number, -1)
        )
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

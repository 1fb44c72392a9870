"""ResNet-12, the larger backbone of few-shot papers."""

import torch.nn.functional as F
from torch import Tensor, nn

from robustmeta.backbones.base import BACKBONES
from robustmeta.backbones.conv_block import ConvBlock
from robustmeta.backbones.convolutional import Convolutional, Pass
from robustmeta.errors import unknown

SLOPE = 0.1
POOLINGS = ("flatten", "average")


class Residual(nn.Module):
    """Three 3x3 convolutions beside one of 1x1, each normalised; their sum through LeakyReLU and 2x2 max-pooling."""

    def __init__(self, channels: int, width: int, norm: str) -> None:
        super().__init__()
        self.width = width
        self.layers = nn.ModuleList(
            ConvBlock(channels if i == 0 else width, width, norm, slope=1 if i == 2 else SLOPE, pools=False)
            for i in range(3)
        )
        self.shortcut = ConvBlock(channels, width, norm, kernel=1, slope=1, pools=False)

    def forward(self, x: Tensor, through: Pass) -> Tensor:
        """Images `[T*N, C, H, W]` to `[T*N, width, H//2, W//2]`."""
        keep = through.mask(self.width)  # of both summands: the mask of their sum
        first, second, third = self.layers
        y = through(third, through(second, through(first, x)), keep)
        return F.leaky_relu(F.max_pool2d(y + through(self.shortcut, x, keep), 2), SLOPE)


@BACKBONES.register("resnet12")
class ResNet12(Convolutional):
    """ResNet-12: four residual blocks of three convolutions (Oreshkin, Rodriguez & Lacoste, 2018; Lee et al., 2019).

    channels, size: C and H = W of the images. width: channels of the first block, W; the others have 2.5 W, 5 W and
    10 W (64, 160, 320 and 640 in the paper). norm, momentum: as in `Conv4`.
    pooling: the last map flattened (`flatten`) or averaged over its places (`average`).
    embedding: features of a linear layer after it, if any. dropout: probability with which a residual block's channel
    is dropped in training; see `Convolutional`.

    Deviates from the paper in dropout of whole channels, fixed for a task, where the paper drops single values and, in
    later blocks, squares of the map; in torch's own initialisation; and in the named normalization policies.

    Raises `RobustMetaError` for an unknown pooling and for what `Conv4` refuses.
    """

    def __init__(
        self,
        channels: int = 1,
        size: int = 28,
        width: int = 64,
        norm: str = "running",
        momentum: float = 0.1,
        pooling: str = "flatten",
        embedding: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        if pooling not in POOLINGS:
            raise unknown("pooling", pooling, POOLINGS)
        widths = (width, round(2.5 * width), 5 * width, 10 * width)
        super().__init__(channels, size, widths, norm, momentum, 4, embedding, dropout)
        self.width, self.pooling = width, pooling
        self.blocks = nn.ModuleList(Residual(*pair, norm) for pair in zip((channels, *widths), widths, strict=False))
        self._finish()

    @property
    def _map_shape(self) -> tuple[int, int, int]:
        side = 1 if self.pooling == "average" else self.size // 16
        return 10 * self.width, side, side

    def _maps(self, x: Tensor, through: Pass) -> list[Tensor]:
        for block in self.blocks:
            x = block(x, through)
        return [x.mean((2, 3), keepdim=True) if self.pooling == "average" else x]

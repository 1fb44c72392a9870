"""The network of R2-D2: wider and wider blocks, of which the last two make the features."""

from torch import Tensor, nn

from robustmeta.backbones.base import BACKBONES
from robustmeta.backbones.conv_block import ConvBlock
from robustmeta.backbones.convolutional import Convolutional, Pass


@BACKBONES.register("r2d2net")
class R2D2Net(Convolutional):
    """The network of R2-D2: four blocks, the last two maps flattened side by side (Bertinetto et al., 2019).

    Each block is a 3x3 convolution, normalization, 2x2 max-pooling and LeakyReLU(0.1).

    channels, size: C and H = W of the images. width: channels of the first block, W; the others have 2 W, 4 W and
    16/3 W (96, 192, 384 and 512 in the paper). norm, momentum: as in `Conv4`.
    embedding: features of a linear layer after them, if any. dropout: probability with which a channel of the last two
    blocks is dropped in training; see `Convolutional`.

    Deviates from the paper in dropout of whole channels, fixed for a task, with one probability for both blocks
    (0.1 and 0.4 there), and in the named normalization policies.

    Raises `RobustMetaError` for what `Conv4` refuses.
    """

    def __init__(
        self,
        channels: int = 1,
        size: int = 28,
        width: int = 96,
        norm: str = "running",
        momentum: float = 0.1,
        embedding: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        self.widths = (width, 2 * width, 4 * width, round(width * 16 / 3))
        super().__init__(channels, size, self.widths, norm, momentum, 4, embedding, dropout)
        self.width = width
        pairs = zip((channels, *self.widths), self.widths, strict=False)
        self.blocks = nn.ModuleList(ConvBlock(*pair, norm, slope=0.1) for pair in pairs)
        self._finish()

    @property
    def _map_shape(self) -> tuple[int, int, int]:
        third, fourth = self.widths[2:]
        return third * (self.size // 8) ** 2 + fourth * (self.size // 16) ** 2, 1, 1

    def _maps(self, x: Tensor, through: Pass) -> list[Tensor]:
        first, second, third, fourth = self.blocks
        x = through(second, through(first, x))
        x = through(third, x, through.mask(self.widths[2]))
        return [x, through(fourth, x, through.mask(self.widths[3]))]

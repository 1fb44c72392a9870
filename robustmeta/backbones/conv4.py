"""Conv4, the backbone of most few-shot papers."""

from torch import Tensor, nn

from robustmeta.backbones.base import BACKBONES
from robustmeta.backbones.conv_block import ConvBlock
from robustmeta.backbones.convolutional import Convolutional, Pass
from robustmeta.errors import RobustMetaError


@BACKBONES.register("conv4")
class Conv4(Convolutional):
    """Four blocks of convolution, normalization, ReLU and pooling (Vinyals et al., 2016).

    channels, size: C and H = W of the images. width: channels of each block (64 in the papers).
    norm: the normalization policy, one of `running | support | group | transductive`.
    momentum: weight of the newest batch in the running average.
    poolings: how many of the blocks pool, the first ones. embedding: features of a linear layer after them, if any.
    dropout: probability with which a block's channel is dropped in training; see `Convolutional`.

    Deviates from the paper in pooling before the ReLU (the same function, on a quarter of the values) and in the
    policies, of which the paper's code had one (transductive) without naming it.

    Raises `RobustMetaError` for an unknown policy, images too small for the poolings, no channels or a width that
    group normalization cannot divide, a momentum outside [0, 1], poolings outside 0 to 4, an embedding below 1, or a
    dropout outside [0, 1) or under a policy without statistics.
    """

    takes_task_weights = True

    def __init__(
        self,
        channels: int = 1,
        size: int = 28,
        width: int = 64,
        norm: str = "running",
        momentum: float = 0.1,
        poolings: int = 4,
        embedding: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        if not 0 <= poolings <= 4:
            raise RobustMetaError(f"poolings is {poolings}; conv4 has four blocks, so it must be 0 to 4")
        super().__init__(channels, size, (width,) * 4, norm, momentum, poolings, embedding, dropout)
        self.width, self.poolings = width, poolings
        self.blocks = nn.ModuleList(
            ConvBlock(channels if i == 0 else width, width, norm, pools=i < poolings) for i in range(4)
        )
        self._finish()

    @property
    def _map_shape(self) -> tuple[int, int, int]:
        side = self.size // 2**self.poolings
        return self.width, side, side

    def _maps(self, x: Tensor, through: Pass) -> list[Tensor]:
        for block in self.blocks:
            x = through(block, x, through.mask(self.width))
        return [x]

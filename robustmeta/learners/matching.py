"""Matching networks: attention over the support, by cosine similarity."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robustmeta.backbones import Backbone
from robustmeta.draws import Draws
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import LEARNERS
from robustmeta.learners.embedding import EmbeddingLearner


class Support(NamedTuple):
    """What queries attend to: embeddings `[T, N, D]` of the support, and whose they are, 0 or 1, `[T, N, ways]`."""

    embedded: Tensor
    members: Tensor


def attention_logits(scores: Tensor, members: Tensor) -> Tensor:
    """Log sum_i softmax(scores)_i members_ic: of scores `[T, Q, N]` and members `[T, N, ways]`, `[T, Q, ways]`."""
    others = members[:, None].mT == 0  # [T, 1, ways, N]
    return scores.log_softmax(-1)[:, :, None].masked_fill(others, -torch.inf).logsumexp(-1)


@LEARNERS.register("matching")
class MatchingNet(EmbeddingLearner):
    """Matching networks (Vinyals, Blundell, Lillicrap, Kavukcuoglu & Wierstra, 2016).

    Adapted: S = {g(x_i), y_i}; logits(x)_c = log sum over i of class c of softmax_i(scale * cos(f(x), g(x_i))).

    backbone: images `[T, N, C, H, W]` to features `[T, N, D]`, as `Conv4`.
    scale: of the cosines, where training begins; it is learned.
    full_context: whether embeddings hang on the whole support: g(x_i) goes through an LSTM over the support in both
    directions, in an order drawn for the task, and f(x) through an LSTM that attends to the support `reads` times.

    Deviates from the paper in the scale of the cosines, which the paper leaves at 1, where no attention can be sharp.

    Raises `RobustMetaError` for a scale that is not above 0 or less than 1 read.
    """

    def __init__(self, backbone: Backbone, *, scale: float = 10.0, full_context: bool = False, reads: int = 5) -> None:
        super().__init__(backbone)
        if not scale > 0 or reads < 1:
            raise RobustMetaError(f"scale is {scale:g} and reads {reads}; scale must be above 0, reads at least 1")
        self.scale = nn.Parameter(torch.tensor(float(scale)))
        self.full_context, self.reads = full_context, reads
        if full_context:
            size = backbone.out_features
            self.forth, self.back = nn.LSTMCell(size, size), nn.LSTMCell(size, size)
            self.attending = nn.LSTMCell(2 * size, size)

    def fit(self, features: Tensor, labels: Tensor, draws: Draws) -> Support:
        """The embeddings of supports with features `[T, N, D]` and labels `[T, N]`."""
        members = F.one_hot(labels).to(features.dtype)
        if not self.full_context:
            return Support(features, members)
        order = draws.orders(features.shape[1])[..., None]
        read = features.gather(1, order.expand_as(features))
        context = _outputs(self.forth, read) + _outputs(self.back, read.flip(1)).flip(1)
        return Support(read + context, members.gather(1, order.expand_as(members)))

    def logits(self, state: Support, features: Tensor) -> Tensor:
        """Logs of the attention `[T, Q, ways]` that features `[T, Q, D]` pay to each class."""
        embedded = self._in_context(state.embedded, features) if self.full_context else features
        cosines = F.normalize(embedded, dim=-1) @ F.normalize(state.embedded, dim=-1).mT
        return attention_logits(self.scale * cosines, state.members)

    def _in_context(self, support: Tensor, features: Tensor) -> Tensor:
        """Features `[T, Q, D]` after `reads` of supports `[T, N, D]`: h_k = LSTM(f, [h_k-1, r_k-1]) + f."""
        hidden, memory = features, torch.zeros_like(features).flatten(0, 1)
        for _ in range(self.reads):
            read = (hidden @ support.mT).softmax(-1) @ support
            taken = torch.cat([features, read], -1).flatten(0, 1)
            output, memory = self.attending(taken, (hidden.flatten(0, 1), memory))
            hidden = output.view_as(features) + features
        return hidden


def _outputs(cell: nn.LSTMCell, inputs: Tensor) -> Tensor:
    """What an LSTM says of each of inputs `[T, N, D]`, one after another, `[T, N, D]`."""
    state, outputs = None, []
    for given in inputs.unbind(1):
        state = cell(given, state)
        outputs.append(state[0])
    return torch.stack(outputs, 1)

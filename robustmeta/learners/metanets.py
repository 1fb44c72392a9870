"""Meta networks: fast weights, made from the gradients of losses on the support, beside slow ones."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robustmeta.backbones import Backbone
from robustmeta.draws import Draws
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import LEARNERS
from robustmeta.learners.embedding import EmbeddingLearner
from robustmeta.learners.fast_weights import check_ways


class FastWeights(NamedTuple):
    """Fast weights of the representation `[T, E, D]`, and the keys `[T, N, E]` under which each support image has those
    of both layers of the classifier, `[T, N, H, D]` and `[T, N, ways, H]`.
    """

    represent: Tensor
    keys: Tensor
    first: Tensor
    second: Tensor


class WeightsFromGradients(nn.Module):
    """An MLP from each entry of a gradient to a fast weight, entry by entry."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, gradients: Tensor) -> Tensor:
        """Fast weights `[...]` of gradients `[...]`."""
        weights: Tensor = self.layers(scaled(gradients)).squeeze(-1)
        return weights


def scaled(gradients: Tensor) -> Tensor:
    """Gradients `[...]` of any magnitude as `[..., 2]`: (log|g| / 7, sgn g) where |g| >= e^-7, else (-1, e^7 g).

    By Andrychowicz et al. (2016).
    """
    least = torch.tensor(-7.0, dtype=gradients.dtype, device=gradients.device).exp()
    size = gradients.abs()
    return torch.stack([size.clamp(min=least).log() / 7, (gradients / least).clamp(-1, 1)], -1)


@LEARNERS.register("metanets")
class MetaNets(EmbeddingLearner):
    """Meta networks (Munkhdalai & Yu, 2017).

    Adapted: Q* = d(mean over i of grad_Q L(V relu(Q f(x_i)), y_i)) are fast weights of the representation
    r(x) = relu(Q f(x)) + relu(Q* f(x)), and W*_i = m(grad_W L(b_W(f(x_i)), y_i)) those of the classifier b for each
    support image, kept under the key r(x_i). A query is classified by slow and fast weights at once,
    h = relu(W1 f) + relu(W1* f), logits = W2 h + W2* h, with W* = sum_i softmax_i(scale * cos(r(x), r(x_i))) W*_i.

    backbone: images `[T, N, C, H, W]` to features `[T, N, D]`, as `Conv4`. ways: classes of a task, fixed by b.
    units: E and H, of the representation and of b's hidden layer. hidden: of d and m, which map gradients to weights
    entry by entry. scale: of the cosines, where training begins; it is learned.

    Deviates from the paper in fast weights for linear layers only, on one backbone, where each convolution of two had
    them; in d, which takes the mean gradient where the paper's is an LSTM over the gradients; in cross-entropy as loss
    of the representation whatever the shots; and in the scale of the cosines, which the paper leaves at 1.

    Raises `RobustMetaError` for sizes below 1 or a scale that is not above 0.
    """

    def __init__(
        self, backbone: Backbone, ways: int = 5, *, units: int = 64, hidden: int = 20, scale: float = 10.0
    ) -> None:
        super().__init__(backbone)
        if min(units, hidden) < 1 or not scale > 0:
            raise RobustMetaError(
                f"units is {units}, hidden {hidden} and scale {scale:g}; sizes must be at least 1, scale above 0"
            )
        self.represent, self.judge = nn.Linear(backbone.out_features, units), nn.Linear(units, ways)  # Q, V
        self.first, self.second = nn.Linear(backbone.out_features, units), nn.Linear(units, ways)  # W1, W2
        self.of_represent, self.of_first, self.of_second = (WeightsFromGradients(hidden) for _ in range(3))
        self.scale = nn.Parameter(torch.tensor(float(scale)))

    def fit(self, features: Tensor, labels: Tensor, draws: Draws) -> FastWeights:
        """The fast weights of supports with features `[T, N, D]` and labels `[T, N]`."""
        ways = self.second.out_features
        check_ways(self, labels, ways)
        wanted = F.one_hot(labels, ways).to(features.dtype)
        of_q, _ = gradients(self.represent, self.judge, features, wanted)
        represent = self.of_represent(of_q.mean(1))
        keys = self._represented(represent, features)
        of_first, of_second = gradients(self.first, self.second, features, wanted)
        return FastWeights(represent, keys, self.of_first(of_first), self.of_second(of_second))

    def logits(self, state: FastWeights, features: Tensor) -> Tensor:
        """Logits `[T, Q, ways]` of features `[T, Q, D]`."""
        represented = self._represented(state.represent, features)
        cosines = F.normalize(represented, dim=-1) @ F.normalize(state.keys, dim=-1).mT
        attention = (self.scale * cosines).softmax(-1)  # [T, Q, N]
        hidden = F.relu(self.first(features)) + F.relu(attended(attention, state.first, features))
        logits: Tensor = self.second(hidden) + attended(attention, state.second, hidden)
        return logits

    def _represented(self, fast: Tensor, features: Tensor) -> Tensor:
        return F.relu(self.represent(features)) + F.relu(features @ fast.mT)


def gradients(first: nn.Linear, second: nn.Linear, features: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Of the cross-entropy of second(relu(first(f))) by both weights: `[T, N, H, D]` and `[T, N, ways, H]`.

    Those of each image by itself, (p - y) h^T and (W2^T (p - y) * [h > 0]) f^T, written out so that they can be
    differentiated again anywhere.
    features: `[T, N, D]`. wanted: `[T, N, ways]`, one-hot.
    """
    hidden = F.relu(first(features))
    wrong = second(hidden).softmax(-1) - wanted
    back = (wrong @ second.weight) * (hidden > 0)
    return back[..., None] * features[..., None, :], wrong[..., None] * hidden[..., None, :]


def attended(attention: Tensor, weights: Tensor, inputs: Tensor) -> Tensor:
    """sum_i a_i W_i x for attention `[T, Q, N]`, weights `[T, N, O, D]` and inputs `[T, Q, D]`: `[T, Q, O]`."""
    each = torch.unflatten(inputs @ weights.flatten(1, 2).mT, -1, weights.shape[1:3])  # [T, Q, N, O]
    return (attention[..., None, :] @ each).squeeze(-2)

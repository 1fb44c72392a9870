"""Siamese networks: a learned verification of pairs, put to every image of the support."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robustmeta.backbones import Backbone
from robustmeta.batch import Queries
from robustmeta.draws import Draws
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import LEARNERS, Classifier
from robustmeta.learners.embedding import EmbeddingClassifier, EmbeddingLearner


class Pairs(NamedTuple):
    """The support's halves of pairs: weighted twins `[T, N, units]`, and whose they are, 0 or 1, `[T, N, ways]`."""

    twins: Tensor
    members: Tensor


@LEARNERS.register("siamese")
class Siamese(EmbeddingLearner):
    """Siamese networks (Koch, Zemel & Salakhutdinov, 2015).

    Adapted: the log-odds that x and x_i are of one class, s(x, x_i) = b - sum_j |w_j| |h(x)_j - h(x_i)_j|, with
    h = sigmoid(L f), L a linear layer; logits(x)_c = mean of s(x, x_i) over the support of class c.

    backbone: images `[T, N, C, H, W]` to features `[T, N, D]`, as `Conv4`. units: of the linear layer.

    Trained by binary cross-entropy of s over all pairs of a query and a support image; pairs of one class and pairs of
    two weigh the same in total, however many there are of each.

    Deviates from the paper in weights of one sign, in pairs from few-shot tasks with their two kinds balanced by
    weight, where the paper drew as many of each, and in the mean log-odds over shots, where the paper had one shot.

    Raises `RobustMetaError` for no units.
    """

    def __init__(self, backbone: Backbone, *, units: int = 256) -> None:
        super().__init__(backbone)
        if units < 1:
            raise RobustMetaError(f"units is {units}; it must be at least 1")
        self.twin = nn.Linear(backbone.out_features, units)
        # At first units differ by about 1/8, and so pairs have even odds.
        self.weight = nn.Parameter(torch.full((units,), 16 / units))
        self.bias = nn.Parameter(torch.tensor(2.0))

    def fit(self, features: Tensor, labels: Tensor, draws: Draws) -> Pairs:
        """The twins of supports with features `[T, N, D]` and labels `[T, N]`."""
        return Pairs(self._twins(features), F.one_hot(labels).to(features.dtype))

    def log_odds(self, state: Pairs, features: Tensor) -> Tensor:
        """The log-odds `[T, Q, N]` that features `[T, Q, D]` and each support image are of one class."""
        return self.bias - torch.cdist(self._twins(features), state.twins, p=1)

    def logits(self, state: Pairs, features: Tensor) -> Tensor:
        """The mean log-odds `[T, Q, ways]` of features `[T, Q, D]` with the support of each class."""
        return self.log_odds(state, features) @ (state.members / state.members.sum(1, keepdim=True))

    def outer_loss(self, classifier: Classifier, queries: Queries) -> Tensor:
        """The balanced binary cross-entropy (a scalar) of all pairs of a query and a support image."""
        assert isinstance(classifier, EmbeddingClassifier)
        log_odds = classifier.asked(self.log_odds, queries.query_x)
        same = F.one_hot(queries.query_y, classifier.ways).to(log_odds.dtype) @ classifier.state.members.mT
        weight = same / same.sum() + (1 - same) / (1 - same).sum()
        return F.binary_cross_entropy_with_logits(log_odds, same, weight / 2, reduction="sum")

    def _twins(self, features: Tensor) -> Tensor:
        twins: Tensor = self.weight * self.twin(features).sigmoid()  # |w a - w b| = |w| |a - b|
        return twins

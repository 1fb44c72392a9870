"""Relation networks: a learned comparison of each query with each class."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robustmeta.backbones import Backbone
from robustmeta.batch import Queries
from robustmeta.draws import Draws
from robustmeta.errors import RobustMetaError, unknown
from robustmeta.learners.base import LEARNERS, Classifier
from robustmeta.learners.embedding import EmbeddingLearner
from robustmeta.learners.protonet import class_means

LOSSES = ("mse", "ce")


class Compared(NamedTuple):
    """What queries are compared with: what the first convolution makes of each class, `[T, ways, channels, H, W]`."""

    classes: Tensor


@LEARNERS.register("relation")
class RelationNet(EmbeddingLearner):
    """Relation networks (Sung, Yang, Zhang, Xiang, Torr & Hospedales, 2018).

    Adapted: p_c = mean of f(x) over the support of class c, a feature map; logits(x)_c = g([p_c, f(x)]), whose sigmoid
    is the relation score: g is two blocks of 3x3 convolution, normalization, ReLU and pooling, then two linear layers.

    backbone: images `[T, N, C, H, W]` to features `[T, N, D]` that are feature maps of `map_shape`, as `Conv4`.
    channels: of both blocks. hidden: size of the first linear layer.
    loss: `mse`, of the scores to 1 for the class of the query and 0 for the others, or `ce`, cross-entropy of logits.

    Deviates from the paper in the mean over shots, where it sums; in group normalization inside the relation module,
    where batch normalization would let queries see each other; and in pooling only where a map is 2x2 or larger.

    Raises `RobustMetaError` for an unknown loss, no units, or channels that group normalization cannot divide.
    """

    def __init__(self, backbone: Backbone, *, channels: int = 64, hidden: int = 8, loss: str = "mse") -> None:
        super().__init__(backbone)
        if loss not in LOSSES:
            raise unknown("loss", loss, LOSSES)
        if channels < 1 or hidden < 1 or (channels > 8 and channels % 8):
            raise RobustMetaError(
                f"channels is {channels} and hidden {hidden}; both must be at least 1, channels above 8 a multiple of 8"
            )
        self.compared_by = loss
        self.map_shape: tuple[int, int, int] = backbone.map_shape
        given, *size = self.map_shape
        # The first convolution of [p, f] in two halves, whose sum it is, so that pairs cost an addition only.
        self.of_class = nn.Conv2d(given, channels, 3, padding=1, bias=False)
        self.of_query = nn.Conv2d(given, channels, 3, padding=1, bias=False)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        # Groups of 8 channels, and not 8 groups: of a 1x1 map, a group of one channel would leave nothing.
        self.norms = nn.ModuleList(nn.GroupNorm(max(1, channels // 8), channels) for _ in range(2))
        for _ in range(2):
            size = [side // 2 if min(size) > 1 else side for side in size]
        self.linear = nn.Linear(channels * size[0] * size[1], hidden)
        self.score = nn.Linear(hidden, 1)

    def fit(self, features: Tensor, labels: Tensor, draws: Draws) -> Compared:
        """The classes of supports with features `[T, N, D]` and labels `[T, N]`."""
        return Compared(self._half(self.of_class, class_means(features, labels)))

    def logits(self, state: Compared, features: Tensor) -> Tensor:
        """Relation scores `[T, Q, ways]` of features `[T, Q, D]` with each class, before the sigmoid."""
        pairs = self._half(self.of_query, features)[:, :, None] + state.classes[:, None]
        first = self._rest_of_block(0, pairs.flatten(0, 2))
        second = self._rest_of_block(1, self.second(first))
        scores: Tensor = self.score(F.relu(self.linear(second.flatten(1))))
        return scores.view(pairs.shape[:3])

    def outer_loss(self, classifier: Classifier, queries: Queries) -> Tensor:
        """The loss (a scalar) of a posed classifier on queries, as the setting `loss` says."""
        if self.compared_by == "ce":
            return super().outer_loss(classifier, queries)
        logits: Tensor = classifier(queries.query_x)
        return F.mse_loss(logits.sigmoid(), F.one_hot(queries.query_y, classifier.ways).to(logits.dtype))

    def _half(self, convolution: nn.Conv2d, features: Tensor) -> Tensor:
        maps: Tensor = convolution(features.reshape(-1, *self.map_shape))
        return torch.unflatten(maps, 0, features.shape[:2])

    def _rest_of_block(self, index: int, maps: Tensor) -> Tensor:
        maps = self.norms[index](maps)
        return F.relu(F.max_pool2d(maps, 2) if min(maps.shape[2:]) > 1 else maps)

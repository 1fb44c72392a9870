"""Prototypical networks: the nearest class mean in feature space."""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from robustmeta.draws import Draws
from robustmeta.learners.base import LEARNERS
from robustmeta.learners.embedding import EmbeddingLearner


class Prototypes(NamedTuple):
    """The mean features `[T, ways, D]` of each class."""

    means: Tensor


def squared_distance_logits(features: Tensor, prototypes: Tensor) -> Tensor:
    """-||f - p||^2 for features `[T, Q, D]` and prototypes `[T, ways, D]`: logits `[T, Q, ways]`."""
    # From the prototypes' middle: far from zero, the three terms cancel to the last few digits of a float32.
    middle = prototypes.mean(1, keepdim=True)
    features, prototypes = features - middle, prototypes - middle
    cross = features @ prototypes.mT
    return 2 * cross - features.square().sum(-1, keepdim=True) - prototypes.square().sum(-1)[:, None]


def class_means(features: Tensor, labels: Tensor) -> Tensor:
    """Means `[T, ways, D]` of features `[T, N, D]` by label `[T, N]`; classes may have different shots."""
    members = F.one_hot(labels).to(features.dtype)  # [T, N, ways]
    return members.mT @ features / members.sum(1)[..., None]


@LEARNERS.register("protonet")
class ProtoNet(EmbeddingLearner):
    """Prototypical networks (Snell, Swersky & Zemel, 2017).

    Adapted: p_c = mean of f(x) over the support of class c; logits(x)_c = -||f(x) - p_c||^2.

    backbone: images `[T, N, C, H, W]` to features `[T, N, D]`, as `Conv4`.

    Deviates from the paper in nothing but the normalization policy, which is the backbone's setting; the paper's
    higher training way is a setting of the training episodes.
    """

    def fit(self, features: Tensor, labels: Tensor, draws: Draws) -> Prototypes:
        """The prototypes of supports with features `[T, N, D]` and labels `[T, N]`."""
        return Prototypes(class_means(features, labels))

    def logits(self, state: Prototypes, features: Tensor) -> Tensor:
        """Minus the squared distances `[T, Q, ways]` of features `[T, Q, D]` to the prototypes."""
        return squared_distance_logits(features, state.means)

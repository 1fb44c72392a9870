"""R2-D2: a ridge regression in feature space, solved for every task."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robustmeta.backbones import Backbone
from robustmeta.draws import Draws
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import LEARNERS
from robustmeta.learners.embedding import EmbeddingLearner


class Regression(NamedTuple):
    """The weights `[T, D, ways]` of a linear map from features to one-hot labels."""

    weights: Tensor


def ridge_regression(features: Tensor, targets: Tensor, ridge: Tensor | float) -> Tensor:
    """The W `[T, D, K]` that minimises ||X W - Y||^2 + ridge * ||W||^2, for X `[T, N, D]` and Y `[T, N, K]`.

    By Woodbury's identity W = X^T (X X^T + ridge * I)^-1 Y, a system of N equations, however many features there are.
    """
    identity = torch.eye(features.shape[1], dtype=features.dtype, device=features.device)
    solution: Tensor = torch.linalg.solve(features @ features.mT + ridge * identity, targets)
    return features.mT @ solution


@LEARNERS.register("r2d2")
class R2D2(EmbeddingLearner):
    """R2-D2, a ridge regression for each task (Bertinetto, Henriques, Torr & Vedaldi, 2019).

    Adapted: W = X^T (X X^T + lambda I)^-1 Y, for the support's features X `[T, N, D]` and one-hot labels Y;
    logits(x) = alpha * f(x) W + beta. lambda, alpha and beta are learned with the backbone, lambda as exp(log lambda).

    backbone: images to features, as `R2D2Net`, the paper's. ridge: where lambda begins. scale: where alpha begins.

    Deviates from the paper in learning the logarithm of lambda, so that it stays positive, and in where lambda and
    alpha begin; beta, which no softmax can tell, is kept as there.

    Raises `RobustMetaError` for a ridge or scale that is not above 0.
    """

    def __init__(self, backbone: Backbone, *, ridge: float = 1.0, scale: float = 10.0) -> None:
        super().__init__(backbone)
        if not min(ridge, scale) > 0:
            raise RobustMetaError(f"ridge is {ridge:g} and scale {scale:g}; both must be above 0")
        self.log_ridge = nn.Parameter(torch.tensor(math.log(ridge)))
        self.alpha = nn.Parameter(torch.tensor(float(scale)))
        self.beta = nn.Parameter(torch.tensor(0.0))

    def fit(self, features: Tensor, labels: Tensor, draws: Draws) -> Regression:
        """The regressions of supports with features `[T, N, D]` and labels `[T, N]`."""
        return Regression(ridge_regression(features, F.one_hot(labels).to(features.dtype), self.log_ridge.exp()))

    def logits(self, state: Regression, features: Tensor) -> Tensor:
        """The scaled predictions `[T, Q, ways]` for features `[T, Q, D]`."""
        return self.alpha * (features @ state.weights) + self.beta

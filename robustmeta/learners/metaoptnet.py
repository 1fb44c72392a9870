"""MetaOptNet with the ridge head: a ridge regression in its dual form, of fixed strength."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robustmeta.backbones import Backbone
from robustmeta.draws import Draws
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import LEARNERS
from robustmeta.learners.embedding import EmbeddingLearner
from robustmeta.learners.r2d2 import Regression, ridge_regression


@LEARNERS.register("metaoptnet")
class MetaOptNet(EmbeddingLearner):
    """MetaOptNet with the ridge head (Lee, Maji, Ravichandran & Soatto, 2019).

    Adapted: a minimises a^T (X X^T + ridge I) a / 2 - 2 Y^T a, that is a = 2 (X X^T + ridge I)^-1 Y, for the
    support's features X `[T, N, D]` and one-hot labels Y; logits(x) = scale * f(x) X^T a. The scale is learned, the
    ridge is not.

    backbone: images to features, as `ResNet12`, the paper's. ridge: the strength of the regularisation, 50 in the
    authors' code. scale: where the learned scale begins.

    Deviates from the paper in solving the system outright where the authors' code calls a solver of quadratic programs,
    and in leaving label smoothing out.

    Raises `RobustMetaError` for a ridge or scale that is not above 0.
    """

    def __init__(self, backbone: Backbone, *, ridge: float = 50.0, scale: float = 10.0) -> None:
        super().__init__(backbone)
        if not min(ridge, scale) > 0:
            raise RobustMetaError(f"ridge is {ridge:g} and scale {scale:g}; both must be above 0")
        self.ridge = ridge
        self.scale = nn.Parameter(torch.tensor(float(scale)))

    def fit(self, features: Tensor, labels: Tensor, draws: Draws) -> Regression:
        """The weights X^T a of supports with features `[T, N, D]` and labels `[T, N]`."""
        return Regression(ridge_regression(features, 2 * F.one_hot(labels).to(features.dtype), self.ridge))

    def logits(self, state: Regression, features: Tensor) -> Tensor:
        """The scaled scores `[T, Q, ways]` of features `[T, Q, D]`."""
        return self.scale * (features @ state.weights)

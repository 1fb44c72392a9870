"""Transfer: a backbone trained on the base classes, and the nearest calibrated centroid."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from robustmeta.backbones import Backbone
from robustmeta.draws import Draws
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import LEARNERS
from robustmeta.learners.base_training import BaseTrained
from robustmeta.learners.protonet import class_means


class Centroids(NamedTuple):
    """The calibrated centroids `[T, ways, D]` of unit length."""

    centres: Tensor


@LEARNERS.register("transfer")
class Transfer(BaseTrained):
    """Training on the base classes, then calibrated nearest centroid (Subramanya & Pirsiavash, 2022).

    Adapted: c = the unit mean of f(x) / ||f(x)|| over the support of a class; b = the mean of the `nearest` base
    centres by cosine, each weighted by its softmax; logits(x) = scale * cos(f(x), (1 - calibration) c + calibration b).

    backbone: as `Conv4`. classes: of the training split. calibration: how far a centroid moves towards its nearest
    base classes, 0 (not at all) to 1. nearest: how many of them.

    Deviates from the paper in the form of the calibration, which is ours, as the paper's own was not at hand and its
    repository held no code when this was written; and in taking the base
    classifier's weights for the centres of the base classes where the paper has their mean features.

    Raises `RobustMetaError` as `BaseTrained` does, and for settings out of range.
    """

    def __init__(self, backbone: Backbone, classes: int, *, calibration: float = 0.2, nearest: int = 5) -> None:
        super().__init__(backbone, classes)
        if not 0 <= calibration < 1 or not 1 <= nearest <= classes:
            raise RobustMetaError(
                f"calibration is {calibration:g} and nearest {nearest}; they must lie in [0, 1) and 1 to {classes}, "
                "the number of base classes"
            )
        self.calibration, self.nearest = calibration, nearest

    def fit(self, features: Tensor, labels: Tensor, draws: Draws) -> Centroids:
        """The calibrated centroids of supports with features `[T, N, D]` and labels `[T, N]`."""
        own = F.normalize(class_means(F.normalize(features, dim=-1), labels), dim=-1)
        centres = F.normalize(self.centres, dim=-1)
        similar, which = (own @ centres.mT).topk(self.nearest, dim=-1)  # [T, ways, nearest]
        shares = (self.log_scale.exp() * similar).softmax(-1)
        base = torch.einsum("twn,twnd->twd", shares, centres[which])
        return Centroids(F.normalize(torch.lerp(own, base, self.calibration), dim=-1))

    def logits(self, state: Centroids, features: Tensor) -> Tensor:
        """Scale * cos(f, c): logits `[T, Q, ways]` of features `[T, Q, D]`."""
        return self.cosine_logits(features, state.centres)

"""Adversarial querying: the outer loss is taken on queries attacked against the adapted classifier."""

import torch
from torch import Tensor

from robustmeta.attacks.base import craft
from robustmeta.attacks.projected_gradient import ProjectedGradient
from robustmeta.defenses.base import DEFENSES, Defense
from robustmeta.episodes import EpisodeBatch
from robustmeta.errors import RobustMetaError, unknown
from robustmeta.learners.base import Learner

PRECISIONS = ("float32", "bfloat16")


@DEFENSES.register("aq")
class AdversarialQuerying(Defense):
    """Adversarial querying (Goldblum, Fowl & Goldstein, 2020): a learner around a learner.

    min over theta of E [ max over ||delta|| <= eps of L(A(theta, support), query + delta, label) ].

    The inner loop sees the clean support. The queries are crafted against the adapted classifier with its weights
    detached; the outer loss on them goes through the attached ones. `adapt` is the inner learner's.

    learner: any learner. attack: what crafts the queries; PGD-7 in the paper.
    ramp: the share of training over which eps grows from 0 to its full size; 0 is the paper's constant eps.
    precision: of the attack's arithmetic, `float32` or `bfloat16`; the outer loss is always in full precision.

    Deviates from the paper in the ramp, in the precision where it is not full, and in crafting against the very
    function that is scored: the paper's code let every attack step move the running statistics.

    Raises `RobustMetaError` for a ramp outside [0, 1] or an unknown precision.
    """

    defense = "aq"

    def __init__(
        self, learner: Learner, attack: ProjectedGradient, ramp: float = 0.0, precision: str = "float32"
    ) -> None:
        super().__init__(learner, ramp)
        if precision not in PRECISIONS:
            raise unknown("precision", precision, PRECISIONS)
        if not 0 <= ramp <= 1:
            raise RobustMetaError(f"ramp is {ramp:g}; it is a share of training, 0 to 1")
        self.attack, self.precision = attack, precision

    def loss(self, batch: EpisodeBatch) -> Tensor:
        """The inner learner's outer loss (a scalar) on the attacked queries."""
        classifier, posed = self.pose(batch)
        attack = self.attack.scaled(self.eps_share)
        with torch.autocast(batch.query_x.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            attacked = craft(attack, classifier.detach(), posed.query_x, posed.query_y, posed.index or None)
        return self.outer_loss(classifier, posed.with_queries(attacked))

"""What the defenses that attack the queries in the outer loop share."""

from abc import abstractmethod

import torch
from torch import Tensor

from robustmeta.attacks.base import Attack, craft, is_attack
from robustmeta.batch import EpisodeBatch, Queries
from robustmeta.defenses.base import Defense, stack
from robustmeta.errors import RobustMetaError, unknown
from robustmeta.learners.base import Classifier, Learner

PRECISIONS = ("float32", "bfloat16")


class QueryDefense(Defense):
    """A learner around a learner whose posed queries are attacked; a subclass says what is asked of them (`against`).

    The inner loop sees the support as it is posed. The queries are crafted against the adapted classifier with its
    weights detached; the outer loss on them goes through the attached ones.

    learner: any learner. attack: what crafts the queries, safe in training. ramp: the share of training over which eps
    grows from 0 to its full size. precision: of the attack's arithmetic, `float32` or `bfloat16`; the outer loss is
    always in full precision.

    Raises `RobustMetaError` as `Defense` does, for an unknown precision, and for an attack that has no threat.
    """

    def __init__(self, learner: Learner, attack: Attack, ramp: float = 0.0, precision: str = "float32") -> None:
        super().__init__(learner, ramp)
        if precision not in PRECISIONS:
            raise unknown("precision", precision, PRECISIONS)
        inside = next((each for each in stack(learner) if getattr(each, "leaves_range", False)), None)
        if inside is not None:
            raise RobustMetaError(
                f"{type(self).__name__} attacks images in [0, 1], which those of {inside.defense} leave; "
                "set its clip to true"
            )
        if not is_attack(attack):
            raise RobustMetaError(f"the attack is {attack!r}; it must be one that has a threat, as PGD(0.1, steps=7)")
        self.attack, self.precision = attack, precision

    def objective(self, batch: EpisodeBatch) -> Tensor:
        """What is asked of the attacked queries, a scalar."""
        classifier, queries = self.pose(batch)
        return self.against(classifier, queries, self.crafted(classifier, queries))

    def crafted(self, classifier: Classifier, queries: Queries) -> Tensor:
        """The posed queries, attacked: `[T, Q, C, H, W]`, detached."""
        with torch.autocast(queries.query_x.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            return craft(
                self.scaled(self.attack), classifier.detach(), queries.query_x, queries.query_y, queries.index or None
            )

    @abstractmethod
    def against(self, classifier: Classifier, queries: Queries, attacked: Tensor) -> Tensor:
        """The objective (a scalar) of a posed classifier on its queries and on the same ones attacked `[T, Q, ...]`."""
        raise NotImplementedError(f"{type(self).__name__} must define against(classifier, queries, attacked) -> loss")


def check_weight(name: str, weight: float) -> None:
    """Raise `RobustMetaError` for the weight of a term of a loss that is below 0 or no number."""
    if not weight >= 0:
        raise RobustMetaError(f"{name} is {weight:g}; the weight of a term must be at least 0")

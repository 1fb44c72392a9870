"""The joint attack: part of the support and every query, moved against the same adaptation."""

from dataclasses import dataclass, replace
from typing import ClassVar

from robustmeta.attacks.base import Attack, Traits
from robustmeta.attacks.projected_gradient import ProjectedGradient
from robustmeta.attacks.support.fraction import register
from robustmeta.attacks.support.poison import Poison


@dataclass(frozen=True)
class Joint(Poison):
    """Poisoning by an attacker who will also move the queries (after Oldewage, Bronskill & Turner, 2020).

    max over ||s - S|| <= eps, ||x - X|| <= eps of mean_q loss(A(s)(x_q), y_q): the support and the attacker's own
    queries climb together, each image in a ball of its own. The judged queries are then moved against A(s) by as many
    steps of projected gradient on the margin (`then`).

    Settings: see `FractionAttack`.

    Deviates from the authors, who attacked support or query but not both, in being joint.
    """

    moves_queries: ClassVar[bool] = True

    @property
    def traits(self) -> Traits:
        """A white-box attack on support and queries."""
        return replace(super().traits, target="joint")

    @property
    def then(self) -> Attack:
        """What moves the judged queries: projected gradient on the margin, in the same threat."""
        return ProjectedGradient(
            self.threat, self.steps, self.step_size, "margin", random_start=self.random_start, until_fooled=True
        )


register("joint", Joint)

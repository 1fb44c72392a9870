"""What the checks on demand are given."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from robustmeta.attacks.base import Attack, Threat
from robustmeta.attacks.projected_gradient import ProjectedGradient
from robustmeta.audit.trial import Trial

STEPS = 50
"""Steps of the reference attack of these checks, as of the suites' longest."""


@dataclass
class Inquiry:
    """One full audit. It goes from check to check: what attacks with gradients fool is remembered in `trial`.

    twin: the undefended learner on the same episodes. attacks: those of the evaluation with gradients, on queries.
    """

    trial: Trial
    twin: Trial | None
    attacks: Mapping[str, Attack]
    threat: Threat
    ways: int
    defense: str

    def reference(
        self, threat: Threat | None = None, steps: int | None = None, **settings: bool | int
    ) -> ProjectedGradient:
        """Projected gradient on the margin, `STEPS` steps from one random start, until it fools."""
        told = {"until_fooled": True, **settings}
        return ProjectedGradient(threat or self.threat, steps or STEPS, loss="margin", **told)  # type: ignore[arg-type]


def accuracy(right: Tensor) -> float:
    """The share of queries that are right, of `[E, Q]`."""
    return float(right.double().mean())

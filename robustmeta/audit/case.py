"""What the checks that always run are given, and the list of them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from robustmeta.attacks.base import Threat, Traits
from robustmeta.audit.finding import Finding
from robustmeta.outcomes import Outcomes
from robustmeta.registry import Registry


@dataclass(frozen=True)
class Case:
    """An evaluation as its outcomes tell it.

    traits: of each attack, by name. ways: of the tasks. inductive: whether the classifiers say that a query's logits
    depend on no other query. noisy: whether they answer otherwise when asked again.
    """

    outcomes: Outcomes
    traits: Mapping[str, Traits]
    threat: Threat
    ways: int
    inductive: bool
    noisy: bool = False

    @property
    def attacks(self) -> list[str]:
        """The attacks there are outcomes of."""
        return [name for name in self.traits if name in self.outcomes.right]

    @property
    def on_queries(self) -> list[str]:
        """Those that move queries alone."""
        return [name for name in self.attacks if self.traits[name].target == "query"]

    @property
    def clean(self) -> np.ndarray:
        """`[E, Q]`, whether each query is right without an attack."""
        return self.outcomes.right["clean"]

    def seen(self, key: str) -> np.ndarray | None:
        """The evidence of a key; None where there is none, as in files of earlier versions."""
        return self.outcomes.evidence.get(key)

    def of_attacks(self, code: str) -> Iterable[tuple[str, np.ndarray]]:
        """The evidence that a code has on each attack."""
        for name in self.attacks:
            found = self.seen(f"{code}/{name}")
            if found is not None:
                yield name, found

    def fooled(self, name: str) -> np.ndarray:
        """`[E, Q]`, which queries an attack turned from right to wrong."""
        fooled: np.ndarray = self.clean & ~self.outcomes.right[name]
        return fooled


CHECKS: Registry[Callable[[Case], Iterable[Finding]]] = Registry("check")
"""By code: what judges the evidence of an evaluation. No evidence, no finding."""

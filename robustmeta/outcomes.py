"""Per-query outcomes of an evaluation: what the rows of a table are made from."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from robustmeta.errors import RobustMetaError
from robustmeta.files import whole_file
from robustmeta.npz import read_npz

_ARRAYS = ("right", "evidence")


@dataclass
class Outcomes:
    """Which queries were classified right, for the first episodes of one task distribution.

    right: for `clean`, each attack and, where an attack is on queries, `worst`, a bool array `[episodes, Q]`.
    largest: the largest perturbation seen of each attack, measured by the caller in the threat's norm.
    seconds, forwards, backwards: what each cost; images passed through the attacked classifier, forwards and backwards.
    evidence: what the audit noted, by `CODE` or `CODE/attack`, an array over the episodes it looked at.
    errors: in words, by `B04/attack`, the first exception it raised, and by `B06/attack`, what it left changed.
    """

    right: dict[str, np.ndarray] = field(default_factory=dict)
    largest: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    forwards: dict[str, int] = field(default_factory=dict)
    backwards: dict[str, int] = field(default_factory=dict)
    evidence: dict[str, np.ndarray] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def episodes(self) -> int:
        """The number of episodes evaluated so far."""
        return len(self.right["clean"]) if self.right else 0

    def extended(self, more: "Outcomes") -> "Outcomes":
        """These outcomes followed by those of further episodes."""
        if not self.right:
            return more
        evidence = dict(self.evidence)
        for key, values in more.evidence.items():
            evidence[key] = np.concatenate([evidence[key], values]) if key in evidence else values
        return Outcomes(
            {name: np.concatenate([rows, more.right[name]]) for name, rows in self.right.items()},
            {name: max(size, more.largest[name]) for name, size in self.largest.items()},
            {name: spent + more.seconds[name] for name, spent in self.seconds.items()},
            {name: number + more.forwards[name] for name, number in self.forwards.items()},
            {name: number + more.backwards[name] for name, number in self.backwards.items()},
            evidence,
            more.errors | self.errors,
        )

    def save(self, path: str | Path) -> None:
        """Write the outcomes to an `.npz` file, whole or not at all."""
        arrays = {
            f"{part.name}/{name}": np.asarray(value)
            for part in fields(self)
            for name, value in getattr(self, part.name).items()
        }
        with whole_file(path) as part:
            np.savez(part, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | Path, attacks: Sequence[str]) -> "Outcomes":
        """Read outcomes back; raises `RobustMetaError` if the file is damaged or of other attacks."""
        outcomes = read_npz(path, cls._of, "delete it to evaluate again")
        if set(outcomes.right) - {"worst"} != {"clean", *attacks}:
            raise RobustMetaError(f"{path} holds outcomes of other attacks; choose another folder, or delete it")
        if outcomes.forwards.keys() != outcomes.right.keys():
            raise RobustMetaError(f"{path} was written by an older robustmeta; delete it to evaluate again")
        return outcomes

    @classmethod
    def _of(cls, arrays: dict[str, Any]) -> "Outcomes":
        outcomes = cls()
        for key, values in arrays.items():
            kind, _, name = key.partition("/")
            getattr(outcomes, kind)[name] = values if kind in _ARRAYS else values.item()
        return outcomes

"""Per-query outcomes of an evaluation: what the rows of a table are made from."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from robustmeta.errors import RobustMetaError
from robustmeta.files import whole_file


@dataclass
class Outcomes:
    """Which queries were classified right, for the first episodes of one task distribution.

    right: for `clean`, each attack and `worst`, a bool array `[episodes, Q]`. seconds: spent on each.
    largest: the largest perturbation seen of each attack, measured by the caller in the threat's norm.
    """

    right: dict[str, np.ndarray] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    largest: dict[str, float] = field(default_factory=dict)

    @property
    def episodes(self) -> int:
        """The number of episodes evaluated so far."""
        return len(self.right["clean"]) if self.right else 0

    def extended(self, more: "Outcomes") -> "Outcomes":
        """These outcomes followed by those of further episodes."""
        if not self.right:
            return more
        return Outcomes(
            {name: np.concatenate([rows, more.right[name]]) for name, rows in self.right.items()},
            {name: spent + more.seconds[name] for name, spent in self.seconds.items()},
            {name: max(size, more.largest[name]) for name, size in self.largest.items()},
        )

    def save(self, path: str | Path) -> None:
        """Write the outcomes to an `.npz` file, whole or not at all."""
        arrays = {f"right/{name}": rows for name, rows in self.right.items()}
        arrays |= {f"seconds/{name}": np.array(spent) for name, spent in self.seconds.items()}
        arrays |= {f"largest/{name}": np.array(size) for name, size in self.largest.items()}
        with whole_file(path) as part:
            np.savez(part, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | Path, attacks: Sequence[str]) -> "Outcomes":
        """Read outcomes back; raises `RobustMetaError` if the file is damaged or of other attacks."""
        outcomes = cls()
        try:
            with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                for key in arrays.files:
                    kind, _, name = key.partition("/")
                    getattr(outcomes, kind)[name] = arrays[key] if kind == "right" else arrays[key].item()
        except (OSError, ValueError, TypeError, EOFError, AttributeError, RuntimeError, zipfile.BadZipFile) as error:
            raise RobustMetaError(f"{path} is damaged; delete it to evaluate again") from error
        if set(outcomes.right) != {"clean", *attacks, "worst"}:
            raise RobustMetaError(f"{path} holds outcomes of other attacks; choose another folder, or delete it")
        return outcomes

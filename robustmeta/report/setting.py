"""What all rows of one report share: data, task size, episodes, threat."""

from dataclasses import dataclass

import pandas as pd

from robustmeta.errors import RobustMetaError
from robustmeta.report.rows import RESULTS, attacked, distinct, require

NORMS = {"Linf": "L∞", "L2": "L₂"}


@dataclass(frozen=True)
class Setting:
    """The setting that every row of a report was measured in.

    eps: in [0, 1] pixel units, under `threat_norm` (`Linf` or `L2`).
    """

    dataset: str
    split: str
    ways: int
    shots: int
    queries: int
    episodes: int
    seed: int
    threat_norm: str
    eps: float

    @classmethod
    def of(cls, results: pd.DataFrame) -> "Setting":
        """The setting of the rows; raises `RobustMetaError` where they are of more than one.

        The threat is that of the attacked rows, as a clean row has none, and a certified one its own.
        """
        require(results, RESULTS, "results")
        results = attacked(results)
        moved = results[results["attack"] != "clean"]
        moved = results if moved.empty else moved
        found: dict[str, str | int | float] = {}
        for name, kind in (("dataset", str), ("split", str), ("threat_norm", str), ("eps", float)):
            found[name] = kind(_single(moved, name))
        for name in ("ways", "shots", "queries", "episodes", "seed"):
            found[name] = int(_single(results, name))
        return cls(**found)  # type: ignore[arg-type]

    @property
    def chance(self) -> float:
        """The accuracy of guessing, 1 / ways."""
        return 1 / self.ways

    @property
    def tasks(self) -> str:
        """Data and task size in words: `glyphs, 5-way 1-shot`."""
        return f"{self.dataset}, {self.ways}-way {self.shots}-shot"

    @property
    def eps_text(self) -> str:
        """Eps as it is written: `8/255` where it is a whole number of 255ths, else `0.1`."""
        return written_eps(self.threat_norm, self.eps)

    @property
    def norm_text(self) -> str:
        """The norm as it is written in figures and headings: `L∞`."""
        return NORMS.get(self.threat_norm, self.threat_norm)

    @property
    def budget(self) -> str:
        """The threat in words: `Linf, eps 0.1`."""
        return f"{self.threat_norm}, eps {self.eps_text}"


def written_eps(norm: str, eps: float) -> str:
    """Eps as people write it: under Linf `8/255` where it is a whole number of 255ths, else `0.1`; 51/255 is `0.2`."""
    steps = round(eps * 255)
    whole = norm == "Linf" and steps >= 1 and abs(eps * 255 - steps) < 1e-4
    return f"{steps}/255" if whole and round(eps, 2) != eps else f"{eps:.4g}"


def trained_elsewhere(results: pd.DataFrame) -> str:
    """The data sets that rows of one setting were trained on, where they are not the one tested on; or empty."""
    trained = distinct(results["train_dataset"]) if "train_dataset" in results.columns else "-"
    return "" if trained in ("-", distinct(results["dataset"])) else trained


def _single(frame: pd.DataFrame, column: str) -> str | int | float:
    values = frame[column].unique()
    if len(values) != 1:
        shown = ", ".join(str(value) for value in values)
        raise RobustMetaError(f"the results mix {column} {shown}; a report is of one setting, so write one for each")
    value: str | int | float = values[0]
    return value

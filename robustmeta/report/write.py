"""The files of a report: CSV rows, the pages, their pictures and the recipe, each whole or not there."""

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from robustmeta.errors import RobustMetaError
from robustmeta.files import whole_file
from robustmeta.report.figures import figures
from robustmeta.report.machine import this_machine
from robustmeta.report.page import report_page
from robustmeta.report.rows import AUDIT, CURVE, EPISODES, RESULTS, STEPS, arranged, require
from robustmeta.report.web import html_page

if TYPE_CHECKING:
    from robustmeta.exhibit import Exhibit

TEXT = (
    "learner", "defense", "backbone", "norm_policy", "dataset", "split", "threat_norm", "attack", "flags", "order",
    "card", "config", "torch", "torchattacks", "robustmeta", "target", "suite", "suite_card", "audit", "code",
    "verdict", "subject", "text", "row", "variant", "train_dataset", "model", "report", "sha256",
    "data", "train_data", "certificate",
)  # fmt: skip
"""Columns read back as text even where they look like numbers: versions, and hashes such as 12e4567."""


@dataclass(frozen=True)
class Report:
    """The tables of a report: a row an attack, an episode, a point of the curve, and a finding of the audit.

    steps: a row a number of attack steps, if they were asked for. exhibits: a task to be looked at, by the row's name.
    """

    results: pd.DataFrame
    episodes: pd.DataFrame
    curve: pd.DataFrame
    audit: pd.DataFrame
    steps: pd.DataFrame = field(default_factory=pd.DataFrame)
    exhibits: Mapping[str, "Exhibit"] = field(default_factory=dict)

    def write(self, folder: Path, recipe_text: str, command: str, machine: str) -> None:
        """Write the files of the report (see `write_report`)."""
        write_report(
            folder, self.results, self.episodes, self.curve, recipe_text, command, machine=machine, audit=self.audit,
            steps=self.steps, exhibits=self.exhibits,
        )  # fmt: skip

    @property
    def failed(self) -> bool:
        """Whether a check of the audit failed."""
        return bool((self.audit["verdict"] == "fail").any())


def write_report(
    folder: str | os.PathLike[str],
    results: pd.DataFrame,
    episodes: pd.DataFrame,
    curve: pd.DataFrame | None,
    recipe_text: str,
    command: str,
    *,
    machine: str | None = None,
    meanings: Mapping[str, str] | None = None,
    audit: pd.DataFrame | None = None,
    steps: pd.DataFrame | None = None,
    exhibits: Mapping[str, "Exhibit"] | None = None,
) -> Path:
    """Write the CSV files, the pictures, recipe.yaml, report.html and, last, report.md; return the path of the last.

    results, episodes, curve, steps, audit: the rows of the file of that name; without a curve or steps (None, or no
    rows) their file and picture are not written, without an audit its file is not. exhibits: see `gallery`.
    recipe_text: the YAML as run, written as it is. command: the shell line that made the rows.
    machine: by default the one this runs on. meanings: one sentence for each flag's code.
    Raises `RobustMetaError`, with nothing written, for missing columns, no rows or rows of more than one setting;
    and where the folder cannot be written.
    """
    folder = Path(folder)
    require(episodes, EPISODES, "episodes")
    machine = this_machine() if machine is None else machine
    pictures = figures(results, episodes, curve, steps, exhibits)
    made = (results, recipe_text, command, machine)
    shown: dict[str, Any] = {"pictures": pictures, "meanings": meanings, "audit": audit, "episodes": episodes}
    beside = {"results.csv": rows_text(arranged(results, RESULTS)), "recipe.yaml": recipe_text}
    pages = {"report.html": html_page(*made, **shown, beside=beside), "report.md": report_page(*made, **shown)}
    write_rows(arranged(episodes, EPISODES, last=["worst"]), folder / "episodes.csv")
    for name, frame, columns in (("curve", curve, CURVE), ("steps", steps, STEPS), ("audit", audit, AUDIT)):
        if frame is not None and not frame.empty:
            write_rows(arranged(frame, columns), folder / f"{name}.csv")
    for picture in pictures:
        picture.png(folder / f"{picture.name}.png")
    for name, text in {**beside, **pages}.items():
        _write_text(folder / name, text)
    return folder / "report.md"


def write_rows(frame: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Write rows as CSV, whole: UTF-8, floats to 8 decimals, NaN empty."""
    _write_text(Path(path), rows_text(frame))


def rows_text(frame: pd.DataFrame) -> str:
    """The text of the file that `write_rows` writes."""
    return str(frame.to_csv(index=False, lineterminator="\n", float_format=_decimal))


def read_rows(path: str | os.PathLike[str]) -> pd.DataFrame:
    """The rows of a CSV of `write_rows`, with the same types; raises `RobustMetaError` if it cannot be read."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            columns = next(csv.reader(file), [])
        return pd.read_csv(
            path,
            dtype={column: str for column in columns if column in TEXT},
            keep_default_na=False,  # a learner may be called NA, and no flags are "", not NaN
            na_values={column: [""] for column in columns if column not in TEXT},
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise RobustMetaError(f"cannot read rows from {path}: {reason}; it must be a CSV of a report") from error


def _decimal(value: Any) -> str:
    return repr(round(float(value), 8))


def _write_text(path: Path, text: str) -> None:
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")

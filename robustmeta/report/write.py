"""The files of a report: CSV rows, the page, its picture and its recipe, each whole or not there."""

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from robustmeta.errors import RobustMetaError
from robustmeta.files import whole_file
from robustmeta.report.figure import accuracy_against_eps
from robustmeta.report.machine import this_machine
from robustmeta.report.page import report_page
from robustmeta.report.rows import AUDIT, CURVE, EPISODES, RESULTS, arranged, require
from robustmeta.report.setting import Setting

TEXT = (
    "learner", "defense", "backbone", "norm_policy", "dataset", "split", "threat_norm", "attack", "flags", "order",
    "card", "config", "torch", "torchattacks", "robustmeta", "target", "suite", "suite_card", "audit", "code",
    "verdict", "subject", "text", "row", "variant",
)  # fmt: skip
"""Columns read back as text even where they look like numbers: versions, and hashes such as 12e4567."""


@dataclass(frozen=True)
class Report:
    """The tables of a report: a row an attack, an episode, a point of the curve, and a finding of the audit."""

    results: pd.DataFrame
    episodes: pd.DataFrame
    curve: pd.DataFrame
    audit: pd.DataFrame

    def write(self, folder: Path, recipe_text: str, command: str, machine: str) -> None:
        """Write the files of the report (see `write_report`)."""
        write_report(
            folder, self.results, self.episodes, self.curve, recipe_text, command, machine=machine, audit=self.audit
        )

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
) -> Path:
    """Write the CSV files, curve.png, recipe.yaml and, last, report.md; return the path of the last.

    results, episodes, curve, audit: the rows of the file of that name; without a curve (None, or no rows) its file
    and picture are not written, without an audit its file is not.
    recipe_text: the YAML as run, written as it is. command: the shell line that made the rows.
    machine: by default the one this runs on. meanings: one sentence for each flag's code.
    Raises `RobustMetaError`, with nothing written, for missing columns, no rows or rows of more than one setting;
    and where the folder cannot be written.
    """
    folder = Path(folder)
    drawn = curve is not None and not curve.empty
    require(episodes, EPISODES, "episodes")
    page = report_page(
        results,
        recipe_text,
        command,
        this_machine() if machine is None else machine,
        picture="curve.png" if drawn else None,
        meanings=meanings,
        audit=audit,
        episodes=episodes,
    )
    if curve is not None and drawn:
        require(curve, CURVE, "curve")
    write_rows(arranged(results, RESULTS), folder / "results.csv")
    write_rows(arranged(episodes, EPISODES, last=["worst"]), folder / "episodes.csv")
    if curve is not None and drawn:
        write_rows(arranged(curve, CURVE), folder / "curve.csv")
        accuracy_against_eps(curve, folder / "curve.png", Setting.of(results))
    if audit is not None and not audit.empty:
        write_rows(arranged(audit, AUDIT), folder / "audit.csv")
    _write_text(folder / "recipe.yaml", recipe_text)
    _write_text(folder / "report.md", page)
    return folder / "report.md"


def write_rows(frame: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Write rows as CSV, whole: UTF-8, floats to 8 decimals, NaN empty."""
    with whole_file(path) as part:
        frame.to_csv(part, index=False, encoding="utf-8", lineterminator="\n", float_format=_decimal)


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

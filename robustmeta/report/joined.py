"""Reports read and joined: the rows of several runs as those of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from robustmeta.errors import RobustMetaError, nearest
from robustmeta.report.data_settings import with_data_settings
from robustmeta.report.rows import CLEAN, EPISODES, RESULTS, VARIANTS, WORST
from robustmeta.report.write import read_rows

COSTS = ("seconds", "forwards", "backwards")
FILLED = ("ways", "shots", "queries", "episodes", "seed", "eps")
"""Columns of numbers, none of which may be missing."""
NUMBERS = (*FILLED, "accuracy", "ci95", "drop", "drop_ci95")


@dataclass(frozen=True)
class Run:
    """What was found of one report.

    path: of its rows. episodes: empty where there is no file of them.
    """

    path: Path
    results: pd.DataFrame
    episodes: pd.DataFrame

    @property
    def files(self) -> tuple[Path, ...]:
        """What it was read from, and the pages beside."""
        beside = ("episodes.csv", "recipe.yaml", "report.md", "report.html")
        return self.path, *(self.path.with_name(name) for name in beside)


def read_run(path: Path) -> Run:
    """The report in a folder, or that of a results.csv.

    Raises `RobustMetaError` where there is none, or a file is something else.
    """
    file = path / "results.csv" if path.is_dir() else path
    if not file.is_file():
        raise _missing(path)
    results = read_rows(file)
    _check(results, file, RESULTS, NUMBERS, FILLED)
    if results.empty:
        raise RobustMetaError(f"{file} has no rows; bench writes at least one a learner")
    beside = file.with_name("episodes.csv")
    episodes = read_rows(beside) if beside.is_file() and file.name == "results.csv" else pd.DataFrame()
    if len(episodes):
        _check(episodes, beside, EPISODES, ("episode", CLEAN, WORST), ("episode",))
    results = with_data_settings(results, file.with_name("recipe.yaml"))
    return Run(file.resolve(), results, episodes)


def _check(
    rows: pd.DataFrame, file: Path, columns: Sequence[str], numbers: Sequence[str], filled: Sequence[str]
) -> None:
    """Raise `RobustMetaError` where rows lack columns, or hold something else than, or no, numbers."""
    problem = f"{file} is no {'episodes' if columns is EPISODES else 'results'}.csv of a report: "
    lacking = [name for name in columns if name not in rows.columns]
    if lacking:
        raise RobustMetaError(f"{problem}it has no column {', '.join(lacking)}")
    for name in numbers if len(rows) else ():
        if name in rows.columns and not pd.api.types.is_numeric_dtype(rows[name]):
            raise RobustMetaError(f"{problem}its column {name} holds more than numbers")
    for name in filled:
        blank = ~np.isfinite(rows[name].to_numpy(dtype=float))
        if blank.any():
            raise RobustMetaError(f"{problem}its column {name} has no number in line {blank.argmax() + 2}")


def joined(runs: Sequence[Run]) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """The results and the episodes of all runs with a first column `report`, and what was left out, in words.

    A learner that stands in two reports with the same recipe and the same numbers is kept once, of the first.
    """
    runs = list({run.path: run for run in runs}.values())  # a folder and its results.csv are one report
    names = _names(runs)
    results = pd.concat(
        [run.results.assign(report=name) for run, name in zip(runs, names, strict=True)], ignore_index=True
    )
    for column in results.columns:
        if not pd.api.types.is_numeric_dtype(results[column]):
            results[column] = results[column].fillna("")
        elif all(pd.api.types.is_integer_dtype(run.results.get(column, pd.Series(dtype=int))) for run in runs):
            results[column] = results[column].astype("Int64")
    results, left_out = _once(results)
    episodes = [run.episodes.assign(report=name) for run, name in zip(runs, names, strict=True)]
    return results, pd.concat(episodes, ignore_index=True), left_out


def _once(results: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    who = [name for name in ("learner", "defense", "row", *VARIANTS) if name in results.columns]
    shown = [name for name in (*RESULTS, *who, "config") if name in results.columns]
    seen: dict[tuple[object, ...], str] = {}
    kept: list[int] = []
    again: dict[tuple[str, str], list[str]] = {}
    for (report, *_), group in results.groupby(["report", *who], sort=False, dropna=False):
        content = tuple(map(tuple, group[list(dict.fromkeys(shown))].astype(str).to_numpy()))
        first = seen.setdefault(content, str(report))
        if first == report:
            kept += map(int, group.index)
        else:
            again.setdefault((str(report), first), []).append(
                f"{group['learner'].iloc[0]} / {group['defense'].iloc[0]}"
            )
    told = [
        f"{report} holds the same rows as {first}, shown once: {', '.join(names)}"
        for (report, first), names in again.items()
    ]
    return results.loc[sorted(kept)].reset_index(drop=True), told


def _names(runs: Sequence[Run]) -> list[str]:
    """The folders' names, with as many of the folders above as it takes to tell them apart."""
    folders = [run.path.parent if run.path.name == "results.csv" else run.path.with_suffix("") for run in runs]
    depth = 1
    while len({folder.parts[-depth:] for folder in folders}) < len(set(folders)):
        depth += 1
    return ["/".join(folder.parts[-depth:]) for folder in folders]


def _missing(path: Path) -> RobustMetaError:
    if path.is_dir():
        unfinished = (path / "recipe.yaml").is_file()
        why = "its run is not finished; the same `robustmeta bench` command goes on with it" if unfinished else (
            "give the folder of a report, as `robustmeta bench` writes it"
        )  # fmt: skip
        return RobustMetaError(f"{path} holds no results.csv: {why}")
    near = {folder for folder in (path.parent, Path("reports")) if folder.is_dir()}
    known = [str(each) for folder in near for each in folder.iterdir() if (each / "results.csv").is_file()]
    guess = nearest(str(path), known) or next(
        (f"; did you mean {name!r}?" for name in known if Path(name).name == path.name), ""
    )
    return RobustMetaError(f"there is no report {path}{guess}")

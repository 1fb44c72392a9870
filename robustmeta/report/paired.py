"""What each defense gains over adversarial querying: the same episodes, paired, averaged over training seeds."""

import pandas as pd

from robustmeta.interval import mean_interval
from robustmeta.report.table import CLEAN, WORST, percent

REFERENCE = "aq"
"""The defense that the others are compared to."""
COLUMNS = ("row", "variant", "learner", "defense", "train_seed")


def differences(results: pd.DataFrame, episodes: pd.DataFrame) -> pd.DataFrame:
    """Clean and worst-case accuracy minus that of the same learner under adversarial querying, cells `1.2 ± 0.8`.

    results, episodes: the rows of a report. One row a variant, which is what differs in nothing but the training seed:
    accuracies are averaged over the seeds it was trained from, of which the reference has the same, episode by episode;
    the interval is over episodes, of paired values. No rows where no learner has the reference and another defense.
    """
    if not {*COLUMNS} <= {*results.columns} or WORST not in episodes.columns or "row" not in episodes.columns:
        return pd.DataFrame()
    trained = results.drop_duplicates("row")[list(COLUMNS)]
    found: dict[str, dict[str, str]] = {}
    for _, group in trained.groupby("learner", sort=False):
        first = group.loc[group["defense"] == REFERENCE, "variant"]
        if first.empty:
            continue
        reference = group[group["variant"] == first.iloc[0]]
        for variant, rows in group[group["variant"] != first.iloc[0]].groupby("variant", sort=False):
            seeds = [seed for seed in rows["train_seed"] if seed in set(reference["train_seed"])]
            if seeds:
                found[str(variant)] = _against(episodes, _of(rows, seeds), _of(reference, seeds))
    return pd.DataFrame.from_dict(found, orient="index").rename_axis("row")


def _of(rows: pd.DataFrame, seeds: list[int]) -> list[str]:
    """The names of the rows trained from some seeds."""
    return list(rows.loc[rows["train_seed"].isin(seeds), "row"])


def _against(episodes: pd.DataFrame, rows: list[str], reference: list[str]) -> dict[str, str]:
    cells = {"seeds": str(len(rows))}
    for column in (CLEAN, WORST):
        ours, theirs = (_mean(episodes, names, column) for names in (rows, reference))
        cells[column] = percent(*mean_interval(ours - theirs))
    return cells


def _mean(episodes: pd.DataFrame, rows: list[str], column: str) -> pd.Series:
    """Accuracy by episode, averaged over rows."""
    mean: pd.Series = episodes[episodes["row"].isin(rows)].groupby("episode")[column].mean()
    return mean

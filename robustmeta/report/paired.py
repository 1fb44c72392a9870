"""What each defense gains over adversarial querying: the same episodes, paired, averaged over training seeds."""

import pandas as pd

from robustmeta.interval import mean_interval
from robustmeta.report.table import CLEAN, WORST, percent

REFERENCE = "aq"
"""The defense that the others are compared to."""
ALIKE = ("learner", "backbone", "norm_policy")
"""What a row has in common with the one it is compared to."""
COLUMNS = ("row", "variant", "defense", "train_seed", *ALIKE)
GAINED = (
    "Accuracy minus that of the same learner and backbone under `aq`, averaged over the training seeds that both have, "
    "episode by episode: the intervals are of paired values over episodes, and say nothing of other seeds."
)


def differences(results: pd.DataFrame, episodes: pd.DataFrame) -> pd.DataFrame:
    """Clean and worst-case accuracy minus that of the learner under adversarial querying, cells `1.2 ± 0.8`.

    results, episodes: the rows of a report. One row a variant, which is what differs in nothing but the training seed:
    accuracies are averaged over the seeds it was trained from, of which the reference has the same, episode by episode;
    the interval is over episodes, of paired values. The reference, which `minus` names, is the first `aq` of the same
    learner and backbone; where there is none, there are no rows.
    """
    if not {*COLUMNS} <= {*results.columns} or WORST not in episodes.columns or "row" not in episodes.columns:
        return pd.DataFrame()
    trained = results.drop_duplicates("row")[list(COLUMNS)]
    found: dict[str, dict[str, str]] = {}
    for _, group in trained.groupby(list(ALIKE), sort=False):
        first = group.loc[group["defense"] == REFERENCE, "variant"]
        if first.empty:
            continue
        reference = group[group["variant"] == first.iloc[0]]
        for variant, rows in group[group["variant"] != first.iloc[0]].groupby("variant", sort=False):
            seeds = [seed for seed in rows["train_seed"] if seed in set(reference["train_seed"])]
            if seeds:
                gains = _against(episodes, _of(rows, seeds), _of(reference, seeds))
                found[str(variant)] = {"minus": str(first.iloc[0]), "seeds": str(len(set(seeds))), **gains}
    return pd.DataFrame.from_dict(found, orient="index").rename_axis("row")


def _of(rows: pd.DataFrame, seeds: list[int]) -> list[str]:
    """The names of the rows trained from some seeds."""
    return list(rows.loc[rows["train_seed"].isin(seeds), "row"])


def _against(episodes: pd.DataFrame, rows: list[str], reference: list[str]) -> dict[str, str]:
    cells = {}
    for column in (CLEAN, WORST):
        ours, theirs = (_mean(episodes, names, column) for names in (rows, reference))
        cells[column] = percent(*mean_interval(ours - theirs))
    return cells


def _mean(episodes: pd.DataFrame, rows: list[str], column: str) -> pd.Series:
    """Accuracy by episode, averaged over rows."""
    mean: pd.Series = episodes[episodes["row"].isin(rows)].groupby("episode")[column].mean()
    return mean

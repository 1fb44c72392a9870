"""How far each learner is behind the first of its setting: the same episodes, paired."""

import pandas as pd

from robustmeta.interval import mean_interval
from robustmeta.report.rows import WORST, labelled
from robustmeta.report.standing import ranks, settings
from robustmeta.report.table import percent

MINUS = "minus rank 1"
GAP = (
    f"`{MINUS}`: the worst case minus that of the first of the same setting, episode by episode, in percentage points; "
    "the interval is of paired values, over the test episodes that both met, and says nothing of other training seeds."
)
SAMPLE = ("queries", "episodes", "seed")
"""What two learners of the same setting have in common that met the same episodes."""


def behind(results: pd.DataFrame, episodes: pd.DataFrame) -> dict[str, str]:
    """For each ranked label the cell of `MINUS`, `-3.1 ± 0.4`; those without the first's episodes have none.

    results, episodes: rows with a column `report`. Episodes whose mean is not the accuracy in the results are of
    another run and are not used.
    """
    rows = labelled(results)
    places, setting = ranks(rows), settings(rows)
    worst = rows[rows["attack"] == WORST].set_index("label")
    samples = {str(label): tuple(str(row.get(name)) for name in SAMPLE) for label, row in worst.iterrows()}
    own = {str(label): _by_episode(row, episodes) for label, row in worst.iterrows()}
    found: dict[str, str] = {}
    for label in places:
        first = min((other for other in places if setting[other] == setting[label]), key=places.__getitem__)
        mine, best = own[label], own[first]
        if label != first and samples[label] == samples[first] and len(mine) and mine.index.equals(best.index):
            found[label] = percent(*mean_interval(mine - best))
    return found


def _by_episode(row: pd.Series, episodes: pd.DataFrame) -> pd.Series:
    """The worst case of a row by episode; empty where there are no episodes of it."""
    nothing = pd.Series(dtype=float)
    if WORST not in episodes.columns:
        return nothing
    own = episodes
    for name in ("report", "learner", "defense", "row"):
        if name in episodes.columns and name in row.index:
            own = own[own[name] == row[name]]
    by_episode = own.set_index("episode")[WORST].sort_index()
    fits = len(by_episode) == row["episodes"] and abs(by_episode.mean() - row["accuracy"]) < 1e-6
    return by_episode if fits and by_episode.index.is_unique else nothing

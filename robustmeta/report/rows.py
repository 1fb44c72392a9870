"""The rows a report is made of: their columns, their order, and the name of each learner."""

from collections.abc import Iterable, Sequence

import pandas as pd

from robustmeta.errors import RobustMetaError

RESULTS = (
    "learner", "defense", "backbone", "norm_policy", "dataset", "split", "ways", "shots", "queries", "episodes",
    "seed", "threat_norm", "eps", "attack", "accuracy", "ci95", "drop", "drop_ci95", "flags",
)  # fmt: skip
EPISODES = ("learner", "defense", "episode", "clean")
AUDIT = ("learner", "defense", "code", "verdict", "subject", "evidence", "threshold", "text")
CURVE = ("learner", "defense", "attack", "eps", "episodes", "accuracy", "ci95")
STEPS = ("learner", "defense", "attack", "eps", "steps", "episodes", "accuracy", "ci95")

CLEAN, WORST = "clean", "worst"
CERTIFIED = "certified"
"""The target of rows that no attack made: certified accuracies, of a threat and a number of episodes of their own."""

VARIANTS = (
    "backbone", "norm_policy", "order", "train_ways", "train_shots", "train_steps", "train_tasks", "train_chunk",
    "train_seed",
)  # fmt: skip
"""What tells two learners of the same name and defense apart, where no column `row` names them."""


def attacked(results: pd.DataFrame) -> pd.DataFrame:
    """The rows without the certified ones."""
    return results[results["target"] != CERTIFIED] if "target" in results.columns else results


def require(frame: pd.DataFrame, columns: Iterable[str], what: str) -> None:
    """Raise `RobustMetaError` unless `frame` has rows and all of `columns`; `what` names it in the message."""
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise RobustMetaError(f"the {what} table has no column {', '.join(missing)}; its rows need all of them")
    if frame.empty:
        raise RobustMetaError(f"the {what} table has no rows; evaluate at least one learner on one episode")


def arranged(frame: pd.DataFrame, first: Sequence[str], last: Sequence[str] = ()) -> pd.DataFrame:
    """The same rows with the columns `first` in front and `last` at the end, the others between as they come."""
    lead = [column for column in first if column in frame.columns]
    tail = [column for column in last if column in frame.columns]
    return frame[[*lead, *(c for c in frame.columns if c not in (*lead, *tail)), *tail]]


def labelled(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with a column `label`, `learner / defense`, sorted by learner, natural training first.

    Learners and defenses otherwise keep the order in which they first appear. Where one learner and defense
    stands for several rows of a recipe, the label says which, by the column `row` if there is one, else by the
    settings that differ (`VARIANTS`): `maml / natural (order first)`. With a column `report`, each report is labelled
    by itself, and a label of several says whose it is: `maml / natural [omniglot-5w1s]`.
    """
    frame = frame.reset_index(drop=True)  # rows put together from several tables may share their numbers
    labels: dict[object, str] = {}
    report = ["report"] if "report" in frame.columns else []
    for (*_, learner, defense), group in frame.groupby([*report, "learner", "defense"], sort=False):
        differ = [c for c in ("row", *VARIANTS) if c in frame.columns and len(group[c].unique()) > 1]
        telling = ["row"] if "row" in differ else differ
        for row in group.index:
            words = (f"{column} {group[column].loc[row]}" for column in telling)
            details = ", ".join(word.removeprefix("row ") for word in words)
            labels[row] = f"{learner} / {defense}" + (f" ({details})" if details else "")
    label = pd.Series(labels, dtype=object)
    if report:
        shared = frame["report"].groupby(label).transform("nunique") > 1
        label = label.mask(shared, label + " [" + frame["report"] + "]")
    learners, defenses = list(frame["learner"].unique()), list(frame["defense"].unique())
    rank = pd.DataFrame(
        {
            "learner": frame["learner"].map(learners.index),
            "defense": [-1 if name == "natural" else defenses.index(name) for name in frame["defense"]],
        },
        index=frame.index,
    )
    ranked = rank.sort_values(["learner", "defense"], kind="stable").index
    return frame.assign(label=label).loc[ranked]


def unrepeated(frame: pd.DataFrame, keys: Sequence[str], what: str) -> None:
    """Raise `RobustMetaError` if two rows agree in all of `keys`."""
    twice = frame[frame.duplicated(list(keys))]
    if len(twice):
        where = ", ".join(f"{key} {twice.iloc[0][key]}" for key in keys)
        raise RobustMetaError(f"the {what} table has two rows of {where}; each must stand there once")


def distinct(values: pd.Series) -> str:
    """The values there are, each once, with commas between; `-` for none."""
    return ", ".join(_plain(value) for value in values.dropna().unique() if value != "") or "-"


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)

"""Who stands where: what each number measures, which rows are trusted, and ranks among those that can be compared."""

from functools import cache

import pandas as pd

from robustmeta.attacks.card import suite, suites
from robustmeta.report.rows import CERTIFIED, CLEAN, WORST

TASKS = ("dataset", "data", "split", "ways", "shots")
THREAT = ("threat_norm", "eps")
SMOOTHING = ("sigma", "samples", "alpha", "certificate")
"""What a certified accuracy hangs on: the noise, and how much of it proves what."""


def quantities(rows: pd.DataFrame) -> pd.Series:
    """What the accuracy of each of the `labelled` rows is an estimate of, as text; only equal ones can be compared.

    Clean accuracy hangs on the tasks, and on where a learner tested elsewhere was trained; that under an attack also on
    the threat and on the attack's card; the worst case on the cards of all attacks that it is taken over; a certified
    one on the smoothing. Where each attack of a suite meets only what those before it left, or a suite is not one that
    ships, the numbers hang on the suite too. Numbers of episodes, of queries and seeds are of the sample and not of
    what is measured.
    """
    tasks, threat = _joined(rows, TASKS) + elsewhere(rows), _joined(rows, THREAT)
    own = rows["attack"] + " " + _column(rows, "card") + _column(rows, "suite").map(_matters)
    own = own.mask(rows["attack"] == WORST, rows["label"].map(attacked_by(rows)))
    moved = tasks + "; " + threat + "; "
    found = (moved + own).mask(_column(rows, "target") == CERTIFIED, moved + rows["attack"] + " " + smoothing(rows))
    return found.mask(rows["attack"] == CLEAN, tasks)


def attacked_by(rows: pd.DataFrame) -> dict[str, str]:
    """For each label of the `labelled` rows the attacks on queries that its worst case is over, with their cards."""
    cards = rows["attack"] + " " + _column(rows, "card") + _column(rows, "suite").map(_matters)
    over = ~rows["attack"].isin([CLEAN, WORST]) & _column(rows, "target").isin(["", "query"])
    together = cards[over].groupby(rows.loc[over, "label"]).agg(lambda each: ", ".join(sorted(each)))
    return {**dict.fromkeys(rows["label"], ""), **together.to_dict()}


def trusted(rows: pd.DataFrame) -> pd.Series:
    """Of the `labelled` rows, which are of a learner that fails no check of the audit, and that met one if any did."""
    failed = _column(rows, "flags").str.contains(":fail").groupby(rows["label"]).transform("any")
    audited = _column(rows, "audit") != ""
    return ~failed & (audited | ("audit" not in rows.columns))


def ranks(rows: pd.DataFrame) -> dict[str, int]:
    """The place of each label of the `labelled` rows by its worst case, 1 the best, equal ones sharing a place.

    Only trusted rows have one, and only rows whose worst cases measure the same are ranked together.
    """
    worst = rows[(rows["attack"] == WORST) & trusted(rows) & rows["accuracy"].notna()]
    places = worst["accuracy"].groupby(quantities(rows).loc[worst.index]).rank(ascending=False, method="min")
    return dict(zip(worst["label"], places.astype(int), strict=True))


def settings(rows: pd.DataFrame) -> dict[str, str]:
    """For each label of the `labelled` rows what its worst case measures, or all its rows do where it has none."""
    measured = quantities(rows)
    every = measured.groupby(rows["label"], sort=False).agg(lambda each: " | ".join(sorted(set(each))))
    worst = rows["attack"] == WORST
    return {**every.to_dict(), **dict(zip(rows.loc[worst, "label"], measured[worst], strict=True))}


def data_set(rows: pd.DataFrame, name: str = "dataset", settings: str = "data") -> pd.Series:
    """The data set of a column, with its settings where they are told: `omniglot (by characters)`."""
    told = _column(rows, settings)
    return _column(rows, name) + (" (" + told + ")").mask(told == "", "")


def elsewhere(rows: pd.DataFrame) -> pd.Series:
    """` after mini_imagenet` for rows trained on other data than tested, by name or settings; or empty."""
    trained = data_set(rows, "train_dataset", "train_data")
    return (" after " + trained).mask((_column(rows, "train_dataset") == "") | (trained == data_set(rows)), "")


def smoothing(rows: pd.DataFrame) -> pd.Series:
    """The settings of certified rows: `sigma 0.25, samples 1000, ...`; of other rows without meaning."""
    return _joined(rows.assign(**{name: f"{name} " + _column(rows, name) for name in SMOOTHING}), SMOOTHING, ", ")


@cache
def _matters(name: str) -> str:
    """` in SUITE` if the suite changes what an attack of it measures, else nothing."""
    return "" if name == "" or (name in suites() and not suite(name).survivors_only) else f" in {name}"


def _joined(rows: pd.DataFrame, columns: tuple[str, ...], between: str = " ") -> pd.Series:
    return pd.Series(
        list(map(between.join, zip(*(_column(rows, name) for name in columns), strict=True))), rows.index, dtype=object
    )


def _column(rows: pd.DataFrame, name: str) -> pd.Series:
    """A column as text, empty where the rows have none or no value."""
    if name not in rows.columns:
        return pd.Series("", rows.index, dtype=object)
    return rows[name].map(lambda value: "" if pd.isna(value) else str(value)).astype(object)

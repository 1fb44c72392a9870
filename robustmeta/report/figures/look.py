"""How lines and points of learners look: a colour a learner, a style a defense; and how many share a panel."""

from collections.abc import Mapping
from itertools import cycle

import pandas as pd

from robustmeta.report.picture import SOFT

# Okabe & Ito (2008), told apart under every common colour blindness; yellow left out as too light for a line.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
STYLES = ("-", "-.", ":")
MARKERS = ("o", "s", "^", "D")

Who = tuple[str, str]


def parts(rows: pd.DataFrame) -> list[list[str]]:
    """The labels of each panel: all of them, or as many learners as there are colours, or one learner.

    rows: `labelled` ones.
    """
    of = rows.drop_duplicates("label").groupby("learner", sort=False)["label"].apply(list)
    if sum(map(len, of)) <= 2 * len(COLOURS) and len(of) <= len(COLOURS):
        return [[label for labels in of for label in labels]]
    at_once = len(COLOURS) if max(map(len, of)) <= 2 else 1
    groups = [of.iloc[first : first + at_once] for first in range(0, len(of), at_once)]
    return [[label for labels in group for label in labels] for group in groups]


def looks(panel: pd.DataFrame) -> tuple[Mapping[Who, str], Mapping[str, str]]:
    """The colour of each learner and defense of a panel, and the line style of each defense."""
    learners, names = panel["learner"].unique(), panel["defense"].unique()
    defenses = [name for name in names if name != "natural"]
    if len(learners) == 1 and len(defenses) > len(STYLES):  # the defenses are what differs
        pairs = [(colour, style) for style in STYLES for colour in COLOURS]
        colour_of, styles = (dict(zip(defenses, cycle(each), strict=False)) for each in zip(*pairs, strict=True))
        return {(learners[0], name): colour_of.get(name, SOFT) for name in names}, {"natural": "--"} | styles
    colour_of = dict(zip(learners, cycle(COLOURS), strict=False))
    colours = {(learner, name): colour_of[learner] for learner in learners for name in names}
    return colours, {"natural": "--"} | dict(zip(defenses, cycle(STYLES), strict=False))

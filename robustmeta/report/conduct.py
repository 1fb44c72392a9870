"""How each learner was made and evaluated: the table of settings and costs under the numbers."""

import pandas as pd

from robustmeta.report.rows import distinct, labelled
from robustmeta.report.table import WORST

SETTINGS = {
    "backbone": "backbone",
    "norm_policy": "norm policy",
    "order": "order",
    "train_ways": "train ways",
    "train_shots": "train shots",
    "train_steps": "train steps",
    "planned_steps": "planned steps",
}


def conduct(results: pd.DataFrame) -> pd.DataFrame:
    """One row a learner: backbone, normalization, training, what its evaluation cost; no column that says nothing."""
    shown = {column: name for column, name in SETTINGS.items() if column in results.columns}
    if "planned_steps" in shown and (results["planned_steps"] == results["train_steps"]).all():
        del shown["planned_steps"]
    rows = {}
    for label, group in labelled(results).groupby("label", sort=False):
        cells = {name: distinct(group[column]) for column, name in shown.items()}
        for column, title in (("forwards", "forwards"), ("backwards", "backwards")):
            if column in group.columns:
                cells[title] = f"{_total(group, column):.0f}"
        if "seconds" in group.columns:
            cells["evaluation, s"] = f"{_total(group, 'seconds'):.1f}"
        rows[label] = cells
    frame = pd.DataFrame.from_dict(rows, orient="index")
    return frame.rename_axis("learner / defense").loc[:, (frame != "-").any()]


def _total(group: pd.DataFrame, cost: str) -> float:
    """Spent on a learner's rows: all of them but `worst`, whose cost is that of others."""
    return float(group.loc[group["attack"] != WORST, cost].sum())

"""What attacks cost: clean minus attacked accuracy."""

import pandas as pd

from robustmeta.report.rows import attacked
from robustmeta.report.table import CLEAN, comparison

DROPPED = "Clean minus attacked, episode by episode, so the intervals are of paired values."


def drops(results: pd.DataFrame) -> pd.DataFrame:
    """The comparison of drops, in percentage points, without certified columns or flags; empty without attacks."""
    moved = attacked(results)
    moved = moved[moved["attack"] != CLEAN]
    return moved if moved.empty else comparison(moved.drop(columns="flags"), "drop", "drop_ci95")

"""What is bold: the best of each column, and what is within its interval."""

import pandas as pd

from robustmeta.report.rows import labelled
from robustmeta.report.standing import quantities, trusted
from robustmeta.report.table import comparison, title

RULE = (
    "Bold: the best value of its column and every value no further below it than the half-width of the best's own 95% "
    "interval, before rounding, among rows that measure the same and fail no check of the audit."
)


def leading(results: pd.DataFrame) -> pd.DataFrame:
    """Which cells of `comparison(results)` are bold: a frame of its shape, True where one is.

    Of each attack's cells that measure the same, of two rows or more (see `quantities`), those are bold whose accuracy
    is at least that of the best minus the half-width of the best's 95% interval; the rows of a learner that failed a
    check of the audit take no part. The test is one a reader can repeat from the table alone. It is no test of
    significance: the episodes are shared, so a paired difference can be told from 0 where the cells overlap.
    Raises `RobustMetaError` as `comparison` does.
    """
    table, rows = comparison(results), labelled(results)
    bold = pd.DataFrame(False, index=table.index, columns=table.columns)
    fit = trusted(rows) & rows["accuracy"].notna()
    for (attack, _), cells in rows.groupby([rows["attack"], quantities(rows)], sort=False):
        able = cells[fit.loc[cells.index]]
        if len(cells) < 2 or able.empty:
            continue
        best = able["accuracy"].max()
        half_width = able.loc[able["accuracy"] == best, "ci95"].fillna(0).max()
        bold.loc[able.loc[able["accuracy"] >= best - half_width, "label"], title(results, str(attack))] = True
    return bold

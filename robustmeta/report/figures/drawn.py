"""All the figures that the rows of a report allow."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from robustmeta.report.figures.distribution import accuracy_by_episode
from robustmeta.report.figures.eps import accuracy_against_eps
from robustmeta.report.figures.gallery import gallery
from robustmeta.report.figures.pareto import clean_against_worst
from robustmeta.report.figures.steps import accuracy_against_steps
from robustmeta.report.picture import Picture
from robustmeta.report.rows import attacked, labelled
from robustmeta.report.setting import Setting
from robustmeta.report.table import CLEAN, WORST

if TYPE_CHECKING:
    from robustmeta.exhibit import Exhibit


def figures(
    results: pd.DataFrame,
    episodes: pd.DataFrame,
    curve: pd.DataFrame | None = None,
    steps: pd.DataFrame | None = None,
    exhibits: Mapping[str, "Exhibit"] | None = None,
) -> list[Picture]:
    """The pictures of a report in the order of a page; those without rows, or of one point only, are left out.

    Raises `RobustMetaError` for missing columns, no results or episodes, or rows of more than one setting.
    """
    setting = Setting.of(results)
    found: list[Picture | None] = []
    if labelled(results[results["attack"].isin([CLEAN, WORST])]).groupby("label")["attack"].nunique().eq(2).sum() > 1:
        found.append(clean_against_worst(attacked(results), setting))
    if curve is not None and not curve.empty:
        found.append(accuracy_against_eps(curve, setting))
    if steps is not None and not steps.empty:
        found.append(accuracy_against_steps(steps, setting))
    found.append(gallery(exhibits or {}, results, setting))
    found.append(accuracy_by_episode(episodes, setting))
    return [picture for picture in found if picture is not None]

"""Accuracy against eps, one line a learner and defense."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from robustmeta.report.figures.curves import curves
from robustmeta.report.picture import SOFT, Picture
from robustmeta.report.rows import CURVE
from robustmeta.report.setting import Setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def accuracy_against_eps(curve: pd.DataFrame, setting: Setting) -> Picture:
    """Accuracy against eps with its 95% intervals as bands (see `curves`), the eps of `setting` marked.

    curve: rows of (learner, defense, attack, eps, episodes, accuracy, ci95).
    Raises `RobustMetaError` for missing columns, no rows, or two rows of one point.
    """

    def frame(axes: "Axes", panel: pd.DataFrame) -> None:
        from matplotlib.ticker import MaxNLocator

        axes.set_xlim(0, max(float(panel["eps"].max()), setting.eps) * 1.02 or 1)
        axes.set_xlabel("ε, in pixel units, [0, 1]")
        axes.axvline(setting.eps, color=SOFT, alpha=0.6, linewidth=1, zorder=1, label=f"table, ε = {setting.eps_text}")
        if setting.threat_norm == "Linf":
            top = axes.secondary_xaxis("top", functions=(_times_255, _over_255))
            top.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 2, 4, 8, 10], integer=True))
            top.set_xlabel("n, where ε = n/255")

    figure = curves(curve, "eps", CURVE, setting, frame)
    attacks = ", ".join(curve["attack"].unique())
    caption = (
        f"Accuracy under {attacks} as its budget grows, one line a learner, with 95% intervals over episodes; natural "
        f"training is dashed. The upright line is the budget of the table, the dotted one guessing."
    )
    return Picture("curve", "Accuracy against eps", caption, figure)


def _times_255(eps: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(eps, dtype=np.float64) * 255


def _over_255(n: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(n, dtype=np.float64) / 255

"""Accuracy against eps, one line a learner and defense."""

import os
from collections import Counter
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from robustmeta.files import whole_file
from robustmeta.report.rows import CURVE, labelled, require, unrepeated
from robustmeta.report.setting import Setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe & Ito (2008), told apart under every common colour blindness; yellow left out as too light for a line.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
STYLES = ("-", "-.", ":")
MARKERS = ("o", "s", "^", "D")
NORMS = {"Linf": r"$L_\infty$", "L2": "$L_2$"}
STYLE = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.edgecolor": "#444444",
}


def accuracy_against_eps(curve: pd.DataFrame, path: str | os.PathLike[str], setting: Setting) -> None:
    """Draw accuracy against eps with its 95% intervals as bands, and write it to `path` as PNG, whole.

    curve: rows of (learner, defense, attack, eps, episodes, accuracy, ci95); one panel an attack. A learner has a
    colour, natural training is dashed, defenses are not, and namesakes differ in their markers. Chance (1 / ways)
    and the eps of `setting` are marked.
    Raises `RobustMetaError` for missing columns, no rows, two rows of one point, or a path that cannot be written.
    """
    require(curve, CURVE, "curve")
    rows = labelled(curve)
    unrepeated(rows, ("label", "attack", "eps"), "curve")
    # Imported here, as it takes a second that only a report should pay; never pyplot, whose state is global.
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = list(rows["attack"].unique())
    with style.context(["default", STYLE]):  # whatever the user's own matplotlibrc says
        figure = Figure(figsize=(5.4 * len(panels), 4.2), layout="constrained")
        FigureCanvasAgg(figure)
        for axes, attack in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            panel = rows[rows["attack"] == attack]
            _lines(axes, panel)
            _frame(axes, panel, attack, setting)
        handles, names = figure.axes[0].get_legend_handles_labels()
        columns = min(4, rows["learner"].nunique() + 1)  # a learner a column, where all have as many defenses
        figure.legend(handles, names, loc="outside lower center", ncols=columns, frameon=False, handlelength=3)
        with whole_file(path) as part:
            figure.savefig(part, format="png", dpi=200, metadata={"Software": None})


def _lines(axes: "Axes", panel: pd.DataFrame) -> None:
    colours = dict(zip(panel["learner"].unique(), cycle(COLOURS), strict=False))
    defenses = [name for name in panel["defense"].unique() if name != "natural"]
    styles = {"natural": "--"} | dict(zip(defenses, cycle(STYLES), strict=False))
    namesakes: Counter[tuple[str, str]] = Counter()
    for label, line in panel.groupby("label", sort=False):
        line = line.sort_values("eps")
        learner, defense = line.iloc[0][["learner", "defense"]]
        marker = MARKERS[namesakes[learner, defense] % len(MARKERS)]
        namesakes[learner, defense] += 1
        colour, face = colours[learner], "white" if defense == "natural" else colours[learner]
        low, high = (100 * (line["accuracy"] + sign * line["ci95"].fillna(0)).clip(0, 1) for sign in (-1, 1))
        axes.fill_between(line["eps"], low, high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(
            line["eps"], 100 * line["accuracy"], styles[defense], color=colour, linewidth=1.6,
            marker=marker, markersize=4, markerfacecolor=face, label=label, clip_on=False,
        )  # fmt: skip


def _frame(axes: "Axes", panel: pd.DataFrame, attack: str, setting: Setting) -> None:
    from matplotlib.ticker import MaxNLocator

    norm = NORMS.get(setting.threat_norm, setting.threat_norm)
    episodes = ", ".join(str(number) for number in panel["episodes"].unique())
    axes.set_title(f"{setting.tasks} ({setting.split})\n{norm}, {attack}, {episodes} episodes, 95% intervals")
    axes.set_xlim(0, max(float(panel["eps"].max()), setting.eps) * 1.02 or 1)
    axes.set_ylim(0, 100)
    axes.set_xlabel(r"$\epsilon$, in pixel units, [0, 1]")
    axes.set_ylabel("accuracy (%)")
    chance = 100 * setting.chance
    axes.axhline(chance, color="#777777", linewidth=1, linestyle=(0, (2, 2)), label=f"chance, {chance:.3g}%")
    headline = rf"table, $\epsilon$ = {setting.eps_text}"
    axes.axvline(setting.eps, color="#aaaaaa", linewidth=1, zorder=1, label=headline)
    if setting.threat_norm == "Linf":
        top = axes.secondary_xaxis("top", functions=(_times_255, _over_255))
        top.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 2, 4, 8, 10], integer=True))
        top.set_xlabel(r"$n$, where $\epsilon = n/255$")
    axes.grid(axis="y", color="#eeeeee", linewidth=0.8)
    axes.set_axisbelow(True)


def _times_255(eps: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(eps, dtype=np.float64) * 255


def _over_255(n: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(n, dtype=np.float64) / 255

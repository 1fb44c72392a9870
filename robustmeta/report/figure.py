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
    colour, natural training is dashed, defenses are not, and namesakes differ in their markers. More than 12 lines, or
    six learners, are parted, six learners a panel, or one learner with its defenses in colours. Chance (1 / ways) and
    the eps of `setting` are marked.
    Raises `RobustMetaError` for missing columns, no rows, two rows of one point, or a path that cannot be written.
    """
    require(curve, CURVE, "curve")
    rows = labelled(curve)
    unrepeated(rows, ("label", "attack", "eps"), "curve")
    # Imported here, as it takes a second that only a report should pay; never pyplot, whose state is global.
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    parts = _parts(rows)
    panels = [(attack, part) for attack in rows["attack"].unique() for part in parts]
    across = min(3, len(panels))
    with style.context(["default", STYLE]):  # whatever the user's own matplotlibrc says
        height = 4.2 if len(parts) == 1 else 5.6  # a legend of its own
        figure = Figure(figsize=(5.4 * across, height * -(-len(panels) // across)), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(-(-len(panels) // across), across, squeeze=False).flatten()
        for axes in grid[len(panels) :]:
            axes.remove()
        for axes, (attack, labels) in zip(grid, panels, strict=False):
            panel = rows[(rows["attack"] == attack) & rows["label"].isin(labels)]
            _lines(axes, panel)
            _frame(axes, panel, attack, setting)
            if len(parts) > 1:
                axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, frameon=False, fontsize=7)
        if len(parts) == 1:
            handles, names = figure.axes[0].get_legend_handles_labels()
            columns = min(4, rows["learner"].nunique() + 1)  # a learner a column, where all have as many defenses
            figure.legend(handles, names, loc="outside lower center", ncols=columns, frameon=False, handlelength=3)
        with whole_file(path) as part:
            figure.savefig(part, format="png", dpi=200, metadata={"Software": None})


def _parts(rows: pd.DataFrame) -> list[list[str]]:
    """The labels of each panel of an attack: all of them, or as many learners as there are colours, or one learner."""
    of = rows.drop_duplicates("label").groupby("learner", sort=False)["label"].apply(list)
    if sum(map(len, of)) <= 2 * len(COLOURS) and len(of) <= len(COLOURS):
        return [[label for labels in of for label in labels]]
    at_once = len(COLOURS) if max(map(len, of)) <= 2 else 1
    groups = [of.iloc[first : first + at_once] for first in range(0, len(of), at_once)]
    return [[label for labels in group for label in labels] for group in groups]


def _lines(axes: "Axes", panel: pd.DataFrame) -> None:
    learners, names = panel["learner"].unique(), panel["defense"].unique()
    defenses = [name for name in names if name != "natural"]
    if len(learners) == 1 and len(defenses) > len(STYLES):  # the defenses are what differs
        looks = [(colour, style) for style in STYLES for colour in COLOURS]
        colour_of, styles = (dict(zip(defenses, cycle(each), strict=False)) for each in zip(*looks, strict=True))
        colours = {(learners[0], name): colour_of.get(name, "#777777") for name in names}
        styles = {"natural": "--"} | styles
    else:
        colour_of = dict(zip(learners, cycle(COLOURS), strict=False))
        colours = {(learner, name): colour_of[learner] for learner in learners for name in names}
        styles = {"natural": "--"} | dict(zip(defenses, cycle(STYLES), strict=False))
    namesakes: Counter[tuple[str, str]] = Counter()
    for label, line in panel.groupby("label", sort=False):
        line = line.sort_values("eps")
        learner, defense = line.iloc[0][["learner", "defense"]]
        marker = MARKERS[namesakes[learner, defense] % len(MARKERS)]
        namesakes[learner, defense] += 1
        colour = colours[learner, defense]
        face = "white" if defense == "natural" else colour
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

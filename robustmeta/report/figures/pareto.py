"""Clean accuracy against accuracy in the worst case, a point a learner and defense, with the Pareto front."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from robustmeta.report.figures.labels import Line, label_points
from robustmeta.report.figures.look import MARKERS, looks, parts
from robustmeta.report.picture import INK, PAPER, SOFT, WASH, Picture, styled
from robustmeta.report.rows import RESULTS, labelled, require, unrepeated
from robustmeta.report.setting import Setting
from robustmeta.report.standing import trusted
from robustmeta.report.table import CLEAN, WORST

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def clean_against_worst(results: pd.DataFrame, setting: Setting) -> Picture:
    """A point a row, its 95% intervals both ways, and the Pareto front of the rows that are `trusted`.

    results: rows of `RESULTS`. On the front are the rows that no other beats in one of the two accuracies without
    losing in the other. A learner has a colour, natural training a circle; rows that are not trusted are hollow and
    no part of the front. More learners than colours are parted into panels, in each of which the others stay as grey
    points.
    Raises `RobustMetaError` for missing columns, no rows with both accuracies, or two rows of one point.
    """
    require(results, RESULTS, "results")
    rows = labelled(results)
    unrepeated(rows, ("label", "attack"), "results")
    points = _points(rows)
    require(points, (), "worst-case")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    groups = parts(points)
    across = min(2, len(groups))
    down = -(-len(groups) // across)
    with styled():
        figure = Figure(figsize=(6.4 if across == 1 else 5.4 * across, 4.8 * down), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(down, across, squeeze=False).flatten()
        for axes in grid[len(groups) :]:
            axes.remove()
        for axes, labels in zip(grid, groups, strict=False):
            _frame(axes, points, setting)
            _others(axes, points[~points["label"].isin(labels)])
            _named(axes, points[points["label"].isin(labels)])
        figure.draw_without_rendering()  # the layout, which the labels need, and which then stays
        figure.set_layout_engine("none")
        for axes, labels in zip(grid, groups, strict=False):
            here = points[points["label"].isin(labels)]
            texts = [
                label if ranked else f"{label} (not ranked)"
                for label, ranked in zip(here["label"], here["trusted"], strict=True)
            ]
            label_points(
                axes, list(zip(here["x"], here["y"], strict=True)), texts, [*_bars(here), *_front(axes, points)]
            )
    on_front = ", ".join(points.loc[points["front"], "label"])
    caption = (
        "Clean accuracy (right is better) against accuracy in the worst case (up is better), with 95% intervals over "
        f"episodes. On the Pareto front, which no row beats in one without losing in the other: {on_front or 'none'}."
    )
    if figure.axes[0].get_xlim()[0] < figure.axes[0].get_ylim()[1]:
        caption += " On the dotted line attacks would take nothing."
    if not points["trusted"].all():
        caption += " Hollow points fail a check of the audit, or met none, and are no part of the front."
    return Picture("pareto", "Clean against worst-case accuracy", caption, figure)


def _points(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a label that has both accuracies: x, y and their half-widths in percent, `trusted`, `front`."""
    rows = rows.assign(trusted=trusted(rows))
    clean, worst = (rows[rows["attack"] == name].set_index("label") for name in (CLEAN, WORST))
    found = worst[["learner", "defense", "trusted"]].assign(
        x=100 * clean["accuracy"], y=100 * worst["accuracy"],
        wide=100 * clean["ci95"].fillna(0), high=100 * worst["ci95"].fillna(0),
    )  # fmt: skip
    found = found.dropna(subset=["x", "y"])
    return found.assign(front=on_front(found["x"], found["y"], ~found["trusted"])).reset_index()


def on_front(x: pd.Series, y: pd.Series, outside: pd.Series) -> list[bool]:
    """Which points no other is better than in one coordinate and at least as good as in the other; none `outside`."""
    a, b, within = x.to_numpy(), y.to_numpy(), ~outside.to_numpy(dtype=bool)
    return [
        bool(within[i]) and not np.any(within & (a >= a[i]) & (b >= b[i]) & ((a > a[i]) | (b > b[i])))
        for i in range(len(a))
    ]


def _frame(axes: "Axes", points: pd.DataFrame, setting: Setting) -> None:
    from matplotlib.ticker import MaxNLocator

    low, high = (points["x"] - points["wide"]).min(), (points["x"] + points["wide"]).max()
    margin = max(1.0, 0.12 * (high - low))
    axes.set_xlim(max(0, low - margin), min(100, high + margin) + 0.02 * (high - low))
    top = min(100, (points["y"] + points["high"]).max() * 1.12 + 4)
    lowest = (points["y"] - points["high"]).min()
    # From 0, with room for labels below points there; but points that all lie high are looked at near by.
    axes.set_ylim(lowest - 0.2 * (top - lowest) if lowest > top / 2 else -0.07 * top, top)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
    axes.set_yticks([tick for tick in axes.get_yticks() if 0 <= tick <= top])
    axes.set_title(
        f"{setting.tasks} ({setting.split}), {setting.norm_text}, ε = {setting.eps_text}, {setting.episodes} episodes"
    )
    axes.set_xlabel("clean accuracy (%)")
    axes.set_ylabel("accuracy in the worst case (%)")
    axes.grid()
    axes.plot([0, 100], [0, 100], color=SOFT, linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
    for (x0, y0), (x1, y1) in (lines := _front(axes, points)):
        axes.plot([x0, x1], [y0, y1], color=INK, linewidth=0.9, alpha=0.7, zorder=1)
    if lines:
        corners = np.array([lines[0][0], *(end for _, end in lines)])
        axes.fill_between(corners[:, 0], corners[:, 1], axes.get_ylim()[0], color=WASH, linewidth=0, zorder=0)
        axes.annotate(
            "Pareto front", lines[0][0], (4, 3), textcoords="offset points", fontsize=7.5, color=SOFT, style="italic"
        )


def _front(axes: "Axes", points: pd.DataFrame) -> list[Line]:
    """The pieces of the staircase through the points of the front, from the left edge of the axes to the lower one."""
    front = points[points["front"]].sort_values("x")
    x = [axes.get_xlim()[0], *front["x"]]
    y = [*front["y"], axes.get_ylim()[0]]
    steps: list[Line] = []
    for i in range(len(front)):
        steps += [((x[i], y[i]), (x[i + 1], y[i])), ((x[i + 1], y[i]), (x[i + 1], y[i + 1]))]
    return steps


def _bars(points: pd.DataFrame) -> list[Line]:
    """The intervals of the points, as they are drawn."""
    level = [((p.x - p.wide, p.y), (p.x + p.wide, p.y)) for p in _each(points)]
    return level + [((p.x, p.y - p.high), (p.x, p.y + p.high)) for p in _each(points)]


def _each(points: pd.DataFrame) -> Iterator[Any]:
    return iter(points.itertuples())


def _others(axes: "Axes", points: pd.DataFrame) -> None:
    axes.scatter(points["x"], points["y"], s=12, color=SOFT, alpha=0.45, linewidth=0, zorder=2)


def _named(axes: "Axes", points: pd.DataFrame) -> None:
    colours, _ = looks(points)
    names = ["natural", *(name for name in points["defense"].unique() if name != "natural")]
    for row in _each(points):
        colour = colours[row.learner, row.defense]
        marker = MARKERS[names.index(row.defense) % len(MARKERS)]
        axes.errorbar(
            row.x, row.y, xerr=row.wide, yerr=row.high, fmt=marker, color=colour, markersize=5.5, elinewidth=1,
            markerfacecolor=colour if row.trusted else PAPER, zorder=3,
        )  # fmt: skip

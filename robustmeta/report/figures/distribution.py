"""How accuracy in the worst case is spread over episodes, a strip a learner and defense."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from robustmeta.report.figures.look import COLOURS
from robustmeta.report.picture import INK, SOFT, Picture, styled
from robustmeta.report.rows import EPISODES, labelled, require, unrepeated
from robustmeta.report.setting import Setting
from robustmeta.report.table import CLEAN, WORST

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STRIPS = 20
"""The most strips there are one below the other."""


def accuracy_by_episode(episodes: pd.DataFrame, setting: Setting) -> Picture:
    """A strip a row: a bar at every accuracy that an episode had, as high as the share of the episodes that had it.

    Accuracies of single episodes come in steps of 1 / (ways * queries): nothing is smoothed or put into bins. Below
    the bars stand the middle 90% of the episodes (thin), the middle half (thick) and the median; at the right the
    median and the 5% quantile; a small circle marks the clean median. All these are accuracies that some episode had.

    episodes: rows of `EPISODES` and `worst`; without that, clean accuracy is drawn. More than 20 rows are parted into
    columns.
    Raises `RobustMetaError` for missing columns, no rows, or one episode twice.
    """
    require(episodes, EPISODES, "episodes")
    rows = labelled(episodes)
    unrepeated(rows, ("label", "episode"), "episodes")
    shown = WORST if WORST in rows.columns else CLEAN
    labels = list(rows["label"].unique())
    colours = dict(zip(rows["learner"].unique(), np.resize(COLOURS, rows["learner"].nunique()), strict=True))
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    step = 100 / (setting.ways * setting.queries)
    across = -(-len(labels) // STRIPS)
    down = -(-len(labels) // across)
    title = f"{setting.tasks} ({setting.split})"
    if shown == WORST:
        title += f", {setting.norm_text}, ε = {setting.eps_text}"
    with styled({"axes.spines.left": False}):
        size = (6.6 if across == 1 else 5.6 * across, 1.2 + 0.36 * down)
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(1, across, squeeze=False)[0]
        for axes, first in zip(grid, range(0, len(labels), down), strict=True):
            here = labels[first : first + down]
            axes.set_title(f"{title}\n{setting.episodes} episodes")
            _frame(axes, here, down, "clean accuracy" if shown == CLEAN else "accuracy in the worst case")
            for place, label in enumerate(here):
                group = rows[rows["label"] == label].dropna(subset=[shown])
                _strip(axes, -place, 100 * group[shown].to_numpy(), step, colours[group["learner"].iloc[0]])
                if shown == WORST:
                    clean = _quantiles(100 * group[CLEAN].to_numpy())[2]
                    axes.plot(clean, -place - 0.17, "o", color=SOFT, markersize=3.5, markerfacecolor="none", zorder=4)
    what = "accuracy in the worst case" if shown == WORST else "clean accuracy"
    caption = (
        f"How {what} is spread over episodes, a strip a learner: a bar at every accuracy an episode had, as high as "
        "the share of the episodes that had it (the highest of each strip is as high as the strip). Below it the "
        "middle 90% of the episodes (thin line), the middle half (thick) and the median (upright mark)"
        + ("; the circle is the clean median." if shown == WORST else ".")
    )
    return Picture("episodes", f"{what[0].upper()}{what[1:]}, episode by episode", caption, figure)


def _quantiles(values: np.ndarray) -> list[float]:
    """5, 25, 50, 75 and 95%: each the least accuracy of an episode with at least that share at or below it."""
    return [float(found) for found in np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95], method="inverted_cdf")]


def _frame(axes: "Axes", labels: list[str], down: int, what: str) -> None:
    axes.set_xlim(-1.5, 101.5)
    axes.set_ylim(-down + 0.6, 0.85)
    axes.set_yticks([0.12 - place for place in range(len(labels))], labels)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"{what} (%)")
    axes.grid(axis="x")
    for x, word in ((1.04, "median"), (1.15, "5%")):
        axes.text(x, 0.72, word, transform=axes.get_yaxis_transform(), ha="center", fontsize=7.5, color=SOFT)


def _strip(axes: "Axes", base: float, values: np.ndarray, step: float, colour: str) -> None:
    at, counts = np.unique(values, return_counts=True)
    axes.bar(at, 0.62 * counts / counts.max(), min(2.4, 0.7 * step), base, color=colour, linewidth=0, zorder=3)
    low, first, median, third, high = _quantiles(values)
    line = base - 0.17
    axes.plot([low, high], [line, line], color=colour, linewidth=1, zorder=2)
    axes.plot([first, third], [line, line], color=colour, linewidth=3.5, solid_capstyle="butt", zorder=2)
    axes.plot([median, median], [line - 0.1, line + 0.1], color=INK, linewidth=1.4, zorder=5)
    for x, value in ((1.04, median), (1.15, low)):
        words = f"{value:.0f}"
        axes.text(x, base + 0.12, words, transform=axes.get_yaxis_transform(), ha="center", va="center", fontsize=8)

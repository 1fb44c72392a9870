"""Lines of accuracy against something, one a learner and defense, in as many panels as they need to be told apart."""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import pandas as pd

from robustmeta.report.figures.look import MARKERS, looks, parts
from robustmeta.report.picture import PAPER, SOFT, styled
from robustmeta.report.rows import labelled, require, unrepeated
from robustmeta.report.setting import Setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def curves(
    rows: pd.DataFrame,
    x: str,
    columns: tuple[str, ...],
    setting: Setting,
    frame: Callable[["Axes", pd.DataFrame], None],
) -> "Figure":
    """Accuracy against the column `x`, with its 95% intervals as bands; one panel an attack.

    A learner has a colour, natural training is dashed, defenses are not, and namesakes differ in their markers. More
    than 12 lines, or six learners, are parted, six learners a panel, or one learner with its defenses in colours.
    Chance (1 / ways) is marked. frame: sets the x axis of a panel from its rows. columns: that there must be.
    Raises `RobustMetaError` for missing columns, no rows, or two rows of one point.
    """
    require(rows, columns, "curve" if x == "eps" else x)
    rows = labelled(rows)
    unrepeated(rows, ("label", "attack", x), "curve" if x == "eps" else x)
    # Imported here, as it takes a second that only a report should pay; never pyplot, whose state is global.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    groups = parts(rows)
    panels = [(attack, group) for attack in rows["attack"].unique() for group in groups]
    across = min(3, len(panels))
    down = -(-len(panels) // across)
    with styled():
        height = 4.2 if len(groups) == 1 else 5.6  # a legend of its own
        figure = Figure(figsize=(5.4 * across, height * down), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(down, across, squeeze=False).flatten()
        for axes in grid[len(panels) :]:
            axes.remove()
        for axes, (attack, labels) in zip(grid, panels, strict=False):
            panel = rows[(rows["attack"] == attack) & rows["label"].isin(labels)]
            _lines(axes, panel, x)
            _scale(axes, panel, attack, setting)
            frame(axes, panel)
            if len(groups) > 1:
                axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, frameon=False, fontsize=7)
        if len(groups) == 1:
            _legend(figure, min(4, rows["learner"].nunique() + 1))  # a learner a column, if all have as many defenses
    return figure


def _legend(figure: "Figure", columns: int) -> None:
    """The legend of all panels below them, in at most so many columns as are no wider than the figure."""
    handles, names = figure.axes[0].get_legend_handles_labels()
    for ncols in range(columns, 0, -1):
        made = figure.legend(handles, names, loc="outside lower center", ncols=ncols, frameon=False, handlelength=3)
        if ncols == 1 or made.get_window_extent().width <= figure.bbox.width:
            return
        made.remove()


def _lines(axes: "Axes", panel: pd.DataFrame, x: str) -> None:
    colours, styles = looks(panel)
    namesakes: Counter[tuple[str, str]] = Counter()
    for label, line in panel.groupby("label", sort=False):
        line = line.sort_values(x)
        learner, defense = line.iloc[0][["learner", "defense"]]
        marker = MARKERS[namesakes[learner, defense] % len(MARKERS)]
        namesakes[learner, defense] += 1
        colour = colours[learner, defense]
        face = PAPER if defense == "natural" else colour
        low, high = (100 * (line["accuracy"] + sign * line["ci95"].fillna(0)).clip(0, 1) for sign in (-1, 1))
        axes.fill_between(line[x], low, high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(
            line[x], 100 * line["accuracy"], styles[defense], color=colour, linewidth=1.6,
            marker=marker, markersize=4, markerfacecolor=face, label=label, clip_on=False,
        )  # fmt: skip


def _scale(axes: "Axes", panel: pd.DataFrame, attack: str, setting: Setting) -> None:
    episodes = ", ".join(str(number) for number in panel["episodes"].unique())
    axes.set_title(
        f"{setting.tasks} ({setting.split})\n{setting.norm_text}, {attack}, {episodes} episodes, 95% intervals"
    )
    axes.set_ylim(0, 100)
    axes.set_ylabel("accuracy (%)")
    chance = 100 * setting.chance
    axes.axhline(chance, color=SOFT, linewidth=1, linestyle=(0, (2, 2)), label=f"chance, {chance:.3g}%")
    axes.grid(axis="y")

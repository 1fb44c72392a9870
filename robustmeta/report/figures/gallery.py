"""What an attack does to a task: its support, and queries before and after, a line a learner and defense."""

from collections.abc import Iterable, Mapping
from string import ascii_uppercase
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from robustmeta.report.picture import INK, SOFT, Picture, styled
from robustmeta.report.rows import labelled
from robustmeta.report.setting import Setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from robustmeta.exhibit import Exhibit

LINES = 8
"""The most rows that are shown, as a page that shows more is one that nobody looks at."""
FOOLED = "#d04f00"
"""Of a wrong prediction; as easily read on black as on white."""
SIDE, GAP, LABEL, HEAD, TEXT = 0.62, 0.06, 1.45, 0.3, 0.17
"""Inches: an image, the space beside it, the names at the left, the headings, a line of text."""


def gallery(exhibits: Mapping[str, "Exhibit"], results: pd.DataFrame, setting: Setting) -> Picture | None:
    """The first test task, the same queries in every line: perturbation and adversarial image, predictions under them.

    exhibits: by the column `row` of results. Of each learner its natural row and its first defended one are shown, at
    most 8 lines. Perturbations are magnified by one factor, which is written, about a middle grey that means no change.
    None where there is nothing to show.
    """
    shown = _shown(exhibits, results)
    if not shown:
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    first = next(iter(shown.values()))
    queries, ways = len(first.labels), len(first.support)
    pair = 2 * SIDE + GAP + 3 * GAP
    width = LABEL + queries * pair
    support_side = min(SIDE, (width - LABEL) / ways - GAP)
    block = SIDE + TEXT + 0.12
    height = HEAD + support_side + HEAD + SIDE + HEAD + len(shown) * block + GAP
    factor = _factor(shown.values(), setting)
    with styled():
        figure = Figure(figsize=(width, height))
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, width)
        axes.set_ylim(height, 0)
        axes.axis("off")
        y = HEAD
        _say(axes, GAP, y + support_side / 2, "support", "the classes, by letter")
        for way, image in enumerate(first.support):
            x = LABEL + (way + 0.5) * (width - LABEL) / ways - 1.5 * GAP - support_side / 2
            _draw(axes, image, x, y, support_side)
            axes.text(x + support_side / 2, y - 0.04, _letter(way), ha="center", va="bottom", fontsize=8)
        y += support_side + HEAD
        _say(axes, GAP, y + SIDE / 2, "query", "as it is")
        for query, image in enumerate(first.clean):
            x = LABEL + query * pair + (2 * SIDE + GAP - SIDE) / 2
            _draw(axes, image, x, y, SIDE)
            axes.text(
                x + SIDE / 2,
                y - 0.04,
                f"true class {_letter(first.labels[query])}",
                ha="center",
                va="bottom",
                fontsize=8,
            )
        y += SIDE + HEAD
        axes.text(
            LABEL,
            y - 0.06,
            f"perturbation \u00d7 {factor:.3g}, and the query with it",
            fontsize=7.5,
            color=SOFT,
            va="bottom",
        )
        for label, exhibit in shown.items():
            _say(axes, GAP, y + SIDE / 2, *label.split(" / ", 1), exhibit.attack)
            for query in range(queries):
                _query(axes, exhibit, query, LABEL + query * pair, y, factor)
            y += block
    caption = (
        "The first task of the table, not a chosen one: the first shot of each class, the first query of each of the "
        f"first {queries} classes, and what the attack that took most of the task's queries from each learner makes of "
        f"them. Perturbations are shown {factor:.3g} times as large; middle grey is no change. Under each query stand "
        "the class that the learner gives it and its probability, before and after; an error is framed and marked ✗."
    )
    return Picture("gallery", "A task under attack", caption, figure)


def _shown(exhibits: Mapping[str, "Exhibit"], results: pd.DataFrame) -> dict[str, "Exhibit"]:
    """The exhibits on the page by label: of each learner the natural row and the first defended one."""
    if "row" not in results.columns:
        return {}
    rows = labelled(results[results["row"].isin(list(exhibits))]).drop_duplicates("label")
    kind = rows["defense"].eq("natural")
    chosen = rows[~rows.assign(kind=kind).duplicated(["learner", "kind"])].head(LINES)
    return {str(label): exhibits[row] for label, row in zip(chosen["label"], chosen["row"], strict=True)}


def _factor(exhibits: Iterable["Exhibit"], setting: Setting) -> float:
    """By how much perturbations are magnified: so that the largest change of a pixel becomes white or black."""
    largest = max(float(np.abs(each.moved - each.clean).max()) for each in exhibits)
    if setting.threat_norm == "Linf":
        largest = setting.eps
    return 0.5 / largest if 0 < largest < 0.5 else 1.0


def _query(axes: "Axes", exhibit: "Exhibit", query: int, x: float, y: float, factor: float) -> None:
    moved, clean = exhibit.moved[query], exhibit.clean[query]
    true, before, after = exhibit.labels[query], exhibit.before[query], exhibit.after[query]
    _draw(axes, np.clip(0.5 + factor * (moved - clean), 0, 1), x, y, SIDE)
    at = x + SIDE + GAP
    _draw(axes, moved, at, y, SIDE, FOOLED if after != true else None)
    middle, under = x + SIDE + GAP / 2, y + SIDE + 0.03
    for word, align, offset in (
        (_said(before, true, exhibit.sure_before[query]), "right", -0.1),
        (_said(after, true, exhibit.sure_after[query]), "left", 0.1),
    ):
        colour = FOOLED if word.endswith("✗") else INK
        axes.text(middle + offset, under, word, ha=align, va="top", fontsize=7, color=colour)
    axes.text(middle, under, "→", ha="center", va="top", fontsize=7, color=SOFT)


def _said(given: int, true: int, sure: float) -> str:
    return f"{_letter(given)} {100 * sure:.0f}%" + ("" if given == true else " ✗")


def _letter(label: int) -> str:
    return ascii_uppercase[label] if label < len(ascii_uppercase) else str(label + 1)


def _say(axes: "Axes", x: float, y: float, head: str, *more: str) -> None:
    """A bold word, and lines below it."""
    above = TEXT * len(more) / 2
    axes.text(x, y - above, head, fontsize=8.5, weight="bold", va="center")
    for line, word in enumerate(more, 1):
        axes.text(x, y - above + line * TEXT, word, fontsize=7.5, color=INK if line < len(more) else SOFT, va="center")


def _draw(axes: "Axes", image: np.ndarray, x: float, y: float, side: float, frame: str | None = None) -> None:
    """One image `[C, H, W]` in [0, 1], grey or in colour, pixel for pixel."""
    from matplotlib.patches import Rectangle

    pixels = np.round(255 * image.transpose(1, 2, 0)).astype(np.uint8)
    pixels = pixels.repeat(3, -1) if pixels.shape[-1] == 1 else pixels[..., :3]
    axes.imshow(pixels, extent=(x, x + side, y + side, y), interpolation="none", aspect="auto", zorder=2)
    axes.add_patch(
        Rectangle((x, y), side, side, fill=False, linewidth=1.6 if frame else 0.5, edgecolor=frame or SOFT, zorder=3)
    )

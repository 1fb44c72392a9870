"""Labels beside points, placed so that they cover neither each other nor a point."""

from collections.abc import Sequence
from math import cos, pi, sin
from typing import TYPE_CHECKING, NamedTuple

from robustmeta.report.picture import SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ANGLES = (35, -35, 145, -145, 90, -90, 0, 180, 60, -60, 120, -120, 15, -15, 165, -165)
"""Degrees from the point, in the order in which they are tried at each distance."""
DISTANCES = (6, 10, 16, 24, 34, 46, 60, 76, 94)
"""Points from the point to the near edge of its label; from the third on a line leads to it."""


Line = tuple[tuple[float, float], tuple[float, float]]


class Box(NamedTuple):
    """A rectangle in pixels."""

    left: float
    bottom: float
    right: float
    top: float

    def shared(self, other: "Box") -> float:
        """The area that the two share."""
        across = min(self.right, other.right) - max(self.left, other.left)
        return max(across, 0) * max(min(self.top, other.top) - max(self.bottom, other.bottom), 0)


def label_points(
    axes: "Axes",
    points: Sequence[tuple[float, float]],
    texts: Sequence[str],
    lines: Sequence[Line] = (),
    size: float = 7.5,
) -> None:
    """Write each of `texts` near its point, with a thin line to it where there was no place close by.

    lines: pairs of points, upright or level, that labels are to leave free where they can, as intervals and fronts; so
    they do texts that are there.
    The limits and the layout of the axes must be set. Points are taken from the top down, each at the first place of
    `DISTANCES` and `ANGLES` that is free and inside the axes; where none is, at the one that covers least.
    """
    renderer = axes.figure.canvas.get_renderer()  # type: ignore[attr-defined]
    scale = axes.figure.dpi / 72
    at = [tuple(axes.transData.transform(point)) for point in points]
    taken = [Box(x - 4 * scale, y - 4 * scale, x + 4 * scale, y + 4 * scale) for x, y in at]
    for line in lines:
        (left, low), (right, high) = (axes.transData.transform(end) for end in line)
        taken.append(
            Box(min(left, right) - scale, min(low, high) - scale, max(left, right) + scale, max(low, high) + scale)
        )
    taken += [Box(*text.get_window_extent(renderer).extents) for text in axes.texts]
    frame = Box(*axes.get_window_extent(renderer).extents)
    for number in sorted(range(len(at)), key=lambda number: (-at[number][1], at[number][0])):
        (x, y), text = at[number], axes.text(0, 0, texts[number], fontsize=size, va="center", ha="center", zorder=5)
        extent = text.get_window_extent(renderer)
        half = (extent.width / 2, extent.height / 2)
        box, distance = min(_places((x, y), half, scale), key=lambda place: _cost(place[0], taken, frame, place[1]))
        middle = ((box.left + box.right) / 2, (box.bottom + box.top) / 2)
        text.set_position(tuple(axes.transData.inverted().transform(middle)))
        taken.append(box)
        if distance >= DISTANCES[2]:
            ends = [axes.transData.inverted().transform(end) for end in ((x, y), _nearest(box, x, y))]
            axes.plot(*zip(*ends, strict=True), color=SOFT, linewidth=0.6, zorder=2)


def _places(point: tuple[float, float], half: tuple[float, float], scale: float) -> list[tuple[Box, int]]:
    """Where a label of the half size could stand, nearest first."""
    found = []
    for distance in DISTANCES:
        for degrees in ANGLES:
            along, up = cos(degrees * pi / 180), sin(degrees * pi / 180)
            x = point[0] + along * (half[0] + distance * scale)
            y = point[1] + up * (half[1] + distance * scale)
            found.append((Box(x - half[0], y - half[1], x + half[0], y + half[1]), distance))
    return found


def _cost(box: Box, taken: Sequence[Box], frame: Box, distance: int) -> tuple[float, int]:
    area = (box.right - box.left) * (box.top - box.bottom)
    covered = sum(box.shared(other) for other in taken) + area - box.shared(frame)
    return round(covered, 3), distance


def _nearest(box: Box, x: float, y: float) -> tuple[float, float]:
    """The point of a box that is nearest to (x, y)."""
    return min(max(x, box.left), box.right), min(max(y, box.bottom), box.top)

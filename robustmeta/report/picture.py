"""A figure of a report with its words: as PNG beside the page, and as SVG inside it."""

import io
import os
import re
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from robustmeta.files import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, SOFT, FAINT, WASH, PAPER = "#1f2328", "#6e7781", "#e4e7eb", "#f4f6f8", "#ffffff"
"""Text and axes, marks that stand back, grids, areas, the ground: the colours that follow a page's light or dark."""
THEMED = {
    INK: ("currentColor", None),
    SOFT: ("currentColor", "0.65"),
    FAINT: ("currentColor", "0.14"),
    WASH: ("currentColor", "0.03"),
    PAPER: ("var(--paper, Canvas)", None),
}
"""What each of them is in an SVG: a colour of the page around it, and its opacity."""
STYLE = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.edgecolor": SOFT,
    "axes.axisbelow": True,
    "axes.linewidth": 0.8,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.color": SOFT,
    "ytick.labelcolor": INK,
    "text.parse_math": False,  # names are the user's, and a dollar in them is one
}
FONT = "system-ui, -apple-system, Segoe UI, Roboto, DejaVu Sans, sans-serif"
"""Of an SVG's text; none of these sets it wider than DejaVu Sans, by which matplotlib laid it out."""
TAG = re.compile(r"<[^>]*>")
"""Of matplotlib's SVG, which escapes both brackets in attributes and text: what is outside is text, and left alone."""


@dataclass(frozen=True)
class Picture:
    """A figure of a report.

    name: of its file, `pareto` for pareto.png, and of its ids in a page. title, caption: what it shows, and how to
    read it, in plain text. figure: of matplotlib, made within `styled`.
    """

    name: str
    title: str
    caption: str
    figure: "Figure"

    def png(self, path: str | os.PathLike[str]) -> None:
        """Write the picture on a white ground; raises `RobustMetaError` where it cannot be written."""
        with styled(), whole_file(path) as part:
            self.figure.savefig(part, format="png", dpi=200, metadata={"Software": None})

    def svg(self) -> str:
        """An `<svg>` to stand inside a page, as wide as its place, of the page's own font, text and ground colours.

        It holds text as text and raster images as `data:` URIs; no two pictures of a page share an id if they share no
        name, and the same picture is the same text every time.
        """
        file = io.StringIO()
        with styled({"svg.fonttype": "none", "svg.hashsalt": self.name}):
            self.figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
        return _inline(file.getvalue(), self.name, self.caption)


@contextmanager
def styled(settings: dict[str, Any] | None = None) -> Iterator[None]:
    """The one look of all pictures, whatever the user's own matplotlibrc says."""
    from matplotlib import style  # it takes a second that only a report should pay

    with style.context(["default", STYLE, settings or {}]):
        yield


def _inline(document: str, name: str, label: str) -> str:
    """The `<svg>` element of an SVG document of matplotlib's, fit to stand in a page among others."""
    body = document[document.index("<svg") :]
    body = re.sub(
        r"<metadata>.*?</metadata>|<!--.*?-->|<defs>\s*<style[^>]*>.*?</style>\s*</defs>", "", body, flags=re.S
    )
    viewbox = re.search(r'viewBox="([^"]*)"', body)
    size = viewbox[1] if viewbox else ""
    width = float(size.split()[2]) * 4 / 3  # CSS pixels of the points of matplotlib
    body = body[body.index(">") + 1 :]
    referred = set(re.findall(r"#([\w-]+)(?=[\")])", "".join(TAG.findall(body))))
    body = TAG.sub(lambda tag: _fitted(tag[0], name, referred), body)
    body = re.sub(r">\s+<", "><", body).strip()
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(label)}" viewBox="{size}" '
        f'width="100%" style="max-width: {width:.0f}px" font-family="{FONT}" fill="currentColor" '
        f'stroke-linejoin="round" stroke-linecap="butt">{body}'
    )


def _fitted(tag: str, name: str, referred: Container[str]) -> str:
    """A tag with the page's font and colours, short numbers, and, where it is `referred` to, the picture's own id."""
    tag = re.sub(r"\s*\n\s*", " ", tag.replace("xlink:href", "href")).replace("base64, ", "base64,")
    tag = re.sub(r"font: (?:(\w+) )?([\d.]+px)[^;\"]*", _font, tag)
    tag = re.sub(r"font-family: [^;\"]*;? ?", "", tag)
    tag = re.sub(r'(fill|stroke): (#[0-9a-f]{6})(?=[;"])', _themed, tag)
    tag = re.sub(r' transform="rotate\(-?0 [^"]*"', "", tag)
    tag = re.sub(r' (?:d|x|y|transform)="[^"]*"', _rounded, tag)
    tag = re.sub(r' id="([^"]*)"', lambda own: f' id="{name}-{own[1]}"' if own[1] in referred else "", tag)
    return re.sub(r'(url\(|href=")#', rf"\1#{name}-", tag)


def _font(font: re.Match[str]) -> str:
    """Size and weight of the shorthand that matplotlib wrote up to 3.9; the family is the page's."""
    return f"font-size: {font[2]}" + (f"; font-weight: {font[1]}" if font[1] else "")


def _themed(found: re.Match[str]) -> str:
    part, colour = found[1], found[2]
    if colour not in THEMED:
        return found[0]
    themed, opacity = THEMED[colour]
    return f"{part}: {themed}" + (f"; {part}-opacity: {opacity}" if opacity else "")


def _rounded(attribute: re.Match[str]) -> str:
    """Coordinates to a hundredth of a point."""
    return re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), attribute[0])

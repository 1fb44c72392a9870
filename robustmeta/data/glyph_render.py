"""Small antialiased drawings of characters, from the fonts that come with matplotlib."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib import get_data_path
from matplotlib.ft2font import FT2Font
from numpy.typing import NDArray
from PIL import Image, ImageFont

#: Side of a drawing in pixels.
SIDE = 28
_FONT_PIXELS = 72
_OVERSAMPLING = 3
_MARGIN = 1.0
_LONG_SIDE = 17.0
_LEAST_FACES = 4
#: What an oblique face of DejaVu Sans does to its upright one.
_SLANT = 0.2
#: The font files that are drawn from, upright faces of a family first.
FILES = [
    f"{family}{style}.ttf"
    for family, styles in {
        "DejaVuSans": ("", "-Bold", "-Oblique", "-BoldOblique"),
        "DejaVuSerif": ("", "-Bold", "-Italic", "-BoldItalic"),
        "DejaVuSansMono": ("", "-Bold", "-Oblique", "-BoldOblique"),
        "STIXGeneral": ("", "Bol", "Italic", "BolIta"),
    }.items()
    for style in styles
]


class Face(NamedTuple):
    """A character in one font face: its outline, and whether it is to be slanted mechanically."""

    outline: Image.Image
    slanted: bool


@dataclass(frozen=True)
class Jitter:
    """A seeded change of pose: rotation in radians, scale and horizontal shear as factors, shift in pixels."""

    rotation: float = 0.0
    scale: float = 1.0
    shear: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Jitter":
        """Uniform: rotation to 15 degrees either way, scale 0.75 to 1.2, shear to 0.2, shift to 2.5 pixels."""
        turn, scale, shear, right, down = rng.uniform(
            [-np.pi / 12, 0.75, -0.2, -2.5, -2.5], [np.pi / 12, 1.2, 0.2, 2.5, 2.5]
        )
        return cls(turn, scale, shear, (right, down))


@cache
def covered(file: str) -> frozenset[int]:
    """The code points that a font file of matplotlib's has a glyph for; none if there is no such file."""
    path = _font_path(file)
    if not path.is_file():
        return frozenset()
    return frozenset(point for point, glyph in FT2Font(str(path)).get_charmap().items() if glyph)


def faces(point: int) -> list[Face]:
    """The faces that draw a code point: those with a glyph for it and, if under four, their upright ones slanted."""
    outlines = {file: outline(point, file) for file in FILES if point in covered(file)}
    found = [Face(glyph, False) for glyph in outlines.values() if glyph]
    if len(found) < _LEAST_FACES:
        found += [Face(glyph, True) for file, glyph in outlines.items() if glyph and "Oblique" not in file]
    return found


def outline(point: int, file: str) -> Image.Image | None:
    """The glyph at 72 pixels an em, cut to its ink; None if it has none."""
    mask = _font(file).getmask(chr(point), "L")
    if 0 in mask.size:
        return None
    image = Image.frombytes("L", mask.size, bytes(mask))
    box = image.getbbox()
    return image.crop(box) if box else None


def draw(glyph: Image.Image, jitter: Jitter, slanted: bool = False) -> NDArray[np.uint8]:
    """uint8 `[28, 28]`, ink 255 on 0: `glyph`, its longer side scaled to 17 pixels, centred, then jittered.

    Where the jitter would bring ink within a pixel of the border, the scale and the shift are reduced.
    """
    width, height = glyph.size
    half = np.array([width, height]) / 2
    turn = np.array([[np.cos(jitter.rotation), -np.sin(jitter.rotation)],
                     [np.sin(jitter.rotation), np.cos(jitter.rotation)]])  # fmt: skip
    shear = np.array([[1.0, -jitter.shear - (_SLANT if slanted else 0.0)], [0.0, 1.0]])
    forward = turn @ shear * (jitter.scale * _LONG_SIDE / max(width, height))
    room = SIDE / 2 - _MARGIN
    reach = np.abs(forward) @ half
    forward *= min(1.0, float(room / reach.max()))
    reach = np.minimum(np.abs(forward) @ half, room)
    centre = SIDE / 2 + np.clip(jitter.shift, reach - room, room - reach)
    back = np.linalg.inv(forward)
    offset = half - back @ centre
    back = back / _OVERSAMPLING
    large = glyph.transform(
        (SIDE * _OVERSAMPLING, SIDE * _OVERSAMPLING),
        Image.Transform.AFFINE,
        (back[0, 0], back[0, 1], offset[0], back[1, 0], back[1, 1], offset[1]),
        resample=Image.Resampling.BILINEAR,
    )
    return np.asarray(large.reduce(_OVERSAMPLING), dtype=np.uint8)


def _font_path(file: str) -> Path:
    return Path(get_data_path()) / "fonts" / "ttf" / file


@cache
def _font(file: str) -> ImageFont.FreeTypeFont:
    # The basic layout draws code points as they are, on machines with and without Raqm.
    return ImageFont.truetype(_font_path(file), _FONT_PIXELS, layout_engine=ImageFont.Layout.BASIC)

"""How the classes of `glyph_table.py` were chosen: `python -m robustmeta.data.glyph_choice` (takes minutes).

Candidates are the letters and digits of `SPLIT_SCRIPTS` that at least two of matplotlib's font files draw. They are
taken test scripts first, then val, then train, accented letters last and at most 40, and one is dropped if it looks
like one already taken. Two characters are as alike as their drawings: each drawing of the one is held against every
drawing of the other, wider, narrower and slanted too; the best correlation of pixels counts, and the mean is taken over
the drawings of both. Within a split, 0.91 is too alike (`e` with an acute and with a grave: 0.92; `c` and `e`: 0.80);
across splits, and between a capital and its own small letter, 0.84 already (Greek nu and Latin `v`: 0.79), so that no
test class is known from training in another guise.
"""

import unicodedata
from collections.abc import Iterable
from itertools import product
from textwrap import wrap

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from robustmeta.data import glyph_render

#: Scripts of each split, with the first words of the names that their characters have in Unicode.
SPLIT_SCRIPTS: dict[str, dict[str, tuple[str, ...]]] = {
    "test": {
        "Armenian": ("ARMENIAN",),
        "Georgian": ("GEORGIAN",),
        "Hebrew": ("HEBREW",),
        "Lao": ("LAO",),
        "Tifinagh": ("TIFINAGH",),
    },
    "val": {"Arabic": ("ARABIC", "ARABIC-INDIC"), "N'Ko": ("NKO",), "Ogham": ("OGHAM",)},
    "train": {
        "Latin": ("LATIN",),
        "Greek": ("GREEK",),
        "Cyrillic": ("CYRILLIC",),
        "Coptic": ("COPTIC",),
        "Lisu": ("LISU",),
        "Old Italic": ("OLD",),
        "Canadian Aboriginal": ("CANADIAN",),
        "Braille": ("BRAILLE",),
    },
}
SAME, SAME_ACROSS = 0.91, 0.84
_MOST_ACCENTED = 40
#: Widths and slants in which one character is held against another; the first leaves it as it is.
_POSES = [(1.0, 0.0), *(pose for pose in product((0.64, 0.8, 1.0, 1.25, 1.56), (-0.2, 0.0, 0.2)) if pose != (1, 0))]
_SIX_DOT_BRAILLE = range(0x2801, 0x2840)


def candidates(words: Iterable[str]) -> list[int]:
    """Code points of letters and digits whose Unicode name begins with one of `words`, accented ones last.

    Left out: ligatures and other compatibility forms, but for Arabic, whose contextual forms they are.
    """
    found = []
    for point in sorted(frozenset().union(*map(glyph_render.covered, glyph_render.FILES))):
        sign = chr(point)
        letter = unicodedata.category(sign) in ("Lu", "Ll", "Lo", "Nd") or point in _SIX_DOT_BRAILLE
        word = unicodedata.name(sign, "").split(" ")[0]
        plain = unicodedata.normalize("NFKD", sign) == sign or accented(point) or word == "ARABIC"
        if letter and plain and word in words:
            found.append(point)
    return sorted(found, key=lambda point: (accented(point), point))


def accented(point: int) -> bool:
    """Whether Unicode decomposes the character into a letter and marks."""
    return unicodedata.normalize("NFD", chr(point)) != chr(point)


def drawings(point: int) -> NDArray[np.float32]:
    """`[F, 15, 576]`: the character in each face in 15 poses, 24 x 24, hardly blurred, at mean 0 and norm 1."""
    rows = []
    for file in glyph_render.FILES:
        glyph = glyph_render.outline(point, file) if point in glyph_render.covered(file) else None
        if glyph is None:
            continue
        for width, shear in _POSES:
            wide = glyph.resize((max(1, round(glyph.width * width)), glyph.height))
            small = glyph_render.draw(wide, glyph_render.Jitter(scale=20 / 17, shear=shear))[2:-2, 2:-2]
            blurred = Image.fromarray(small).filter(ImageFilter.GaussianBlur(0.6))
            pixels = np.asarray(blurred, dtype=np.float32).ravel()
            rows.append((pixels - pixels.mean()) / np.linalg.norm(pixels - pixels.mean()))
    return np.array(rows, dtype=np.float32).reshape(-1, len(_POSES), 24 * 24)


def choose(scripts: dict[str, dict[str, tuple[str, ...]]]) -> dict[str, dict[str, list[int]]]:
    """The chosen code points of each script of each split of `scripts`, a table like `SPLIT_SCRIPTS`."""
    chosen: dict[str, dict[str, list[int]]] = {split: {name: [] for name in names} for split, names in scripts.items()}
    taken: list[tuple[int, str]] = []
    rows = np.empty((0, len(_POSES), 24 * 24), dtype=np.float32)
    starts: list[int] = []
    order = [
        (accented(point), split, name, point)
        for split, names in scripts.items()
        for name, words in names.items()
        for point in candidates(words)
    ]
    splits = list(scripts)
    accents = 0
    for is_accented, split, name, point in sorted(order, key=lambda row: (splits.index(row[1]), row[0])):
        own = drawings(point)
        if len(own) < 2 or (is_accented and (split != "train" or accents == _MOST_ACCENTED)):
            continue
        if taken:
            theirs = (own[:, 0] @ rows.reshape(-1, 24 * 24).T).reshape(len(own), -1, len(_POSES)).max(axis=2)
            nearest_theirs = np.maximum.reduceat(theirs, starts, axis=1).mean(axis=0)
            nearest_own = (rows[:, 0] @ own.reshape(-1, 24 * 24).T).max(axis=1)
            nearest_own = np.add.reduceat(nearest_own, starts) / np.diff([*starts, len(rows)])
            limits = [SAME_ACROSS if split != other or _twins(point, seen) else SAME for seen, other in taken]
            if ((nearest_theirs + nearest_own) / 2 >= limits).any():
                continue
        starts.append(len(rows))
        rows = np.concatenate([rows, own])
        taken.append((point, split))
        accents += is_accented
        chosen[split][name].append(point)
    return {split: {name: sorted(points) for name, points in names.items()} for split, names in chosen.items()}


def _twins(one: int, other: int) -> bool:
    return chr(one).lower() == chr(other).lower()


def _runs(points: list[int]) -> str:
    """Hexadecimal code points, neighbours as `first-last`."""
    runs: list[list[int]] = []
    for point in points:
        if runs and point == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], point]
        else:
            runs.append([point])
    return " ".join("-".join(f"{point:x}" for point in run) for run in runs)


if __name__ == "__main__":
    for split_name, table in choose(SPLIT_SCRIPTS).items():
        print(f'    "{split_name}": {{')
        for script_name, points in table.items():
            lines = [f'            "{line} "' for line in wrap(_runs(points), 90, break_on_hyphens=False)]
            print(f'        "{script_name}": (', *lines, "        ),", sep="\n")
        print("    },")

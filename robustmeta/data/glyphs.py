"""Glyphs: characters of 16 scripts drawn from the fonts that come with matplotlib; nothing to download."""

import hashlib
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import features

from robustmeta.data.cache import Arrays, cached
from robustmeta.data.classes import ImageClasses
from robustmeta.data.datasets import DATASETS
from robustmeta.data.glyph_table import TABLE, classes
from robustmeta.errors import RobustMetaError

#: Images of each class.
EACH = 20
#: Seeds the jitter; raise it when drawings change for a reason that the cache's name does not tell.
EDITION = 1


@DATASETS.register("glyphs", fixed=True)
def glyphs(split: str, root: Path) -> ImageClasses:
    """One split of the glyphs as uint8 `[M, 1, 28, 28]`, ink 255 on 0, 20 images a class.

    A class is a character, labelled `script/U+code`; its images are its drawings in 4 to 16 font faces (DejaVu and
    STIX), each turned, scaled, sheared and shifted at random, seeded by its code point: the same pixels in every
    process with the same versions of matplotlib, Pillow and FreeType. No script is in two splits, and of characters
    that look the same one is kept (`glyph_choice.py` says how). `root` is not used. The first load draws, for
    some seconds; later ones read the user's cache. Raises `RobustMetaError` if the fonts are not there.
    """
    which = f"{EDITION}-{version('matplotlib')}-{features.version('pil')}-{features.version('freetype2')}"
    table = hashlib.sha256(str(TABLE[split]).encode()).hexdigest()[:8]
    images = cached(f"glyphs-{split}-{table}-{which}", lambda: _draw_split(split))["images"]
    labels = tuple(f"{script}/U+{point:04X}" for script, point in classes(split))
    return ImageClasses(f"glyphs/{split}", torch.from_numpy(images).flatten(0, 1), (EACH,) * len(labels), labels)


def _draw_split(split: str) -> Arrays:
    return {"images": np.stack([draw_class(point) for _, point in classes(split)])[:, :, None]}


def draw_class(point: int) -> NDArray[np.uint8]:
    """uint8 `[20, 28, 28]`: the character `point` in each of its faces in turn, in a seeded order and pose."""
    from robustmeta.data import glyph_render  # matplotlib's fonts are not needed once the cache is there

    faces = glyph_render.faces(point)
    if not faces:
        raise RobustMetaError(
            f"matplotlib's fonts have no drawing of U+{point:04X}; reinstall matplotlib with its font files"
        )
    rng = np.random.default_rng([EDITION, point])
    order = rng.permutation(len(faces))
    drawings = []
    for index in range(EACH):
        face = faces[order[index % len(faces)]]
        drawings.append(glyph_render.draw(face.outline, glyph_render.Jitter.draw(rng), face.slanted))
    return np.stack(drawings)

"""Omniglot: 1,623 handwritten characters of 50 alphabets, 20 drawings each (Lake, Salakhutdinov, Tenenbaum 2015)."""

import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from robustmeta.data.cache import Arrays, cached
from robustmeta.data.classes import ImageClasses
from robustmeta.data.datasets import DATASETS, SPLITS
from robustmeta.data.download import download
from robustmeta.errors import RobustMetaError, unknown

URL = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/"
MD5 = {
    "images_background.zip": "68d2efa1b9178cc56df9314c21c6e718",
    "images_evaluation.zip": "6b91aef0f799c5bb55b94e3f2daec811",
}
#: sha256 over the sorted member names and decoded pixels: the same however an archive was packed.
CONTENT = {
    "images_background.zip": "52fd125c28ea88b67e45b300f85529f9b4058a82b9681ec6550df19d499676b3",
    "images_evaluation.zip": "3e69c8b3903d70abeee19ab5ca8b745f647ac55ab8ebca30ec3770a9c3e94a17",
}
#: Background alphabets held out for selection: a rune row, a syllabary, an abjad, an alphabet and an abugida.
VAL_ALPHABETS = (
    "Anglo-Saxon_Futhorc",
    "Japanese_(hiragana)",
    "Hebrew",
    "Greek",
    "Burmese_(Myanmar)",
)
DIVISIONS = ("alphabets", "characters")
#: How many characters of all 1,623 are in each split, where they are shuffled: the numbers of Vinyals et al. (2016).
CHARACTERS = {"train": 1100, "val": 100, "test": 423}
_MEMBER = re.compile(r"images_\w+/([^/]+/character\d+)/\d+_\d+\.png")
_SIDE = 28


@DATASETS.register("omniglot", collection="omniglot", fixed=True)
def omniglot(split: str, root: Path, rotations: bool = False, by: str = "alphabets") -> ImageClasses:
    """One split of Omniglot as uint8 `[M, 1, 28, 28]`, ink 255 on 0, 20 images a class.

    The official archives are taken from `root/omniglot/` or `root/`, else downloaded into the former. by: how classes
    are divided. `alphabets`: `test` is the evaluation archive (20 alphabets, 659 classes); of the 30 background
    alphabets `VAL_ALPHABETS` are `val` and the others `train`, so that no alphabet is in two splits. `characters`:
    those of all alphabets shuffled, 1,100, 100 and 423, as the papers have it, which is easier.
    rotations: add every class turned counter-clockwise by 90, 180 and 270 degrees as a class of its own (label suffix
    `@90`, ...) to `train`; `val` and `test` stay as they are.

    Raises `RobustMetaError` if an archive can neither be found nor downloaded, or is damaged or not Omniglot, and for
    an unknown division.
    Deviates from the split of Vinyals et al. (2016), by `characters`, in the shuffling, which is by the SHA-256 of
    their names, and in turning no class that is tested.
    """
    if by not in DIVISIONS:
        raise unknown("division", by, DIVISIONS)
    own = "images_evaluation.zip" if split == "test" else "images_background.zip"
    parts = [_archive(archive, root) for archive in (MD5 if by == "characters" else [own])]
    names = [str(name) for part in parts for name in part["names"]]
    kept = _characters(names, split) if by == "characters" else _alphabets(names, split)
    names, images = [names[i] for i in kept], np.concatenate([part["images"] for part in parts])[kept]
    if rotations and split == "train":
        images = np.concatenate([np.rot90(images, turns, axes=(2, 3)) for turns in range(4)])
        names += [f"{name}@{degrees}" for degrees in (90, 180, 270) for name in names]
    pixels = torch.from_numpy(np.ascontiguousarray(images)).flatten(0, 1).unsqueeze(1)
    labels, known_as = tuple(names), tuple(f"omniglot/{name}" for name in names)
    return ImageClasses(f"omniglot/{split}", pixels, (images.shape[1],) * len(names), labels, known_as)


def _archive(archive: str, root: Path) -> Arrays:
    return cached(f"omniglot-{Path(archive).stem}-{CONTENT[archive][:12]}", lambda: _read(archive, root))


def _characters(names: Sequence[str], split: str) -> list[int]:
    """The places of a split's names among those of all alphabets, shuffled."""
    shuffled = sorted(range(len(names)), key=lambda i: hashlib.sha256(names[i].encode()).hexdigest())
    first = sum(CHARACTERS[before] for before in SPLITS[: SPLITS.index(split)])
    return sorted(shuffled[first : first + CHARACTERS[split]])


def _alphabets(names: Sequence[str], split: str) -> list[int]:
    """The places of a split's names among those of its archive."""
    held_out = [name.split("/")[0] in VAL_ALPHABETS for name in names]
    return [i for i, out in enumerate(held_out) if split == "test" or out == (split == "val")]


def _read(archive: str, root: Path) -> Arrays:
    """`names` [C] and `images` uint8 [C, 20, 28, 28] of one archive, its content checked."""
    path = next((p for p in (root / "omniglot" / archive, root / archive) if p.is_file()), None)
    if path is None:
        path = download(URL + archive, root / "omniglot" / archive, MD5[archive])
    seen = hashlib.sha256()
    classes: dict[str, list[NDArray[np.uint8]]] = {}
    try:
        with zipfile.ZipFile(path) as packed:
            for member in sorted(packed.namelist()):
                if match := _MEMBER.fullmatch(member):
                    # In its stored mode, one bit a pixel, Pillow would resize by the nearest neighbour.
                    drawing = Image.open(io.BytesIO(packed.read(member))).convert("L")
                    seen.update(member.encode() + b"\0" + drawing.tobytes())
                    classes.setdefault(match[1], []).append(_small(drawing))
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, SyntaxError, NotImplementedError, RuntimeError) as error:
        raise RobustMetaError(
            f"cannot read {path} ({error}); remove it to have it downloaded again, or put the official {archive} there"
        ) from error
    if seen.hexdigest() != CONTENT[archive]:
        raise RobustMetaError(
            f"{path} does not hold Omniglot's {archive} (content sha256 {seen.hexdigest()[:12]}, expected "
            f"{CONTENT[archive][:12]}); remove it to have it downloaded, or put the official archive there"
        )
    return {"names": np.array(list(classes)), "images": np.array(list(classes.values()), dtype=np.uint8)}


def _small(drawing: Image.Image) -> NDArray[np.uint8]:
    return 255 - np.asarray(drawing.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS), dtype=np.uint8)

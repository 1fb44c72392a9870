"""A local copy of a data set that cannot be downloaded, in the layouts that people have."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

from robustmeta.data.classes import ImageClasses
from robustmeta.data.copied import Copied
from robustmeta.data.copy_arrays import arrays_of_split
from robustmeta.data.copy_files import files_of_split
from robustmeta.data.grouping import grouped
from robustmeta.data.image_file import squared
from robustmeta.data.pixels import Stack, image_bytes
from robustmeta.errors import RobustMetaError

LAYOUTS = (
    "*cache-{0}.pkl, *category_split_{0}.pickle, {0}_images_png.pkl or {0}_images.npz with {0}_labels.pkl, {0}.csv "
    "with images/, {0}/CLASS/*.jpg"
)
"""What the split {0} of a copy may look like."""


_SYNSET = re.compile(r"n[0-9]{8}")


def local_copy(
    name: str, split: str, root: Path, path: str, size: int, classes: int, each: int | None = None
) -> ImageClasses:
    """One split of a data set as uint8 `[M, 3, size, size]`, from the first of the `LAYOUTS` that is there.

    name: of the data set. path: its folder, from `root` or the current one; by default that in `root` of its name, in
    whatever case and with hyphens or not, else `root` itself. size: of the images' sides; those of another are cut to
    the largest centred square and resized (Lanczos). classes: how many the split has; each: how many images each of
    them has, None where that differs. Classes are in the order of their labels, the images of a class as the copy has
    them. A class that is labelled by its number in WordNet, as n01532829, is known as that class of ImageNet.

    Raises `RobustMetaError` where no layout is there, the number of classes or of their images is another, or files
    cannot be read.
    """
    if size < 1:
        raise RobustMetaError(f"size is {size}; it must be 1 or more")
    places = _places(name, root, path)
    where, copy = _first(places, split)
    if copy is None:
        raise RobustMetaError(
            f"there is no copy of {name} with a split {split} in {' or '.join(map(str, places))}, and it is not "
            f"downloaded; put {LAYOUTS.format(split)} there, or give the folder as path"
        )
    counts = Counter(copy.labels)
    whole = "give a whole copy as path (the data set 'folder' reads a division of your own)"
    if len(counts) != classes:
        raise RobustMetaError(f"{where} has {len(counts)} classes for {split}, and {name} has {classes}; {whole}")
    for label, count in counts.items():
        if each not in (None, count):
            raise RobustMetaError(f"{where} has {count} images of {label!r}, and {name} has {each} a class; {whole}")
    order = sorted(range(len(copy.labels)), key=copy.labels.__getitem__)  # stable
    stack = Stack(len(order), "all must be in colours")
    for row, number in enumerate(order):
        what = f"image {number} of {where}"
        stack.put(row, image_bytes(squared(copy.image(number), size), what), what)
    made = grouped(f"{name}/{split}", stack.images, [copy.labels[number] for number in order])
    known_as = tuple(f"imagenet/{label}" if _SYNSET.fullmatch(label) else "" for label in made.labels)
    return replace(made, known_as=known_as)


def _first(places: list[Path], split: str) -> tuple[Path, Copied | None]:
    for where in places:
        if copy := arrays_of_split(where, split) or files_of_split(where, split):
            return where, copy
    return places[0], None


def _places(name: str, root: Path, path: str) -> list[Path]:
    """The folders in which a copy is looked for."""
    if path:
        return list(dict.fromkeys([root / Path(path).expanduser(), Path(path).expanduser()]))
    plain = name.replace("_", "")
    inside = sorted(root.iterdir()) if root.is_dir() else []
    own = [at for at in inside if at.is_dir() and at.name.lower().replace("-", "").replace("_", "") == plain]
    return [*(own or [root / name.replace("_", "-")]), root]

"""Splits of image data sets in files of images, listed in a table or sorted into a folder a class."""

import csv
from pathlib import Path

from robustmeta.data.copied import Copied, spellings
from robustmeta.data.folder import image_files, subfolders
from robustmeta.data.image_file import read_image
from robustmeta.errors import RobustMetaError


def files_of_split(where: Path, split: str) -> Copied | None:
    """The images of one split in the folder `where`, or None where it has none of these.

    `SPLIT.csv`, whose columns are `filename` and `label`, as Ravi and Larochelle have it, with the files in `images/`
    or in `where`, there or in the folder of their label; or `SPLIT/CLASS/*.jpg`. Raises `RobustMetaError` for a
    table without these columns or with files that are not there, and classes without images.
    """
    for name in spellings(split):
        if (where / f"{name}.csv").is_file():
            return _listed(where, where / f"{name}.csv", name)
        if classes := subfolders(where / name) if (where / name).is_dir() else {}:
            return _copied([(label, file) for label, at in classes.items() for file in image_files(at)])
    return None


def _listed(where: Path, table: Path, split: str) -> Copied:
    try:
        with table.open(newline="", encoding="utf-8") as opened:
            rows = [(row["label"], row["filename"]) for row in csv.DictReader(opened)]
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise RobustMetaError(f"cannot read {table} ({error}); its first line must be filename,label") from error
    found = []
    for number, (label, file) in enumerate(rows, 1):
        if not label or not file:
            raise RobustMetaError(f"{table} has the row {number} without a filename or a label; give both")
        places = [at / path for at in (where / "images", where, where / split) for path in (file, f"{label}/{file}")]
        there = next((place for place in places if place.is_file()), None)
        if there is None:
            raise RobustMetaError(
                f"{table} lists {file}, which is not in {where / 'images'}, nor in its folder {label}; put it there"
            )
        found.append((label, there))
    return _copied(found)


def _copied(files: list[tuple[str, Path]]) -> Copied:
    return Copied([label for label, _ in files], lambda row: read_image(files[row][1], str(files[row][1]), None, 3))

"""Splits of image data sets in pickles and npz files."""

import io
from collections.abc import Callable
from operator import index
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from PIL import Image

from robustmeta.data.copied import Copied, spellings
from robustmeta.data.image_file import read_image
from robustmeta.data.pickle_names import text
from robustmeta.data.plain_pickle import read_mapping, read_pickle
from robustmeta.errors import RobustMetaError
from robustmeta.npz import read_npz

#: Files that hold a whole split, by the names people give them.
_WHOLE = ("*cache-{0}.pkl", "{0}.pkl", "*category_split_{0}.pickle", "*category_split_{0}_phase_{0}.pickle")

Value = TypeVar("Value")


def arrays_of_split(where: Path, split: str) -> Copied | None:
    """The images of one split in the folder `where`, or None where it has none of these files.

    `*cache-SPLIT.pkl` or `SPLIT.pkl` of `image_data` and `class_dict` (from a class to its rows);
    `*category_split_SPLIT.pickle` (`_train_phase_train` for training) of `data`, `labels` and `catname2label`;
    `SPLIT_images_png.pkl`, a list of PNG files, or `SPLIT_images.npz`, whose channels are blue, green and red, beside
    `SPLIT_labels.pkl` of `label_specific` (with `label_specific_str`) or `labels`. Raises `RobustMetaError` for files
    that do not hold this, and pickles that hold more than plain data.
    """
    for name in spellings(split):
        for pattern in _WHOLE:
            for file in sorted(filter(Path.is_file, where.glob(pattern.format(name)))):
                value = _unpickled(file, read_mapping)
                images = _checked(file, value.get("image_data", value.get("data")))
                return _from_array(file, _labels(file, value), images)
        labels = where / f"{name}_labels.pkl"
        for suffix, read in (("images_png.pkl", _from_pngs), ("images.npz", _from_npz)):
            images = where / f"{name}_{suffix}"
            if images.is_file() and labels.is_file():
                return read(images, _labels(labels, _unpickled(labels, read_mapping)))
    return None


def _unpickled(file: Path, read: Callable[[BinaryIO, str], Value]) -> Value:
    try:
        with file.open("rb") as opened:
            return read(opened, str(file))
    except OSError as error:
        raise RobustMetaError(f"cannot read {file} ({error.strerror}); make it readable, or get it anew") from error


def _labels(file: Path, value: dict[str, Any]) -> list[str]:
    """The label of each row, by name where the file has names, else its number, so written that texts sort as they."""
    try:
        if "class_dict" in value:
            of = {index(row): text(name) for name, rows in value["class_dict"].items() for row in rows}
            return [of[row] for row in range(len(of))]
        numbers = [index(number) for number in value["label_specific" if "label_specific" in value else "labels"]]
        if min(numbers, default=0) < 0:
            raise ValueError(f"{min(numbers)} is below 0")
        if "label_specific_str" in value:
            every = [text(name) for name in value["label_specific_str"]]
            unlike = [name if every.count(name) == 1 else f"{name} #{n}" for n, name in enumerate(every)]  # two cranes
            return [unlike[number] for number in numbers]
        names = {index(number): text(name) for name, number in value.get("catname2label", {}).items()}
        return [names.get(number, f"{number:04d}") for number in numbers]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise RobustMetaError(
            f"{file} has no label for each image ({type(error).__name__}: {error}); it must hold class_dict, from a "
            "class to its rows 0, 1, ..., or labels or label_specific, a whole number from 0 an image"
        ) from error


def _checked(file: Path, images: Any) -> Any:
    """Images uint8 `[N, H, W, 3]`; raises `RobustMetaError` for all else."""
    if not isinstance(images, np.ndarray):
        raise RobustMetaError(f"{file} has a {type(images).__name__} of images; they must be an array [N, H, W, 3]")
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise RobustMetaError(f"{file} has images {images.dtype} {list(images.shape)}; they must be uint8 [N, H, W, 3]")
    return np.asarray(images)


def _from_array(file: Path, labels: list[str], pixels: Any) -> Copied:
    _check_number(file, len(labels), len(pixels))
    return Copied(labels, lambda row: Image.fromarray(np.ascontiguousarray(pixels[row])))


def _from_npz(file: Path, labels: list[str]) -> Copied:
    images = read_npz(file, lambda arrays: arrays["images"], "it must hold the array images; get it anew")
    return _from_array(file, labels, _checked(file, images)[..., ::-1])


def _from_pngs(file: Path, labels: list[str]) -> Copied:
    pngs = _unpickled(file, read_pickle)
    if not isinstance(pngs, list):
        raise RobustMetaError(
            f"{file} holds a {type(pngs).__name__}; it must be a list of PNG files as bytes or arrays"
        )
    _check_number(file, len(labels), len(pngs))

    def image(row: int) -> Image.Image:
        if not isinstance(pngs[row], bytes | bytearray | np.ndarray):
            raise RobustMetaError(
                f"{file} has the {type(pngs[row]).__name__} {row}; each must be the bytes of a PNG file"
            )
        return read_image(io.BytesIO(bytes(pngs[row])), f"{row} of {file}", None, 3)

    return Copied(labels, image)


def _check_number(file: Path, labels: int, images: int) -> None:
    if labels != images:
        raise RobustMetaError(f"{file} has {images} images for {labels} labels; get both anew")

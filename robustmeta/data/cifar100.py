"""CIFAR-100: 100 classes of 600 colour images of 32x32 (Krizhevsky, 2009), the source of CIFAR-FS and FC100."""

import hashlib
import io
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robustmeta.data.cache import Arrays, cached
from robustmeta.data.cifar100_classes import CLASSES
from robustmeta.data.classes import ImageClasses
from robustmeta.data.download import download
from robustmeta.data.pickle_names import text
from robustmeta.data.plain_pickle import read_mapping
from robustmeta.errors import RobustMetaError

URL = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
MD5 = "eb9058c3a382ffc7106e4002c42a8d85"
#: sha256 over each class's name and the sorted sha256 of its images: the same in whatever files and order they are.
CONTENT = "7edc114bce67a80998d6bfaa13fa5230428869a1f8734882281af843653935b1"
ARCHIVE = "cifar-100-python.tar.gz"
FOLDER = "cifar-100-python"
PARTS = ("train", "test")
#: Images of each class, in both parts together.
EACH = 600
_SHAPE = (3, 32, 32)


def cifar100(name: str, root: Path, classes: Sequence[str], labels: Sequence[str]) -> ImageClasses:
    """Some classes of CIFAR-100 as uint8 `[M, 3, 32, 32]`, 600 images each: the official train and test together.

    name: data set and split. classes: which, in order; labels: what they are called there. The official archive, or
    the folder `cifar-100-python` of its files, is looked for in `root/cifar-100/` and `root/`, else the archive is
    downloaded into the former. The images of a class are in the order of the SHA-256 of their bytes, so that task 17
    is the same in whatever order files have them.

    Raises `RobustMetaError` if the images can neither be found nor downloaded, or are damaged or not CIFAR-100's.
    """
    images = cached(f"cifar-100-{CONTENT[:12]}", lambda: _read(root))["images"]
    pixels = torch.from_numpy(images[[CLASSES.index(each) for each in classes]]).flatten(0, 1)
    known_as = tuple(f"cifar-100/{each}" for each in classes)
    return ImageClasses(name, pixels, (EACH,) * len(classes), tuple(labels), known_as)


def _read(root: Path) -> Arrays:
    """`images` uint8 [100, 600, 3, 32, 32], the classes in the order of `CLASSES`, their content checked."""
    places = [folder / form for folder in (root / "cifar-100", root) for form in (ARCHIVE, FOLDER)]
    where = next((place for place in places if place.is_file() or (place / "train").is_file()), None)
    if where is None:
        where = download(URL, root / "cifar-100" / ARCHIVE, MD5)
    remedy = f"remove it to have {ARCHIVE} downloaded, or put the official one there"
    try:
        images, names = _images(_files(where), where)
    except RobustMetaError as error:
        raise RobustMetaError(f"{error}; {remedy}") from None
    except (tarfile.TarError, zlib.error, OSError, EOFError, LookupError, TypeError, ValueError) as error:
        reason = f"lacks {error}" if isinstance(error, KeyError) else error
        raise RobustMetaError(f"cannot read {where} ({reason}); {remedy}") from error
    seen, ordered = hashlib.sha256(), []
    for name in CLASSES:
        own = {}
        for row in np.flatnonzero(names == name):
            own[hashlib.sha256(images[row]).digest() + row.tobytes()] = row
        digests = sorted(own)
        seen.update(name.encode() + b"\0" + b"".join(digest[:32] for digest in digests))
        ordered.append([own[digest] for digest in digests])
    if seen.hexdigest() != CONTENT:
        raise RobustMetaError(
            f"{where} does not hold CIFAR-100's {len(CLASSES)} classes of {EACH} images (content sha256 "
            f"{seen.hexdigest()[:12]}, expected {CONTENT[:12]}); {remedy}"
        )
    return {"images": images[np.array(ordered)].reshape(len(CLASSES), EACH, *_SHAPE)}


def _images(files: dict[str, bytes], where: Path) -> tuple[Any, Any]:
    """The images uint8 [M, 3072] of both parts, and the names [M] of their classes."""

    def values(part: str) -> dict[str, Any]:
        return read_mapping(io.BytesIO(files.pop(part)), f"{where}: {part}")

    names = np.array([text(name) for name in values("meta")["fine_label_names"]])
    parts = [values(part) for part in PARTS]
    if not all(isinstance(part["data"], np.ndarray) for part in parts):
        raise ValueError("data is no array")
    images = np.concatenate([np.asarray(part["data"]) for part in parts])
    labels = np.concatenate([np.fromiter(part["fine_labels"], np.int64) for part in parts])
    if images.dtype != np.uint8 or images.shape != (len(labels), np.prod(_SHAPE)):
        raise ValueError(f"images {images.dtype} {list(images.shape)} for {len(labels)} labels")
    return images, names[labels]


def _files(where: Path) -> dict[str, bytes]:
    """The contents of `meta`, `train` and `test`."""
    wanted = ("meta", *PARTS)
    if where.is_dir():
        return {part: (where / part).read_bytes() for part in wanted}
    files = {}
    with tarfile.open(where, "r:gz") as archive:
        for part in wanted:
            member = archive.extractfile(f"{FOLDER}/{part}")
            if member is not None:
                files[part] = member.read()
    return files

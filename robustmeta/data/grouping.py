"""Images with a label each -> images grouped by class, and classes shared out to splits."""

import hashlib
import os
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from robustmeta.data.classes import ImageClasses
from robustmeta.data.datasets import SPLITS
from robustmeta.errors import RobustMetaError, unknown

#: Of 100 classes 64 to train, 16 to val and 20 to test, as in miniImageNet and CIFAR-FS.
SHARES = (0.64, 0.16, 0.2)


def label_of(label: object, what: str) -> int | str:
    """A label as a whole number or text; raises `RobustMetaError`, beginning with `what` it is of, for all else."""
    if isinstance(label, Tensor | np.ndarray | np.generic) and np.prod(label.shape) == 1:
        label = label.item()
    if not isinstance(label, int | str):
        shown = list(label.shape) if isinstance(label, Tensor | np.ndarray) else repr(label)
        raise RobustMetaError(f"{what} has the label {shown}; it must be a whole number or text")
    return label


def grouped(name: str, images: Tensor, labels: Sequence[int | str]) -> ImageClasses:
    """Images `[M, C, H, W]` grouped by their labels: classes by number or alphabet, images of a class as they came.

    Raises `RobustMetaError` for labels that are numbers and texts, and images that hold nothing above 1.
    """
    if len({type(label) is str for label in labels}) > 1:
        raise RobustMetaError(f"the labels of {name} are in part numbers and in part text; use one of them")
    if images.max() <= 1:
        raise RobustMetaError(
            f"the images of {name} are uint8 without a value above 1, and white is 255; multiply them by 255, or make "
            "them floats"
        )
    order = sorted(range(len(labels)), key=labels.__getitem__)  # stable
    counts: dict[int | str, int] = {}
    for row in order:
        counts[labels[row]] = counts.get(labels[row], 0) + 1
    if order != list(range(len(order))):  # else no second copy of what may be many gigabytes
        images = images[torch.tensor(order)]
    return ImageClasses(name, images, tuple(counts.values()), tuple(map(str, counts)))


def shared_out(labels: Sequence[str], split: str, shares: Sequence[float] = SHARES) -> list[str]:
    """Those of the classes `labels` that belong to a split, in the order in which they were given.

    Classes are put in the order of the SHA-256 of their labels, and cut at the sums of the `shares` of train, val
    and test, rounded to whole classes: the same in every process, disjoint, and whatever the order of the labels.
    Raises `RobustMetaError` for an unknown split, shares that are not three from 0 to 1 with the sum 1, and no class.
    """
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    if len(shares) != len(SPLITS) or not all(0 <= share <= 1 for share in shares) or abs(sum(shares) - 1) > 1e-6:
        raise RobustMetaError(f"shares is {list(shares)}; it must be three numbers for {', '.join(SPLITS)}, with sum 1")
    cuts = [0, *(round(len(labels) * share) for share in accumulate(shares))]
    first, last = cuts[SPLITS.index(split) :][:2]
    hashed = sorted(labels, key=lambda label: hashlib.sha256(os.fsencode(label)).digest())
    chosen = set(hashed[first:last])
    if not chosen:
        raise RobustMetaError(
            f"of {len(labels)} classes, shares {list(shares)} leave none for {split!r}; change the shares, or have more"
        )
    return [label for label in labels if label in chosen]


def part_of(classes: ImageClasses, split: str, shares: Sequence[float] = SHARES) -> ImageClasses:
    """The classes of a split, `shared_out` by their labels."""
    labels = tuple(shared_out(classes.labels, split, shares))
    kept = [label in labels for label in classes.labels]
    rows = torch.tensor(kept).repeat_interleave(torch.tensor(classes.counts))
    counts = tuple(count for count, keep in zip(classes.counts, kept, strict=True) if keep)
    return ImageClasses(f"{classes.name.partition('/')[0]}/{split}", classes.images[rows], counts, labels)

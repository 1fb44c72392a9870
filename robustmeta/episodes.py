"""Batches of few-shot tasks, and the pure function that draws them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from robustmeta.data import OwnData, as_classes, load
from robustmeta.data.classes import ImageClasses
from robustmeta.errors import RobustMetaError
from robustmeta.schema import Source, arguments


class Queries(Protocol):
    """What is put to classifiers: images `[T, Q, C, H, W]`, their labels `[T, Q]`, the numbers of the tasks.

    An `EpisodeBatch` is this; so is anything else with these attributes.
    """

    @property
    def query_x(self) -> Tensor:
        """The images `[T, Q, C, H, W]`."""
        ...

    @property
    def query_y(self) -> Tensor:
        """Their labels `[T, Q]`."""
        ...

    @property
    def index(self) -> tuple[int, ...]:
        """The number of each task in its task distribution; empty where there is none."""
        ...

    def with_queries(self, query_x: Tensor) -> "Queries":
        """The same with other images."""
        ...


@dataclass(frozen=True, eq=False)
class PosedQueries:
    """Queries that are no episode batch's own: images `[T, Q, C, H, W]`, labels `[T, Q]`, the numbers of the tasks.

    Unlike a batch's, the images may leave [0, 1], as those under noise do.
    """

    query_x: Tensor
    query_y: Tensor
    index: tuple[int, ...] = ()

    def with_queries(self, query_x: Tensor) -> "PosedQueries":
        """The same labels with other images."""
        return replace(self, query_x=query_x)


@dataclass(frozen=True, eq=False)
class EpisodeBatch:
    """T tasks of `ways` classes each; the leading task axis is always there.

    support_x: float `[T, ways*shots, C, H, W]` in [0, 1].
    support_y: int64 `[T, ways*shots]`, labels 0 to ways-1.
    query_x: float `[T, ways*queries, C, H, W]` in [0, 1].
    query_y: int64 `[T, ways*queries]`.
    index: the number of each task in its task distribution; empty for batches made by hand.
    classes: int64 `[T, ways]`, the class of the data set's split that each label stands for, for learners that are
    trained on the classes themselves; None for batches made by hand.

    Raises `RobustMetaError` on a missing task axis, sizes that do not match, images outside [0, 1], NaN or none,
    and labels that are not 0 to ways-1 in int64 with each class in the support.
    """

    support_x: Tensor
    support_y: Tensor
    query_x: Tensor
    query_y: Tensor
    index: tuple[int, ...] = ()
    classes: Tensor | None = None

    def __post_init__(self) -> None:
        check_images("support_x", self.support_x, self.support_y)
        check_images("query_x", self.query_x, self.query_y)
        if self.support_x.shape[0] != self.query_x.shape[0] or self.support_x.shape[2:] != self.query_x.shape[2:]:
            raise RobustMetaError(
                f"support_x {list(self.support_x.shape)} and query_x {list(self.query_x.shape)} differ in tasks "
                "or image size; both are [T, N, C, H, W] with the same T, C, H, W"
            )
        check_labels(self.support_y, self.query_y)
        if self.index and len(self.index) != self.tasks:
            raise RobustMetaError(f"index has {len(self.index)} numbers for {self.tasks} tasks; give one each, or none")

    @property
    def tasks(self) -> int:
        """T, the number of tasks."""
        return self.support_x.shape[0]

    @property
    def ways(self) -> int:
        """The number of classes of each task."""
        return int(self.support_y.max()) + 1

    def with_queries(self, query_x: Tensor) -> "EpisodeBatch":
        """The same tasks with other query images `[T, Q, C, H, W]`."""
        return replace(self, query_x=query_x)

    def to(self, device: torch.device | str) -> "EpisodeBatch":
        """The same tasks on `device`."""
        tensors: dict[str, Any] = {key: value for key, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **{name: tensor.to(device) for name, tensor in tensors.items()})


def check_images(name: str, images: Tensor, labels: Tensor) -> None:
    """Raise `RobustMetaError` unless images `[T, N, C, H, W]` lie in [0, 1] and labels are `[T, N]`."""
    if images.dim() != 5:
        raise RobustMetaError(f"{name} has shape {list(images.shape)}; it must be [T, N, C, H, W] (tasks first)")
    if labels.shape != images.shape[:2]:
        raise RobustMetaError(
            f"the labels of {name} have shape {list(labels.shape)}; they must be {list(images.shape[:2])}, one an image"
        )
    if not images.is_floating_point() or not images.numel():
        raise RobustMetaError(
            f"{name} has type {images.dtype} and shape {list(images.shape)}; it must hold floats, one or more"
        )
    low, high = images.detach().aminmax()
    if not (low >= 0 and high <= 1):  # also catches NaN, whose comparisons are false
        raise RobustMetaError(
            f"{name} has values from {low.item():.4g} to {high.item():.4g}; images must lie in [0, 1], without NaN"
        )


def check_support(support_x: Tensor, support_y: Tensor) -> None:
    """Raise `RobustMetaError` unless images `[T, N, C, H, W]` lie in [0, 1] and `[T, N]` has labels 0 to ways-1."""
    check_images("support_x", support_x, support_y)
    check_labels(support_y, support_y)


def check_labels(support_y: Tensor, query_y: Tensor) -> None:
    """Raise `RobustMetaError` unless each task's support has all labels 0 to ways-1 and its queries no other."""
    for name, labels in (("support_y", support_y), ("query_y", query_y)):
        if labels.dtype != torch.int64:
            raise RobustMetaError(f"{name} has type {labels.dtype}; labels must be integers 0 to ways-1 as torch.int64")
    ways = int(support_y.max()) + 1
    if int(support_y.min()) < 0 or int(query_y.min()) < 0 or int(query_y.max()) >= ways:
        raise RobustMetaError(
            f"labels run from {min(int(support_y.min()), int(query_y.min()))} to "
            f"{max(int(support_y.max()), int(query_y.max()))}; they must be 0 to ways-1 = {ways - 1}"
        )
    present = torch.zeros(support_y.shape[0], ways, dtype=torch.bool, device=support_y.device)
    present.scatter_(1, support_y, True)
    if not present.all():
        task, label = (~present).nonzero()[0].tolist()
        raise RobustMetaError(f"task {task} has no support image of class {label}; each of the {ways} ways needs one")


@lru_cache(maxsize=8)
def _load_once(
    dataset: str, split: str, root: str | None, options: tuple[tuple[str, Any], ...], here: Path
) -> ImageClasses:
    return load(dataset, split, root, **dict(options))


class Episodes:
    """The task distribution of one data set split: a pure function from an index to a task.

    Task 17 of (data set, split, ways, shots, queries, seed) is the same task for every learner, attack, process
    and library version: classes and images come from the raw bits of PCG64 seeded with (seed, index), whose
    stream numpy guarantees, ordered by a stable sort. Classes, and the images of a class, are drawn without
    replacement. The first `shots` images drawn of a class are its support.

    dataset: a name for `robustmeta.data.load`, or data of your own: `(images, labels)`, a map-style
    `torch.utils.data.Dataset` of (image, label), or an `ImageClasses` (see `robustmeta.data.as_classes`).
    split: of a named data set, by default `train`. Of data of your own, None takes all classes, and `train`, `val` and
    `test` shares of them (0.64, 0.16 and 0.2 unless `shares=` says otherwise) that have no class in common.
    root: where named data sets lie. device: of the images. options: further settings of the data set, as
    `rotations=True` for omniglot, or `path="my/images", size=84` for folder.

    Raises `RobustMetaError` for more ways than classes, shots + queries over the images a class has, and what the data
    set refuses.
    """

    def __init__(
        self,
        dataset: str | OwnData,
        split: str | None = None,
        *,
        ways: int = 5,
        shots: int = 1,
        queries: int = 15,
        seed: int = 0,
        root: str | Path | None = None,
        device: torch.device | str = "cpu",
        **options: Any,
    ) -> None:
        if isinstance(dataset, str):
            chosen = tuple(
                (key, tuple(value) if isinstance(value, list) else value) for key, value in sorted(options.items())
            )
            classes = _load_once(dataset, split or "train", str(root) if root else None, chosen, Path.cwd())
        else:
            source = Source("data of your own", {})
            options = {**options, **({} if root is None else {"root": root})}
            classes = as_classes(dataset, split, **arguments(as_classes, options, source, (), given=("data", "split")))
        for name, value, least in (("ways", ways, 2), ("shots", shots, 1), ("queries", queries, 1), ("seed", seed, 0)):
            if value < least:
                raise RobustMetaError(f"{name} is {value}; it must be at least {least}")
        if ways > len(classes.counts):
            raise RobustMetaError(f"{ways} ways asked of {classes.name}, which has {len(classes.counts)} classes")
        if shots + queries > min(classes.counts):
            label = classes.labels[int(np.argmin(classes.counts))]
            raise RobustMetaError(
                f"shots + queries = {shots + queries} images a class asked of {classes.name}, "
                f"whose class {label!r} has {min(classes.counts)}"
            )
        self.name, self.ways, self.shots, self.queries, self.seed = classes.name, ways, shots, queries, seed
        self.counts = np.asarray(classes.counts)
        self._first = np.concatenate([[0], np.cumsum(self.counts)[:-1]])
        self._images = classes.images.to(device)
        self._labels = torch.arange(ways, device=device)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image."""
        channels, height, width = self._images.shape[1:]
        return channels, height, width

    def drawn(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The classes `[ways]` of task `index`, and the rows `[ways, shots + queries]` of the image tensor."""
        if index < 0:
            raise RobustMetaError(f"task {index} asked of {self.name}; tasks are numbered 0, 1, 2, ...")
        bits = np.random.PCG64([self.seed, index])
        chosen = np.argsort(bits.random_raw(len(self.counts)), kind="stable")[: self.ways]
        each = self.shots + self.queries
        picks = [np.argsort(bits.random_raw(self.counts[c]), kind="stable")[:each] for c in chosen]
        return chosen, self._first[chosen, None] + np.stack(picks)

    def batch(self, indices: Sequence[int]) -> EpisodeBatch:
        """The tasks of the given indices, in one gather from the image tensor.

        Raises `RobustMetaError` for no index, or one below 0.
        """
        if not len(indices):
            raise RobustMetaError(f"a batch of no tasks asked of {self.name}; give at least one index")
        classes, drawn = (
            torch.from_numpy(np.stack(each)).to(self._images.device)
            for each in zip(*(self.drawn(index) for index in indices), strict=True)
        )
        images = self._images[drawn].float().div_(255)  # [T, ways, shots + queries, C, H, W]
        support, query = images[:, :, : self.shots], images[:, :, self.shots :]
        tasks = len(indices)
        return EpisodeBatch(
            support_x=support.flatten(1, 2),
            support_y=self._labels.repeat_interleave(self.shots).expand(tasks, -1),
            query_x=query.flatten(1, 2),
            query_y=self._labels.repeat_interleave(self.queries).expand(tasks, -1),
            index=tuple(indices),
            classes=classes,
        )

    def __getitem__(self, index: int) -> EpisodeBatch:
        """Task `index` alone, as a batch of one."""
        return self.batch([index])

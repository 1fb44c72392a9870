"""Batches of few-shot tasks, and what they must be."""

from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from robustmeta.errors import RobustMetaError


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
        return ways_of(self.support_y)

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


def ways_of(labels: Tensor) -> int:
    """The number of classes of tasks with labels `[T, N]`, which are 0 to ways-1."""
    return int(labels.max()) + 1


def check_support(support_x: Tensor, support_y: Tensor) -> None:
    """Raise `RobustMetaError` unless images `[T, N, C, H, W]` lie in [0, 1] and `[T, N]` has labels 0 to ways-1."""
    check_images("support_x", support_x, support_y)
    check_labels(support_y, support_y)


def check_labels(support_y: Tensor, query_y: Tensor) -> None:
    """Raise `RobustMetaError` unless each task's support has all labels 0 to ways-1 and its queries no other."""
    for name, labels in (("support_y", support_y), ("query_y", query_y)):
        if labels.dtype != torch.int64:
            raise RobustMetaError(f"{name} has type {labels.dtype}; labels must be integers 0 to ways-1 as torch.int64")
    ways = ways_of(support_y)
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

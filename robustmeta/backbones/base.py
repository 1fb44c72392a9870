"""Backbones: images `[T, N, C, H, W]` of T tasks to features `[T, N, D]`, under a named normalization policy.

A backbone's forward pass is pure: it returns the statistics it normalised with, and takes statistics to normalise
with instead of its own. What is done with them is the policy:

    running       in training, the statistics of the supports adapted together (of all tasks for learners that share
                  their weights, of its own for MAML); in evaluation, their running average
    support       the statistics of each task's own support set
    group         group normalization, each image by itself: there are no statistics to pass on
    transductive  the statistics of whatever images are passed, task by task: queries help each other

The first three are inductive: the logits of a query do not depend on the other queries.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from robustmeta.registry import Registry

POLICIES = ("running", "support", "group", "transductive")


class Moments(NamedTuple):
    """Mean and variance `[S, C]` of one normalization layer; S is 1 where all tasks share them, else T.

    keep: in training with dropout, by how much each channel is multiplied, `[S, C]`: 0, or 1 / (1 - dropout).
    """

    mean: Tensor
    var: Tensor
    keep: Tensor | None = None

    def each(self, change: Callable[[Tensor], Tensor]) -> "Moments":
        """The moments with `change` made to each of their tensors."""
        return Moments(change(self.mean), change(self.var), None if self.keep is None else change(self.keep))


Statistics = tuple[Moments, ...]


class Embedding(NamedTuple):
    """Features `[T, N, D]`, and the statistics to normalise other images of the same tasks with (or None)."""

    features: Tensor
    statistics: Statistics | None


class Backbone(nn.Module):
    """What every backbone is: images `[T, N, C, H, W]` to features `[T, N, out_features]`, pure in its input."""

    norm: str
    takes_task_weights: bool = False
    """Whether `forward` can be called with weights `[T, ...]` of T networks."""

    @property
    def out_features(self) -> int:
        """D, the number of features of an image."""
        raise NotImplementedError(f"{type(self).__name__} must define out_features")

    @property
    def map_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the feature map whose flattening the features are; (D, 1, 1) where there is no such map."""
        return self.out_features, 1, 1

    def forward(self, images: Tensor, statistics: Statistics | None = None, passing: bool = True) -> Embedding:
        """Features of images `[T, N, C, H, W]`, normalised with `statistics` where they are given.

        passing: whether statistics are wanted for other images; without them, some networks are faster. Called with
        weights that have a leading task axis (`torch.func.functional_call`), each task goes through its own network,
        if `takes_task_weights`.
        """
        raise NotImplementedError(f"{type(self).__name__} must define forward(images, statistics) -> Embedding")

    def track(self, statistics: Statistics | None) -> None:
        """Take note of the statistics of a training batch's supports; does nothing unless a policy needs it."""


BACKBONES: Registry[type[Backbone]] = Registry("backbone")


def detach(statistics: Statistics | None) -> Statistics | None:
    """The same statistics, cut off from the graph."""
    return statistics and tuple(moments.each(Tensor.detach) for moments in statistics)


def select_tasks(statistics: Statistics | None, tasks: Sequence[int]) -> Statistics | None:
    """The statistics of some of the tasks; statistics that all tasks share stay as they are."""
    return statistics and tuple(
        moments if len(moments.mean) == 1 else moments.each(lambda part: part[list(tasks)]) for moments in statistics
    )


def join_tasks(statistics: Sequence[Statistics]) -> Statistics:
    """The statistics `[T, C]` of T tasks, from those `[1, C]` of each."""
    layers = zip(*statistics, strict=True)
    return tuple(
        Moments(*(None if None in parts else torch.cat(parts) for parts in zip(*layer, strict=True)))  # type: ignore[arg-type]
        for layer in layers
    )

"""The queries an attack still works on, of many tasks at once, and the best image found for each."""

from collections.abc import Sequence

import torch
from torch import Tensor

from robustmeta.learners.base import Classifier


class InPlay:
    """Queries `[T, Q, C, H, W]` of T tasks, of which those that are fooled leave.

    classifier, images, labels: those in play, `[T', Q']`. Once somebody left, T' counts the tasks of which one stands,
    and Q' the most that stand in any of them; where the tasks share their weights, T' counts all that stand, each a
    task of one query. found: the best image of every query, `[T, Q, C, H, W]`: the first that fooled, or the one of
    highest loss. Where queries depend on each other (`Classifier.inductive` is false), and without `until_fooled`,
    nobody leaves, and of the images that fool the one of highest loss is found.
    """

    def __init__(self, classifier: Classifier, images: Tensor, labels: Tensor, until_fooled: bool = True) -> None:
        tasks, queries = labels.shape
        self._whole = classifier, images, labels
        self._leaving = until_fooled and classifier.inductive
        self.found = images.clone()
        self._loss = torch.full_like(labels, -torch.inf, dtype=images.dtype)
        self._fooled = torch.zeros_like(labels, dtype=torch.bool)
        self.classifier, self.images, self.labels = self._whole
        self._task = torch.arange(tasks, device=labels.device)[:, None]
        self._query = torch.arange(queries, device=labels.device).expand(tasks, -1)

    @property
    def over(self) -> bool:
        """Whether everyone left."""
        return self.labels.numel() == 0

    @property
    def tasks(self) -> Tensor:
        """Which of the T tasks each of those in play is, `[T']`."""
        return self._task[:, 0]

    def taken(self, whole: Tensor) -> Tensor:
        """Of something of every query, `[T, Q, ...]`, that of the queries in play, `[T', Q', ...]`."""
        return whole[self._task, self._query]

    def note(self, x: Tensor, loss: Tensor, logits: Tensor) -> None:
        """Keep of the images `[T', Q', C, H, W]` those that beat the best found; `loss` is `[T', Q']`."""
        fooled, best = self.taken(self._fooled), self.taken(self._loss)
        fools = logits.argmax(-1) != self.labels
        better = (fools & ~fooled) | ((fools == fooled) & (loss > best))
        if self._leaving:  # so that it does not hang on whether a fooled query remains beside others that stand
            better = better & ~fooled
        at = self._task.expand_as(better)[better], self._query[better]
        self.found[at], self._loss[at] = x[better], loss[better]
        self._fooled[self._task, self._query] = fooled | fools

    def put(self, x: Tensor) -> None:
        """Keep the images `[T', Q', C, H, W]` of those that stand, whatever was found before."""
        kept = ~self.taken(self._fooled) if self._leaving else torch.ones_like(self.labels, dtype=torch.bool)
        self.found[self._task.expand_as(kept)[kept], self._query[kept]] = x[kept]

    def leave(self, *states: Tensor) -> Sequence[Tensor]:
        """Let the fooled go; what remains of the states `[T', Q', ...]`.

        Tasks that do not share their weights stay of one size: where one has more that stand than another, some of its
        fooled ones remain.
        """
        if self.over or not self._leaving:
            return states
        stand = ~self.taken(self._fooled)
        row, column = (_singly if self.classifier.shares_weights else _side_by_side)(stand)
        if column.shape == stand.shape:
            return states
        classifier, images, labels = self._whole
        before, self._task, self._query = self.tasks, self._task[row[:, 0]], self._query[row, column]
        self.images, self.labels = self.taken(images), self.taken(labels)
        if not self.over and not torch.equal(self.tasks, before):
            self.classifier = classifier.select(self.tasks.tolist())
        return [state[row, column] for state in states]


def _singly(stand: Tensor) -> tuple[Tensor, Tensor]:
    """The rows `[N, 1]` and columns `[N, 1]` of those that stand; the whole, if all do."""
    if stand.all():
        return _side_by_side(stand)
    row, column = stand.nonzero().unbind(1)
    return row[:, None], column[:, None]


def _side_by_side(stand: Tensor) -> tuple[Tensor, Tensor]:
    """The rows `[T', 1]` in which somebody stands, and `[T', Q']` columns of each: all that stand, and some others."""
    numbers = stand.sum(1)
    row = numbers.nonzero()
    return row, (~stand[row[:, 0]]).int().argsort(dim=1, stable=True)[:, : int(numbers.max())].sort(dim=1).values

"""S08: whether an attack met images that fool the classifier, and then returned others."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from robustmeta.attacks.base import Threat
from robustmeta.learners.base import Classifier

TIE = 1e-4
"""Logits nearer than this, relative to the largest, may change places by rounding: such a query is no success."""

SLACK = 1e-6
"""By how much an image may leave the ball, relative to eps and absolutely, as float32 rounds."""


def tied(logits: Tensor) -> Tensor:
    """Whether rounding may decide between the top two of logits `[..., ways]`: `[...]`."""
    top = logits.topk(2, -1).values
    return top[..., 0] - top[..., 1] <= TIE * logits.abs().amax(-1)


class Watched(Classifier):
    """A classifier that notes what it is asked during an attack, and answers as ever.

    images: the clean queries `[T, Q, C, H, W]`, with labels `[T, Q]`. An image it is asked about belongs to the query
    of its column; where an attack passes only some of the queries, to the nearest.

    fooled: `[T, Q]`, whether it erred on an image of that query inside the threat. tried: `[T]`, the farthest
    any such image was from its query, inside the threat or not.
    """

    def __init__(self, classifier: Classifier, images: Tensor, labels: Tensor, threat: Threat) -> None:
        super().__init__()
        self.classifier, self.images, self.labels, self.threat = classifier, images.detach(), labels, threat
        self.ways, self.inductive = classifier.ways, classifier.inductive
        self.fooled = torch.zeros_like(labels, dtype=torch.bool)
        self.tried = torch.zeros(len(labels), dtype=images.dtype, device=images.device)

    def forward(self, query_x: Tensor) -> Tensor:
        """Logits `[T, Q, ways]` of queries `[T, Q, C, H, W]`."""
        return self._asked(self.classifier, list(range(len(self.labels))), query_x)

    def detach(self) -> Classifier:
        """The same classifiers, constants but for their input, noting in the same place."""
        return _Part(self, self.classifier.detach(), list(range(len(self.labels))))

    def select(self, tasks: Sequence[int]) -> Classifier:
        """The classifiers of some of the tasks, in the order given, noting in the same place."""
        return _Part(self, self.classifier.select(tasks), list(tasks))

    def _asked(self, classifier: Classifier, tasks: list[int], query_x: Tensor) -> Tensor:
        logits: Tensor = classifier(query_x)
        with torch.no_grad():
            self._note(torch.tensor(tasks, device=query_x.device), query_x.detach(), logits.detach())
        return logits

    def _note(self, tasks: Tensor, asked: Tensor, logits: Tensor) -> None:
        column = self._column(tasks, asked)
        task = tasks[:, None].expand_as(column)
        distance = self.threat.size(asked - self.images[task, column])
        inside = (distance <= self.threat.eps * (1 + SLACK) + SLACK) & _in_range(asked)
        fooled = inside & ~tied(logits) & (logits.argmax(-1) != self.labels[task, column])
        self.fooled[task[fooled], column[fooled]] = True
        self.tried[tasks] = torch.maximum(self.tried[tasks], distance.amax(1))

    def _column(self, tasks: Tensor, asked: Tensor) -> Tensor:
        """The query that each of the images `[T, N, C, H, W]` belongs to: `[T, N]`."""
        number = self.labels.shape[1]
        if asked.shape[1] == number:
            return torch.arange(number, device=asked.device).expand(len(tasks), -1)
        return torch.cdist(asked.flatten(2), self.images[tasks].flatten(2)).argmin(-1)


class _Part(Classifier):
    """Some of the tasks of a watched classifier."""

    def __init__(self, whole: Watched, classifier: Classifier, tasks: list[int]) -> None:
        super().__init__()
        self._whole: Any = (whole,)  # in a tuple, so that it is no submodule
        self.classifier, self.tasks = classifier, tasks
        self.ways, self.inductive = classifier.ways, classifier.inductive

    def forward(self, query_x: Tensor) -> Tensor:
        """Logits `[T, Q, ways]` of queries `[T, Q, C, H, W]`."""
        logits: Tensor = self._whole[0]._asked(self.classifier, self.tasks, query_x)
        return logits

    def detach(self) -> Classifier:
        """The same classifiers, constants but for their input."""
        return _Part(self._whole[0], self.classifier.detach(), self.tasks)

    def select(self, tasks: Sequence[int]) -> Classifier:
        """The classifiers of some of the tasks, in the order given."""
        return _Part(self._whole[0], self.classifier.select(tasks), [self.tasks[i] for i in tasks])


def _in_range(images: Tensor) -> Tensor:
    flat = images.flatten(-3)
    return (flat.amin(-1) >= -SLACK) & (flat.amax(-1) <= 1 + SLACK)

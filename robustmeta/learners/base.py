"""The two verbs of every learner, and the classifier that adaptation makes."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robustmeta.batch import EpisodeBatch, Queries
from robustmeta.errors import RobustMetaError
from robustmeta.registry import Registry


class Classifier(nn.Module):
    """T adapted classifiers, one a task: queries `[T, Q, C, H, W]` in [0, 1] to logits `[T, Q, ways]`.

    Pure in its input: no mode, buffer or random number takes part, so what is attacked is what is scored.
    `train()` and `eval()` therefore do nothing, and there are no parameters to train.
    """

    ways: int
    inductive: bool = True
    """Whether the logits of a query depend on no other query."""
    shares_weights: bool = False
    """Whether the tasks have their weights in common, so that many tasks of one query cost no more than one of many."""
    samples: int = 0
    """How many random draws the logits are an average over; 0 where no random number took part in the adaptation."""

    def forward(self, query_x: Tensor) -> Tensor:
        """Logits `[T, Q, ways]` of queries `[T, Q, C, H, W]`."""
        raise NotImplementedError(f"{type(self).__name__} must define forward(query_x) -> logits")

    def detach(self) -> "Classifier":
        """The same classifiers cut off from the graph of their adaptation: constants but for their input."""
        raise NotImplementedError(f"{type(self).__name__} must define detach()")

    def select(self, tasks: Sequence[int]) -> "Classifier":
        """The classifiers of some of the tasks, in the order given."""
        raise NotImplementedError(f"{type(self).__name__} must define select(tasks)")

    def resampled(self, seed: int) -> "Classifier":
        """The same classifiers with other draws, where there are `samples`; of a seed always the same."""
        return self

    def task(self, index: int) -> "TaskClassifier":
        """The classifier of one task, as a plain module from images `[B, C, H, W]` to logits `[B, ways]`."""
        return TaskClassifier(self.select([index]))

    def train(self, mode: bool = True) -> "Classifier":
        """Returns itself unchanged: a classifier has one mode."""
        return self


class TaskClassifier(nn.Module):
    """One task's classifier in the shape that attack libraries expect: images `[B, C, H, W]` to `[B, ways]`."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.ways = classifier.ways
        self.classifier = classifier
        self.training = False

    def forward(self, images: Tensor) -> Tensor:
        """Logits `[B, ways]` of images `[B, C, H, W]`."""
        logits: Tensor = self.classifier(images[None])[0]
        return logits

    def train(self, mode: bool = True) -> "TaskClassifier":
        """Returns itself unchanged: a classifier has one mode."""
        return self


class Learner(nn.Module):
    """What turns support sets into classifiers, and can be trained to do it better.

    A subclass defines `adapt`; `loss` follows, by `pose` and `outer_loss`, which defenses use too. In training mode the
    classifier hangs on the graph of its adaptation, so that the loss reaches the learner's parameters; in evaluation
    mode it keeps no graph, unless the support requires a gradient.
    """

    progress: float = 1.0
    """How far training has come, 0 to 1; set by the trainer, read by whatever follows a schedule."""

    replays: int = 1
    """How many times the trainer meets each batch, with an update of the weights each."""

    defense: str = "natural"
    """The name of the defense in result rows."""

    order: str = ""
    """Of learners that adapt by gradient steps, the order of the outer gradient: `first` or `second`."""

    def adapt(self, support_x: Tensor, support_y: Tensor) -> Classifier:
        """The classifiers of T tasks from their supports `[T, N, C, H, W]` and labels `[T, N]`.

        In evaluation mode the result depends on no graph, with one exception, for attacks on the support: where
        `support_x.requires_grad` and gradients are on, the classifier hangs on the graph of the support. It is the
        same classifier, made with the evaluation settings; its derivative is the true one (second order for a
        learner that takes gradient steps, whatever it does in training) and does not reach the learner's parameters.
        """
        raise NotImplementedError(f"{type(self).__name__} must define adapt(support_x, support_y) -> Classifier")

    def loss(self, batch: EpisodeBatch) -> Tensor:
        """The outer loss of a batch, a scalar: `outer_loss` on what `pose` poses."""
        return self.outer_loss(*self.pose(batch))

    def pose(self, batch: EpisodeBatch) -> tuple[Classifier, Queries]:
        """What a batch trains on: a classifier that hangs on the learner's parameters, and the queries put to it.

        By default the adapted classifiers and the batch itself. It is these queries that a defense attacks.
        Raises `RobustMetaError` for what is no `EpisodeBatch`.
        """
        if not isinstance(batch, EpisodeBatch):
            raise RobustMetaError(
                f"the batch is a {type(batch).__name__}; it must be robustmeta.EpisodeBatch(support_x, support_y, "
                "query_x, query_y), images as [T, N, C, H, W], tasks first"
            )
        return self.adapt(batch.support_x, batch.support_y), batch

    def outer_loss(self, classifier: Classifier, queries: Queries) -> Tensor:
        """The loss (a scalar) of a posed classifier on queries; by default the mean cross-entropy."""
        return query_loss(classifier, queries)

    @property
    def base(self) -> "Learner":
        """The learner itself; for a defense, the learner inside it."""
        return self


def query_loss(classifier: Classifier, queries: Queries) -> Tensor:
    """Mean cross-entropy (a scalar) of a classifier on queries, as a batch has them."""
    return F.cross_entropy(classifier(queries.query_x).flatten(0, 1), queries.query_y.flatten())


@torch.no_grad()
def right_of(classifier: Classifier, images: Tensor, labels: Tensor) -> Tensor:
    """Which of the images `[T, Q, C, H, W]` a classifier gives their labels, bool `[T, Q]`; NaN is no answer."""
    logits = classifier(images)
    right: Tensor = (logits.argmax(-1) == labels) & logits.isfinite().all(-1)
    return right


LEARNERS: Registry[type[Learner]] = Registry("learner")


def freeze(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies of the weights, detached: training the learner further does not move them."""
    return {name: weight.detach().clone() for name, weight in weights.items()}

"""What an attack costs: the images it passes through the attacked classifier, forwards and backwards."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from robustmeta.learners.base import Classifier, Learner


@dataclass
class Meter:
    """forwards: images classified. backwards: images whose logits a gradient was asked of."""

    forwards: int = 0
    backwards: int = 0


class Metered(Classifier):
    """A classifier whose use is counted, in images: queries `[T, Q, C, H, W]` count T * Q."""

    def __init__(self, classifier: Classifier, meter: Meter) -> None:
        super().__init__()
        self.classifier, self.meter = classifier, meter
        self.ways, self.inductive = classifier.ways, classifier.inductive
        self.shares_weights = classifier.shares_weights

    def forward(self, query_x: Tensor) -> Tensor:
        """Logits `[T, Q, ways]` of queries `[T, Q, C, H, W]`."""
        logits: Tensor = self.classifier(query_x)
        images = query_x.shape[0] * query_x.shape[1]
        self.meter.forwards += images
        if logits.requires_grad:
            logits.register_hook(lambda _: self._backward(images))  # type: ignore[no-untyped-call]
        return logits

    def _backward(self, images: int) -> None:
        self.meter.backwards += images

    def detach(self) -> "Metered":
        """The same classifiers, constants but for their input, counted by the same meter."""
        return Metered(self.classifier.detach(), self.meter)

    def select(self, tasks: Sequence[int]) -> "Metered":
        """The classifiers of some of the tasks, in the order given, counted by the same meter."""
        return Metered(self.classifier.select(tasks), self.meter)


class MeteredLearner(Learner):
    """A learner whose classifiers are counted; an adaptation counts its support images once."""

    def __init__(self, learner: Learner, meter: Meter) -> None:
        super().__init__()
        self.learner, self.meter = learner, meter
        self.training = learner.training

    @property
    def base(self) -> Learner:
        """The learner inside."""
        return self.learner.base

    def adapt(self, support_x: Tensor, support_y: Tensor) -> Metered:
        """The inner learner's classifiers of supports `[T, N, C, H, W]` with labels `[T, N]`, counted."""
        self.meter.forwards += support_x.shape[0] * support_x.shape[1]
        return Metered(self.learner.adapt(support_x, support_y), self.meter)

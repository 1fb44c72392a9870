"""What every defense is: a learner around a learner; and their registry."""

from torch import Tensor

from robustmeta.episodes import EpisodeBatch, Queries
from robustmeta.learners.base import Classifier, Learner
from robustmeta.registry import Registry

DEFENSES: Registry[type[Learner]] = Registry("defense")


class Defense(Learner):
    """A learner around a learner, whose classifiers are the inner one's; a subclass defines the loss.

    learner: any learner. ramp: the share of training over which eps grows from 0 to its full size; 0 is a constant eps.
    """

    def __init__(self, learner: Learner, ramp: float) -> None:
        super().__init__()
        self.learner, self.ramp = learner, ramp

    @property
    def base(self) -> Learner:
        """The learner inside."""
        return self.learner.base

    @property
    def eps_share(self) -> float:
        """The share of the full eps at this point of training, 0 to 1."""
        return min(1.0, self.progress / self.ramp) if self.ramp else 1.0

    def adapt(self, support_x: Tensor, support_y: Tensor) -> Classifier:
        """The inner learner's classifiers of supports `[T, N, C, H, W]` with labels `[T, N]`."""
        return self.learner.adapt(support_x, support_y)

    def pose(self, batch: EpisodeBatch) -> tuple[Classifier, Queries]:
        """What the inner learner poses."""
        return self.learner.pose(batch)

    def outer_loss(self, classifier: Classifier, queries: Queries) -> Tensor:
        """The inner learner's."""
        return self.learner.outer_loss(classifier, queries)

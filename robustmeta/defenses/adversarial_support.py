"""Adversarial support: the inner loop adapts to attacked images."""

from dataclasses import replace

from robustmeta.attacks.base import Attack, craft
from robustmeta.defenses.base import DEFENSES, Defense, untracked
from robustmeta.episodes import EpisodeBatch, Queries
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import Classifier, Learner
from robustmeta.learners.base_training import BaseTrained


@DEFENSES.register("as")
class AdversarialSupport(Defense):
    """Adversarial support (the ablation of Goldblum, Fowl & Goldstein, 2020): a learner around a learner.

    L(A(theta, support + delta), query), delta in the ball and of the highest loss of A(theta, support) there.

    Inner loop: the attacked support. Outer loop: the learner's own loss on clean queries; within `aq`, on attacked
    ones: both. The support is attacked as queries are, against the classifiers adapted to it clean, not through the
    adaptation.

    learner: any learner that is trained by adapting. attack: what crafts the support. ramp: as in `Defense`.

    Deviates from the paper in crafting against the classifier adapted to the clean support, where its code attacks
    the current weights anew at each inner step.

    Raises `RobustMetaError` as `Defense` does, and for a learner that is trained on base classes without adapting.
    """

    def __init__(self, learner: Learner, attack: Attack, ramp: float = 0.0) -> None:
        super().__init__(learner, ramp)
        check_adapts(learner)
        self.attack = attack

    def pose(self, batch: EpisodeBatch) -> tuple[Classifier, Queries]:
        """What the inner learner poses of the batch with its support attacked."""
        return super().pose(with_attacked_support(self.learner, self.scaled(self.attack), batch))


def with_attacked_support(learner: Learner, attack: Attack, batch: EpisodeBatch) -> EpisodeBatch:
    """The batch, its support attacked as queries are, against the classifiers that the learner adapts to it clean."""
    with untracked(learner):
        classifier = learner.adapt(batch.support_x, batch.support_y).detach()
        moved = craft(attack, classifier, batch.support_x, batch.support_y, batch.index or None)
    return replace(batch, support_x=moved)


def check_adapts(learner: Learner) -> None:
    """Raise `RobustMetaError` for a learner that is trained on base classes, without adapting to a support."""
    if isinstance(learner.base, BaseTrained):
        raise RobustMetaError(
            f"{type(learner.base).__name__} adapts to no support in training; use 'at', which attacks all its images"
        )

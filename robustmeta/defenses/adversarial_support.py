"""Adversarial support: the inner loop adapts to attacked images."""

from dataclasses import replace

from robustmeta.attacks.base import Attack, craft
from robustmeta.attacks.isolation import untracked
from robustmeta.batch import EpisodeBatch, Queries
from robustmeta.defenses.base import DEFENSES, Defense
from robustmeta.draws import redrawn
from robustmeta.learners.base import Classifier, Learner


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

    Raises `RobustMetaError` as `Defense` does, as for a learner that is trained on base classes without adapting.
    """

    adapts_in_training = True
    undoes = ("its",)  # whose further shots would stay clean

    def __init__(self, learner: Learner, attack: Attack, ramp: float = 0.0) -> None:
        super().__init__(learner, ramp)
        self.attack = attack

    def pose(self, batch: EpisodeBatch) -> tuple[Classifier, Queries]:
        """What the inner learner poses of the batch with its support attacked."""
        return super().pose(with_attacked_support(self.learner, self.scaled(self.attack), batch))


def with_attacked_support(learner: Learner, attack: Attack, batch: EpisodeBatch) -> EpisodeBatch:
    """The batch, its support attacked as queries are, against the classifiers that the learner adapts to it clean.

    The attack draws other random numbers for a support than for the queries of the same task.
    """
    with untracked(learner):
        classifier = learner.adapt(batch.support_x, batch.support_y).detach()
        moved = craft(attack, classifier, batch.support_x, batch.support_y, redrawn(batch.index or None, 1))
    return replace(batch, support_x=moved)

"""ADML: the clean and the adversarial path of each task, crossed."""

from torch import Tensor

from robustmeta.batch import EpisodeBatch
from robustmeta.defenses.adversarial_querying import AdversarialQuerying
from robustmeta.defenses.adversarial_support import with_attacked_support
from robustmeta.defenses.base import DEFENSES


@DEFENSES.register("adml")
class ADML(AdversarialQuerying):
    """Adversarial meta-learning (Yin et al., 2018): a learner around a learner.

    (L(A(theta, support + delta_s), query) + L(A(theta, support), query + delta_q)) / 2.

    Inner loop: the clean support on one path, the attacked one on the other. Outer loop: clean queries for the
    classifiers of the attacked support, attacked queries for those of the clean one.

    learner: any learner that is trained by adapting. attack: what crafts support and queries. ramp, precision: as in
    `QueryDefense`; the support is crafted in full precision.

    Deviates from the paper in the order of the outer gradient, which is the learner's, and in crafting the support
    against the classifier adapted to it clean.

    Raises `RobustMetaError` as `QueryDefense` does.
    """

    adapts_in_training = True
    undoes = ("as", "its")  # both paths would be attacked; the further shots would stay clean

    def objective(self, batch: EpisodeBatch) -> Tensor:
        """The mean of both crossed losses: a scalar."""
        crossed = with_attacked_support(self.learner, self.scaled(self.attack), batch)
        return (super().objective(batch) + self.outer_loss(*self.pose(crossed))) / 2

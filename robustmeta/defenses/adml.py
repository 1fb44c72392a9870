"""ADML: the clean and the adversarial path of each task, crossed."""

from torch import Tensor

from robustmeta.attacks.base import Attack
from robustmeta.defenses.adversarial_support import check_adapts, with_attacked_support
from robustmeta.defenses.base import DEFENSES
from robustmeta.defenses.query_defense import QueryDefense
from robustmeta.episodes import EpisodeBatch, Queries
from robustmeta.learners.base import Classifier, Learner


@DEFENSES.register("adml")
class ADML(QueryDefense):
    """Adversarial meta-learning (Yin et al., 2018): a learner around a learner.

    (L(A(theta, support + delta_s), query) + L(A(theta, support), query + delta_q)) / 2.

    Inner loop: the clean support on one path, the attacked one on the other. Outer loop: clean queries for the
    classifiers of the attacked support, attacked queries for those of the clean one.

    learner: any learner that is trained by adapting. attack: what crafts support and queries. ramp, precision: as in
    `QueryDefense`; the support is crafted in full precision.

    Deviates from the paper in the order of the outer gradient, which is the learner's, and in crafting the support
    against the classifier adapted to it clean.

    Raises `RobustMetaError` as `AdversarialSupport` and `QueryDefense` do.
    """

    def __init__(self, learner: Learner, attack: Attack, ramp: float = 0.0, precision: str = "float32") -> None:
        super().__init__(learner, attack, ramp, precision)
        check_adapts(learner)

    def objective(self, batch: EpisodeBatch) -> Tensor:
        """The mean of both crossed losses: a scalar."""
        crossed = with_attacked_support(self.learner, self.scaled(self.attack), batch)
        return (super().objective(batch) + self.outer_loss(*self.pose(crossed))) / 2

    def against(self, classifier: Classifier, queries: Queries, attacked: Tensor) -> Tensor:
        """The learner's outer loss (a scalar) on the attacked queries."""
        return self.outer_loss(classifier, queries.with_queries(attacked))

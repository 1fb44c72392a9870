"""TRADES on the queries: clean accuracy, and predictions that an attack does not change."""

from torch import Tensor

from robustmeta.attacks.base import Attack
from robustmeta.attacks.projected_gradient import divergence
from robustmeta.batch import Queries
from robustmeta.defenses.base import DEFENSES, asked_once
from robustmeta.defenses.query_defense import QueryDefense, check_weight
from robustmeta.learners.base import Classifier, Learner


@DEFENSES.register("trades-aq")
class TradesQuerying(QueryDefense):
    """Adversarial querying with the loss of TRADES (Zhang et al., 2019; in the outer loop: Goldblum et al., 2020).

    L(A(theta, support), query) + beta * mean of KL(p(query) || p(query + delta)).

    Inner loop: the clean support. Outer loop: the learner's own loss on the clean queries, and the divergence.

    learner: any learner. attack: what crafts the queries; the card `pgd-7-kl` climbs the divergence itself, as the
    paper does, other cards the cross-entropy, as the code of Goldblum et al. does. beta: the divergence's weight.
    ramp, precision: as in `QueryDefense`.

    Deviates from the paper in where the attack begins: at a random point of the ball, the paper's within 0.001.

    Raises `RobustMetaError` as `QueryDefense` does, and for a beta below 0.
    """

    def __init__(
        self, learner: Learner, attack: Attack, ramp: float = 0.0, precision: str = "float32", *, beta: float = 6.0
    ) -> None:
        super().__init__(learner, attack, ramp, precision)
        check_weight("beta", beta)
        self.beta = beta

    def against(self, classifier: Classifier, queries: Queries, attacked: Tensor) -> Tensor:
        """The loss (a scalar) on the clean queries, and how far the attack moves what is said of them."""
        moved = classifier(attacked)
        with asked_once(classifier):
            away = divergence(moved, classifier(queries.query_x)).mean()
            return self.outer_loss(classifier, queries) + self.beta * away

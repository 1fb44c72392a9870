"""MART on the queries: those that are misclassified clean count for more."""

import torch
from torch import Tensor

from robustmeta.attacks.base import Attack
from robustmeta.attacks.projected_gradient import divergence
from robustmeta.batch import Queries
from robustmeta.defenses.base import DEFENSES
from robustmeta.defenses.query_defense import QueryDefense, check_weight
from robustmeta.learners.base import Classifier, Learner


@DEFENSES.register("mart-aq")
class MartQuerying(QueryDefense):
    """Adversarial querying with the loss of MART (Wang et al., 2020).

    Mean of [ -log p_y(x') - log(1 - max over k != y of p_k(x')) + beta * KL(p(x) || p(x')) * (1 - p_y(x)) ],
    x a query, x' = x + delta and p the softmax of A(theta, support).

    Inner loop: the clean support. Outer loop: this loss, in place of the learner's own.

    learner: any learner. attack: what crafts the queries; PGD-10 by cross-entropy in the paper. beta: weight of the
    divergence, lambda in the paper. ramp, precision: as in `QueryDefense`.

    Deviates from the paper in being taken on the queries of adapted classifiers; the loss is the paper's own.

    Raises `RobustMetaError` as `QueryDefense` does, and for a beta below 0.
    """

    undoes = ("label-smoothing",)  # its loss is its own

    def __init__(
        self, learner: Learner, attack: Attack, ramp: float = 0.0, precision: str = "float32", *, beta: float = 5.0
    ) -> None:
        super().__init__(learner, attack, ramp, precision)
        check_weight("beta", beta)
        self.beta = beta

    def against(self, classifier: Classifier, queries: Queries, attacked: Tensor) -> Tensor:
        """The boosted cross-entropy and the weighted divergence, averaged over queries: a scalar."""
        label = queries.query_y[..., None]
        clean, moved = classifier(queries.query_x), classifier(attacked)
        right = moved.log_softmax(-1).gather(-1, label)[..., 0]
        rival = moved.scatter(-1, label, -torch.inf).argmax(-1, keepdim=True)
        # log(1 - p_k) is the logsumexp of all logits but k's, minus that of all: finite where p_k rounds to 1.
        boosted = moved.logsumexp(-1) - moved.scatter(-1, rival, -torch.inf).logsumexp(-1) - right
        doubt = 1 - clean.softmax(-1).gather(-1, label)[..., 0]
        loss: Tensor = (boosted + self.beta * divergence(moved, clean) * doubt).mean()
        return loss

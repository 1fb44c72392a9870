"""Adversarial querying: the outer loss is taken on queries attacked against the adapted classifier."""

from torch import Tensor

from robustmeta.attacks.base import Attack
from robustmeta.batch import Queries
from robustmeta.defenses.base import DEFENSES, has_objective
from robustmeta.defenses.query_defense import QueryDefense
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import Classifier, Learner


@DEFENSES.register("aq")
class AdversarialQuerying(QueryDefense):
    """Adversarial querying (Goldblum, Fowl & Goldstein, 2020): a learner around a learner.

    min over theta of E [ max over ||delta|| <= eps of L(A(theta, support), query + delta, label) ].

    Inner loop: the clean support. Outer loop: the learner's own loss, on attacked queries alone.

    learner: any learner. attack: what crafts the queries; PGD-7 in the paper. ramp, precision: as in `QueryDefense`.

    Deviates from the paper in the ramp, in the precision where it is not full, and in crafting against the very
    function that is scored: the paper's code let every attack step move the running statistics.

    Raises `RobustMetaError` as `QueryDefense` does.
    """

    def against(self, classifier: Classifier, queries: Queries, attacked: Tensor) -> Tensor:
        """The learner's outer loss (a scalar) on the attacked queries."""
        return self.outer_loss(classifier, queries.with_queries(attacked))


def around_queries(defense: str, learner: Learner, attack: Attack | None, ramp: float) -> QueryDefense:
    """The defense of the queries that another `defense` goes around: the learner, or adversarial querying around it.

    Raises `RobustMetaError` unless there is either such a defense or an attack.
    """
    if isinstance(learner, QueryDefense) and type(learner).objective is QueryDefense.objective:
        if attack is not None or ramp:
            raise RobustMetaError(f"{defense} goes around {learner.defense}, which has an attack and a ramp of its own")
        return learner
    if attack is None and has_objective(learner):
        raise RobustMetaError(f"{defense} goes around a defense with one attack on the queries, not {learner.defense}")
    if attack is None:
        raise RobustMetaError(f"{defense} needs an attack, or a defense with one inside it, as aq; here is neither")
    return AdversarialQuerying(learner, attack, ramp)

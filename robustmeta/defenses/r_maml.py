"""R-MAML: the clean outer loss, regularised by the loss under attack."""

from torch import Tensor

from robustmeta.attacks.base import Attack
from robustmeta.attacks.projected_gradient import divergence
from robustmeta.batch import Queries
from robustmeta.defenses.base import DEFENSES, asked_once
from robustmeta.defenses.query_defense import QueryDefense, check_weight
from robustmeta.errors import unknown
from robustmeta.learners.base import Classifier, Learner

GAMMAS = {"at": 0.2, "trades": 5.0}
"""The forms, and the weight that the paper found best for each."""


@DEFENSES.register("r-maml")
class RMAML(QueryDefense):
    """R-MAML's adversarial regulariser of the outer loop (Wang et al., 2021), around any learner.

    L(A(theta, support), query) + gamma * R; R is L(A(theta, support), query + delta) in the form `at`, and
    mean of KL(p(query) || p(query + delta)), which needs no labels, in the form `trades`.

    Inner loop: the clean support (the paper found nothing gained by attacking it too). Outer loop: as above.

    learner: any learner. attack: what crafts the queries; FGSM from a random start in the paper, as the card `fgsm-rs`.
    form: `at` or `trades`. gamma: by default 0.2 for `at`, 5 for `trades`. ramp, precision: as in `QueryDefense`.

    Deviates from the paper in taking both terms in one step of the optimizer, where its code took two; and, in the
    form `trades`, in regularising on the batch's own queries, where the paper has further images without labels.

    Raises `RobustMetaError` as `QueryDefense` does, for an unknown form and a gamma below 0.
    """

    def __init__(
        self,
        learner: Learner,
        attack: Attack,
        ramp: float = 0.0,
        precision: str = "float32",
        *,
        form: str = "at",
        gamma: float | None = None,
    ) -> None:
        super().__init__(learner, attack, ramp, precision)
        if form not in GAMMAS:
            raise unknown("form", form, GAMMAS)
        self.form, self.gamma = form, GAMMAS[form] if gamma is None else gamma
        check_weight("gamma", self.gamma)

    def against(self, classifier: Classifier, queries: Queries, attacked: Tensor) -> Tensor:
        """The clean loss plus gamma times the regulariser: a scalar."""
        if self.form == "at":
            regulariser = self.outer_loss(classifier, queries.with_queries(attacked))
            return self.outer_loss(classifier, queries) + self.gamma * regulariser
        moved = classifier(attacked)
        with asked_once(classifier):
            regulariser = divergence(moved, classifier(queries.query_x)).mean()
            return self.outer_loss(classifier, queries) + self.gamma * regulariser

"""Label smoothing: a control that changes the labels, not the images."""

from torch import Tensor

from robustmeta.batch import Queries
from robustmeta.defenses.base import DEFENSES, Defense, asked_once
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import Classifier, Learner


@DEFENSES.register("label-smoothing")
class LabelSmoothing(Defense):
    """Label smoothing of the outer loss (Szegedy et al., 2016): a learner around a learner.

    (1 - smoothing) * L(A(theta, support), query) + smoothing * mean over classes of -log p_c(query).

    Inner loop: as without it. Outer loop: the learner's own loss and, as a small share, the cross-entropy to a uniform
    label. Nothing is attacked; it is often taken for a defense because it shrinks the gradients that attacks climb.

    learner: any learner. smoothing: the share of the uniform label, 0 to 1.

    Deviates from the paper, for a learner whose loss is no cross-entropy, in adding the second term to that loss.

    Raises `RobustMetaError` for a smoothing outside [0, 1].
    """

    def __init__(self, learner: Learner, *, smoothing: float = 0.1) -> None:
        super().__init__(learner)
        if not 0 <= smoothing <= 1:
            raise RobustMetaError(f"smoothing is {smoothing:g}; it is a share of the label, 0 to 1")
        self.smoothing = smoothing

    def outer_loss(self, classifier: Classifier, queries: Queries) -> Tensor:
        """The learner's outer loss and the cross-entropy to the uniform label, weighted: a scalar."""
        with asked_once(classifier):
            uniform: Tensor = -classifier(queries.query_x).log_softmax(-1).mean()
            return (1 - self.smoothing) * super().outer_loss(classifier, queries) + self.smoothing * uniform

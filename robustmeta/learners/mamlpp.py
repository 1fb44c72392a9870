"""MAML++: what makes MAML's training stable."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from robustmeta.backbones import Backbone
from robustmeta.batch import Queries
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import LEARNERS, Classifier, query_loss
from robustmeta.learners.fast_weights import FastWeightsClassifier
from robustmeta.learners.maml import MAML, Point


class PathClassifier(FastWeightsClassifier):
    """The adapted classifiers, which know those that the inner steps before the last one made.

    before: one `FastWeightsClassifier` a step, the first step's first. What is detached or selected forgets them.
    """

    before: Sequence[FastWeightsClassifier] = ()


@LEARNERS.register("maml++")
class MAMLPlusPlus(MAML):
    """MAML++, MAML made stable (Antoniou, Edwards & Storkey, 2019).

    Adapted: theta_k+1 = theta_k - alpha_k * grad L_support(theta_k), with a learned rate alpha_k for each weight
    tensor and step. Trained on sum over k of v_k L_query(theta_k): with a = min(1, progress / multi_step), the weight
    v_k is (1 - a) / K before the last step, and the last one has the rest.

    backbone: images to features, as `Conv4`. ways: classes of a task, fixed by the linear head.
    steps: K, of the inner loop in training. test_steps: in evaluation, by default the same; steps beyond K move as the
    last one. inner_lr: where each rate begins. engine: as in `MAML`.
    multi_step: the share of training after which the last step alone counts; 0 is none.
    first_order_share: the share of training at the start that takes inner gradients as constants.

    Deviates from the paper in leaving out the normalization's statistics and weights of each step's own, in letting the
    weights of the steps before the last go to 0, where the paper's code keeps 3% / K until it drops them, and in
    `first_order_share`, 0 here by default.

    Raises `RobustMetaError` for no step, for shares outside [0, 1], and for what `MAML` does.
    """

    def __init__(
        self,
        backbone: Backbone,
        ways: int = 5,
        *,
        steps: int = 5,
        inner_lr: float = 0.4,
        test_steps: int | None = None,
        multi_step: float = 0.3,
        first_order_share: float = 0.0,
        engine: str = "auto",
    ) -> None:
        super().__init__(backbone, ways, steps=steps, inner_lr=inner_lr, test_steps=test_steps, engine=engine)
        if steps < 1 or not (0 <= multi_step <= 1 and 0 <= first_order_share <= 1):
            raise RobustMetaError(
                f"steps is {steps}, multi_step {multi_step:g} and first_order_share {first_order_share:g}; "
                "there must be a step at least, and the others are shares of training, 0 to 1"
            )
        self.multi_step, self.first_order_share = multi_step, first_order_share
        self.alpha = nn.Parameter(torch.full((len(self.start), steps), inner_lr))

    def rates(self, step: int) -> dict[str, float | Tensor]:
        """alpha_step; a constant in evaluation."""
        alpha = self.alpha if self.training else self.alpha.detach().clone()
        return dict(zip(self.start, alpha[:, min(step, self.steps - 1)], strict=True))

    @property
    def differentiates_twice(self) -> bool:
        """Whether `first_order_share` of training is over."""
        return self.progress >= self.first_order_share

    @property
    def step_weights(self) -> list[float]:
        """v_1 .. v_K at this point of training."""
        share = min(1.0, self.progress / self.multi_step) if self.multi_step else 1.0
        early = (1 - share) / self.steps
        return [early] * (self.steps - 1) + [1 - early * (self.steps - 1)]

    @property
    def landings(self) -> int:
        """All points after a step, in training, while more than the last one counts."""
        return self.steps if self.training and self.step_weights[-1] < 1 else 1

    def classifier(self, path: list[Point], together: bool, support_x: Tensor) -> PathClassifier:
        """The classifier of the last point, which knows those of the others."""
        *before, last = path
        made = PathClassifier(self.network, *last, together)
        made.before = [FastWeightsClassifier(self.network, *point, together) for point in before]
        return made

    def outer_loss(self, classifier: Classifier, queries: Queries) -> Tensor:
        """The sum over k of v_k L_query(theta_k), a scalar; of the last step alone, where no other is known."""
        if not isinstance(classifier, PathClassifier) or not classifier.before:
            return query_loss(classifier, queries)
        losses = [query_loss(point, queries) for point in (*classifier.before, classifier)]
        return torch.stack(losses) @ losses[0].new_tensor(self.step_weights)

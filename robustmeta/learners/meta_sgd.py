"""Meta-SGD: MAML that learns how far each weight moves."""

import torch
from torch import Tensor, nn

from robustmeta.backbones import Backbone
from robustmeta.learners.base import LEARNERS
from robustmeta.learners.maml import MAML


@LEARNERS.register("meta-sgd")
class MetaSGD(MAML):
    """Meta-SGD, MAML with learned rates (Li, Zhou, Chen & Li, 2017).

    Adapted: theta_k+1 = theta_k - alpha * grad L_support(theta_k), entry by entry, where alpha, of the shape of theta,
    is trained with it by the outer gradient, and may change sign.

    backbone: images to features, as `Conv4`. ways: classes of a task, fixed by the linear head.
    steps: of the inner loop in training. test_steps: in evaluation; by default the same.
    inner_lr: where every entry of alpha begins. engine: as in `MAML`.

    Deviates from the paper in the number of steps, which there is one and here a setting, in where alpha begins, which
    there is random, and in the normalization, as `MAML` does.

    Raises `RobustMetaError` for what `MAML` does.
    """

    def __init__(
        self,
        backbone: Backbone,
        ways: int = 5,
        *,
        steps: int = 1,
        inner_lr: float = 0.4,
        test_steps: int | None = None,
        engine: str = "auto",
    ) -> None:
        super().__init__(backbone, ways, steps=steps, inner_lr=inner_lr, test_steps=test_steps, engine=engine)
        self.alpha = nn.ParameterList(torch.full_like(weight, inner_lr) for weight in self.network.parameters())

    def rates(self, step: int) -> dict[str, float | Tensor]:
        """alpha, whatever the step; a constant in evaluation."""
        alpha = self.alpha if self.training else [rate.detach().clone() for rate in self.alpha]
        return dict(zip(self.start, alpha, strict=True))

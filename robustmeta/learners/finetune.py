"""Fine-tuning: a backbone trained on the base classes, and a linear head trained on each task's support."""

import torch.nn.functional as F
from torch import Tensor

from robustmeta.backbones import Backbone
from robustmeta.batch import ways_of
from robustmeta.draws import Draws
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import LEARNERS
from robustmeta.learners.base_training import BaseTrained
from robustmeta.learners.linear_heads import Heads, descended, head_logits


@LEARNERS.register("finetune")
class FineTune(BaseTrained):
    """Training on the base classes, then a new linear head on frozen features (Chen et al., 2019).

    Adapted: W, b = `steps` of gradient descent from 0 on the cross-entropy of W f(x) / ||f(x)|| + b over the support,
    with weight decay; logits(x) = W f(x) / ||f(x)|| + b.

    backbone: as `Conv4`. classes: of the training split. steps, inner_lr, decay: of the descent.

    Deviates from the paper in descending on the whole support from a head of 0, where the paper takes batches of four
    in random order from a random one, with momentum, so that adaptation is deterministic; and in features of unit
    length, as the base classifier, which is by cosine, sees them.

    Raises `RobustMetaError` as `BaseTrained` does, and for settings out of range.
    """

    def __init__(
        self, backbone: Backbone, classes: int, *, steps: int = 100, inner_lr: float = 2.0, decay: float = 0.001
    ) -> None:
        super().__init__(backbone, classes)
        if steps < 0 or not inner_lr > 0 or not decay >= 0:
            raise RobustMetaError(
                f"steps is {steps}, inner_lr {inner_lr:g} and decay {decay:g}; "
                "they must be at least 0, above 0 and at least 0"
            )
        self.steps, self.inner_lr, self.decay = steps, inner_lr, decay

    def fit(self, features: Tensor, labels: Tensor, draws: Draws) -> Heads:
        """The heads trained on supports with features `[T, N, D]` and labels `[T, N]`."""
        start = features.new_zeros(len(features), ways_of(labels), features.shape[-1])
        heads = Heads(start, start.sum(-1))
        return descended(heads, F.normalize(features, dim=-1), labels, self.steps, self.inner_lr, self.decay)

    def logits(self, state: Heads, features: Tensor) -> Tensor:
        """Logits `[T, Q, ways]` of features `[T, Q, D]`."""
        return head_logits(state, F.normalize(features, dim=-1))

"""UNICORN-MAML: MAML whose head begins as one vector for every class."""

import torch
from torch import Tensor

from robustmeta.backbones import Backbone
from robustmeta.batch import ways_of
from robustmeta.learners.base import LEARNERS
from robustmeta.learners.maml import MAML, Weights


@LEARNERS.register("unicorn-maml")
class UnicornMAML(MAML):
    """MAML with a single vector for the head, blind to the order of the classes (Ye & Chao, 2022).

    Adapted: theta_0 = (phi, w, .., w), the backbone's weights and the same row of the head for each class;
    theta_k+1 = theta_k - inner_lr * grad L_support(theta_k). So a learner takes tasks of any ways, and the first step
    moves the head alone, as no feature has a slope while its rows agree.

    backbone: images to features, as `Conv4`. steps, inner_lr: inner loop in training; with one step the backbone
    stays. test_steps, test_inner_lr: in evaluation; by default the same. engine: as in `MAML`.

    Deviates from the paper in w, which is 0 and not learned, as a softmax, and so each step, ignores what all rows
    share; in training from scratch, where it has pre-trained weights; in fewer inner steps; and in the normalization,
    as `MAML` does.

    Raises `RobustMetaError` for what `MAML` does.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        steps: int = 5,
        inner_lr: float = 0.4,
        test_steps: int | None = None,
        test_inner_lr: float | None = None,
        engine: str = "auto",
    ) -> None:
        super().__init__(
            backbone,
            1,
            steps=steps,
            inner_lr=inner_lr,
            test_steps=test_steps,
            test_inner_lr=test_inner_lr,
            engine=engine,
        )
        head = self.network.linear
        for name, weight in list(head.named_parameters()):
            delattr(head, name)
            head.register_buffer(name, torch.zeros_like(weight))

    @property
    def head(self) -> Weights:
        """w, a row of the head, by name."""
        return dict(self.network.linear.named_buffers(prefix="linear"))

    @property
    def start(self) -> Weights:
        """The backbone's weights and a row of the head, by name."""
        return {**super().start, **self.head}

    def start_for(self, labels: Tensor) -> Weights:
        """theta_0 of tasks with labels `[T, N]`: the head's row once for each of their classes."""
        ways = ways_of(labels)
        rows = {name: row.expand(ways, *row.shape[1:]).clone().requires_grad_() for name, row in self.head.items()}
        return {**self.start, **rows}

"""ANIL: MAML whose inner loop moves the linear head alone."""

from torch import Tensor, nn

from robustmeta.backbones import Backbone
from robustmeta.draws import Draws
from robustmeta.learners.base import LEARNERS
from robustmeta.learners.embedding import EmbeddingLearner
from robustmeta.learners.fast_weights import check_inner_loop, check_ways
from robustmeta.learners.linear_heads import Heads, descended, head_logits


@LEARNERS.register("anil")
class ANIL(EmbeddingLearner):
    """Almost no inner loop: only the head adapts (Raghu, Raghu, Bengio & Vinyals, 2020).

    Adapted: W_k+1 = W_k - inner_lr * grad L_support(W_k) for the head alone, its gradient mean of (p - y) f^T written
    out, where p is the softmax of W f + b; the outer gradient runs through these steps (second order).

    backbone: images `[T, N, C, H, W]` to features `[T, N, D]`, as `Conv4`. ways: classes of a task, fixed by the head.
    steps, inner_lr: inner loop in training. test_steps, test_inner_lr: in evaluation; by default the same.

    Deviates from the paper in the normalization policy, which is the backbone's setting; the paper's is transductive.

    Raises `RobustMetaError` for steps below 0 or an inner learning rate that is not above 0.
    """

    order = "second"

    def __init__(
        self,
        backbone: Backbone,
        ways: int = 5,
        *,
        steps: int = 5,
        inner_lr: float = 0.1,
        test_steps: int | None = None,
        test_inner_lr: float | None = None,
    ) -> None:
        super().__init__(backbone)
        self.linear = nn.Linear(backbone.out_features, ways)
        self.steps, self.inner_lr = steps, inner_lr
        self.test_steps = steps if test_steps is None else test_steps
        self.test_inner_lr = inner_lr if test_inner_lr is None else test_inner_lr
        check_inner_loop(self.steps, self.test_steps, self.inner_lr, self.test_inner_lr)

    def fit(self, features: Tensor, labels: Tensor, draws: Draws) -> Heads:
        """The heads fine-tuned on supports with features `[T, N, D]` and labels `[T, N]`."""
        check_ways(self, labels, self.linear.out_features)
        steps, lr = (self.steps, self.inner_lr) if self.training else (self.test_steps, self.test_inner_lr)
        heads = Heads(*(part.expand(len(features), *part.shape) for part in (self.linear.weight, self.linear.bias)))
        return descended(heads, features, labels, steps, lr)

    def logits(self, state: Heads, features: Tensor) -> Tensor:
        """Logits `[T, Q, ways]` of features `[T, Q, D]`."""
        return head_logits(state, features)

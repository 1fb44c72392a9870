"""MAML: a few gradient steps on the support, from an initialisation learned through them."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from robustmeta.backbones import Backbone, Statistics
from robustmeta.episodes import check_support
from robustmeta.errors import RobustMetaError, unknown
from robustmeta.learners.base import LEARNERS, Learner, freeze
from robustmeta.learners.fast_weights import FastWeightsClassifier, LinearHead, joined

ENGINES = ("auto", "loop", "vectorized")


@LEARNERS.register("maml")
class MAML(Learner):
    """Model-agnostic meta-learning (Finn, Abbeel & Levine, 2017).

    Adapted: theta_k+1 = theta_k - inner_lr * grad L_support(theta_k), k = 0 .. steps-1, for each task; the outer
    gradient runs through these steps (second order), or takes each inner gradient as a constant (`first_order`).

    backbone: images to features, as `Conv4`. ways: classes of a task, fixed by the linear head.
    steps, inner_lr: inner loop in training. test_steps, test_inner_lr: in evaluation; by default the same.

    engine: `loop`, task after task; `vectorized`, the networks of all tasks side by side in one pass, which takes a
    backbone that can (`takes_task_weights`); or `auto`, the loop on a CPU and the other on a GPU. The result is the
    same but for rounding.

    Deviates from the paper in the normalization: where the paper's code normalised queries by their own batch
    (transductive), the statistics here come from the support at the adapted weights, unless the policy says other.

    Raises `RobustMetaError` for steps below 0 or an inner learning rate that is not above 0.
    """

    def __init__(
        self,
        backbone: Backbone,
        ways: int = 5,
        *,
        steps: int = 5,
        inner_lr: float = 0.4,
        test_steps: int | None = None,
        test_inner_lr: float | None = None,
        first_order: bool = False,
        engine: str = "auto",
    ) -> None:
        super().__init__()
        self.network = LinearHead(backbone, ways)
        self.steps, self.inner_lr, self.first_order = steps, inner_lr, first_order
        self.test_steps = steps if test_steps is None else test_steps
        self.test_inner_lr = inner_lr if test_inner_lr is None else test_inner_lr
        self.engine = engine
        if engine not in ENGINES:
            raise unknown("engine", engine, ENGINES)
        if engine == "vectorized" and not backbone.takes_task_weights:
            raise RobustMetaError(
                f"{type(backbone).__name__} cannot take weights of many tasks at once; use engine: loop"
            )
        if min(self.steps, self.test_steps) < 0 or not min(self.inner_lr, self.test_inner_lr) > 0:
            raise RobustMetaError(
                f"steps is {self.steps}, test_steps {self.test_steps}, inner_lr {self.inner_lr:g}, test_inner_lr "
                f"{self.test_inner_lr:g}; steps must be at least 0, learning rates above 0"
            )

    def adapt(self, support_x: Tensor, support_y: Tensor) -> FastWeightsClassifier:
        """The networks fine-tuned on supports `[T, N, C, H, W]` with labels `[T, N]`.

        Raises `RobustMetaError` for a support that `check_support` refuses, or of other ways than the head.
        """
        check_support(support_x, support_y)
        self._check_ways(support_y)
        start: dict[str, Tensor] = dict(self.network.named_parameters())
        if not self.training:
            start = freeze(start)
        together = self._together(support_x)
        if together:
            spread = {name: weight.expand(len(support_x), *weight.shape) for name, weight in start.items()}
            weights, statistics = self._adapted(spread, support_x, support_y)
        else:
            pairs = zip(support_x[:, None], support_y[:, None], strict=True)
            weights, statistics = joined([self._adapted(start, x, y) for x, y in pairs])
        if self.training:
            self.network.backbone.track(statistics)
        return FastWeightsClassifier(self.network, weights, statistics, together)

    def _adapted(
        self, weights: dict[str, Tensor], images: Tensor, labels: Tensor
    ) -> tuple[dict[str, Tensor], Statistics | None]:
        """Weights after the inner loop on images `[T, N, C, H, W]`; those of T networks `[T, ...]`, or those of one."""
        statistics: Statistics | None = None
        steps, lr = (self.steps, self.inner_lr) if self.training else (self.test_steps, self.test_inner_lr)
        keeps_graph = self.training or (images.requires_grad and torch.is_grad_enabled())
        second_order = not self.first_order if self.training else keeps_graph
        if not self.training:
            weights = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
        with torch.enable_grad():
            for _ in range(steps):
                logits, statistics = functional_call(self.network, weights, (images, None, False))
                loss = len(labels) * F.cross_entropy(logits.flatten(0, 1), labels.flatten())  # the sum over tasks
                gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=second_order)
                weights = {
                    name: weight - lr * gradient
                    for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
                }
                if not keeps_graph:
                    weights = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
        if not keeps_graph:
            weights = freeze(weights)
        if statistics is None and self.network.backbone.norm in ("running", "support"):
            statistics = functional_call(self.network, weights, (images,))[1]
        return weights, statistics

    def _together(self, support_x: Tensor) -> bool:
        """Whether the tasks are adapted and classified in one pass."""
        if self.engine != "auto" or len(support_x) == 1:
            return self.engine == "vectorized"
        # A convolution in T groups is slower than T convolutions on a CPU (benchmarks/adversarial_step.py).
        return support_x.device.type != "cpu" and self.network.backbone.takes_task_weights

    def _check_ways(self, labels: Tensor) -> None:
        ways = int(labels.max()) + 1
        if ways != self.network.linear.out_features:
            raise RobustMetaError(
                f"a support of {ways} ways was given to a MAML whose head has {self.network.linear.out_features}; "
                "make the learner with the ways of its tasks"
            )

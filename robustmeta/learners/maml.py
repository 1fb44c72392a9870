"""MAML: a few gradient steps on the support, from an initialisation learned through them."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from robustmeta.backbones import Backbone, Statistics
from robustmeta.batch import check_support
from robustmeta.errors import RobustMetaError, unknown
from robustmeta.learners.base import LEARNERS, Learner, freeze
from robustmeta.learners.fast_weights import FastWeightsClassifier, LinearHead, check_inner_loop, check_ways, joined

ENGINES = ("auto", "loop", "vectorized")
Weights = dict[str, Tensor]
Point = tuple[Weights, Statistics | None]
"""Where an inner step led: the weights, and the statistics to normalise queries with."""


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

    order = "second"

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
        check_inner_loop(self.steps, self.test_steps, self.inner_lr, self.test_inner_lr)

    def adapt(self, support_x: Tensor, support_y: Tensor) -> FastWeightsClassifier:
        """The networks fine-tuned on supports `[T, N, C, H, W]` with labels `[T, N]`.

        Raises `RobustMetaError` for a support that `check_support` refuses, or of other ways than the head.
        """
        check_support(support_x, support_y)
        together = self._together(support_x)
        start = self.start_for(support_y)
        if not self.training:
            start = freeze(start)
        if together:
            spread = {name: weight.expand(len(support_x), *weight.shape) for name, weight in start.items()}
            path = self._path(spread, support_x, support_y)
        else:
            pairs = zip(support_x[:, None], support_y[:, None], strict=True)
            tasks = [self._path(start, x, y) for x, y in pairs]
            path = [joined(points) for points in zip(*tasks, strict=True)]
        classifier = self.classifier(path, together, support_x)
        if self.training:
            self.network.backbone.track(classifier.statistics)
        return classifier

    @property
    def start(self) -> Weights:
        """theta_0, what the inner loop moves, by name."""
        return dict(self.network.named_parameters())

    def start_for(self, labels: Tensor) -> Weights:
        """theta_0 of tasks with labels `[T, N]`; raises `RobustMetaError` if they are of other ways than the head."""
        check_ways(self, labels, self.network.linear.out_features)
        return self.start

    @property
    def differentiates_twice(self) -> bool:
        """Whether the outer gradient in training runs through the inner ones."""
        return not self.first_order

    @property
    def landings(self) -> int:
        """How many of the last points of the inner loop are to classify."""
        return 1

    def rates(self, step: int) -> dict[str, float | Tensor]:
        """How far each weight moves along its negative gradient at a step of the inner loop, by name."""
        return dict.fromkeys(self.start, self.inner_lr if self.training else self.test_inner_lr)

    def inner_loss(
        self, step: int, weights: Weights, images: Tensor, labels: Tensor
    ) -> tuple[Tensor, Statistics | None]:
        """The loss, summed over tasks, that a step descends, and the statistics if they were not the images' own."""
        logits, statistics = functional_call(self.network, weights, (images, None, False))
        return len(labels) * F.cross_entropy(logits.flatten(0, 1), labels.flatten()), statistics

    def classifier(self, path: list[Point], together: bool, support_x: Tensor) -> FastWeightsClassifier:
        """What the points where the inner loop landed on supports `[T, N, C, H, W]` make."""
        weights, statistics = path[-1]
        return FastWeightsClassifier(self.network, weights, statistics, together)

    def _path(self, weights: Weights, images: Tensor, labels: Tensor) -> list[Point]:
        """The landings of the inner loop on images `[T, N, C, H, W]`: of T networks `[T, ...]`, or of one."""
        keeps_graph = self.training or (images.requires_grad and torch.is_grad_enabled())
        second_order = self.differentiates_twice if self.training else keeps_graph
        if not self.training:
            weights = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
        path: list[Point] = [(weights, None)]
        for step in range(self.steps if self.training else self.test_steps):
            weights, statistics = self.moved(step, weights, images, labels, second_order)
            if not keeps_graph:
                weights = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
            path.append((weights, statistics))
        landed = path[-self.landings :]
        return [self.landed(weights if keeps_graph else freeze(weights), given, images) for weights, given in landed]

    @torch.enable_grad()
    def moved(self, step: int, weights: Weights, images: Tensor, labels: Tensor, second_order: bool) -> Point:
        """theta_step+1 from theta_step, by the gradient on images `[T, N, C, H, W]` with labels `[T, N]`."""
        loss, statistics = self.inner_loss(step, weights, images, labels)
        gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=second_order)
        rates = self.rates(step)
        moved = {
            name: weight - rates[name] * gradient
            for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
        }
        return moved, statistics

    def landed(self, weights: Weights, statistics: Statistics | None, images: Tensor) -> Point:
        """A point that is to classify: with the statistics of the images at its weights, where the policy has any."""
        if statistics is None and self.network.backbone.norm in ("running", "support"):
            statistics = functional_call(self.network, weights, (images,))[1]
        return weights, statistics

    def _together(self, support_x: Tensor) -> bool:
        """Whether the tasks are adapted and classified in one pass."""
        if self.engine != "auto" or len(support_x) == 1:
            return self.engine == "vectorized"
        # A convolution in T groups is slower than T convolutions on a CPU (benchmarks/adversarial_step.py).
        return support_x.device.type != "cpu" and self.network.backbone.takes_task_weights

"""MAML: a few gradient steps on the support, from an initialisation learned through them."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from robustmeta.backbones import Backbone, Statistics, detach
from robustmeta.episodes import check_support
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import LEARNERS, Classifier, Learner, freeze


class LinearHead(nn.Module):
    """A backbone with a linear layer on top: images `[T, N, C, H, W]` to logits `[T, N, ways]` and statistics."""

    def __init__(self, backbone: Backbone, ways: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.linear = nn.Linear(backbone.out_features, ways)

    def forward(self, images: Tensor, statistics: Statistics | None = None) -> tuple[Tensor, Statistics | None]:
        """Logits `[T, N, ways]` of images `[T, N, C, H, W]`, and the statistics for other images of the tasks."""
        features, statistics = self.backbone(images, statistics)
        return self.linear(features), statistics


class FastWeightsClassifier(Classifier):
    """One network with weights of its own for each task."""

    def __init__(
        self, network: LinearHead, weights: Sequence[dict[str, Tensor]], statistics: Sequence[Statistics | None]
    ) -> None:
        super().__init__()
        self._network = (network,)  # in a tuple, so that its parameters are not this module's
        self.weights, self.statistics = weights, statistics
        self.ways = network.linear.out_features
        self.inductive = network.backbone.norm != "transductive"

    def forward(self, query_x: Tensor) -> Tensor:
        """Logits `[T, Q, ways]` of queries `[T, Q, C, H, W]`."""
        logits = [
            functional_call(self._network[0], weights, (images[None], statistics))[0]
            for images, weights, statistics in zip(query_x, self.weights, self.statistics, strict=True)
        ]
        return torch.cat(logits)

    def detach(self) -> "FastWeightsClassifier":
        """The same classifiers, constants but for their input."""
        weights = [freeze(task) for task in self.weights]
        return FastWeightsClassifier(self._network[0], weights, [detach(task) for task in self.statistics])

    def select(self, tasks: Sequence[int]) -> "FastWeightsClassifier":
        """The classifiers of some of the tasks, in the order given."""
        weights, statistics = [self.weights[i] for i in tasks], [self.statistics[i] for i in tasks]
        return FastWeightsClassifier(self._network[0], weights, statistics)


@LEARNERS.register("maml")
class MAML(Learner):
    """Model-agnostic meta-learning (Finn, Abbeel & Levine, 2017).

    Adapted: theta_k+1 = theta_k - inner_lr * grad L_support(theta_k), k = 0 .. steps-1, for each task; the outer
    gradient runs through these steps (second order), or takes each inner gradient as a constant (`first_order`).

    backbone: images to features, as `Conv4`. ways: classes of a task, fixed by the linear head.
    steps, inner_lr: inner loop in training. test_steps, test_inner_lr: in evaluation; by default the same.

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
    ) -> None:
        super().__init__()
        self.network = LinearHead(backbone, ways)
        self.steps, self.inner_lr, self.first_order = steps, inner_lr, first_order
        self.test_steps = steps if test_steps is None else test_steps
        self.test_inner_lr = inner_lr if test_inner_lr is None else test_inner_lr
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
        weights, statistics = zip(
            *(self._adapt_task(x[None], y) for x, y in zip(support_x, support_y, strict=True)), strict=True
        )
        if self.training:
            for task in statistics:
                self.network.backbone.track(task)
        return FastWeightsClassifier(self.network, weights, statistics)

    def _adapt_task(self, images: Tensor, labels: Tensor) -> tuple[dict[str, Tensor], Statistics | None]:
        weights: dict[str, Tensor] = dict(self.network.named_parameters())
        statistics: Statistics | None = None
        steps, lr = (self.steps, self.inner_lr) if self.training else (self.test_steps, self.test_inner_lr)
        keeps_graph = self.training or (images.requires_grad and torch.is_grad_enabled())
        second_order = not self.first_order if self.training else keeps_graph
        if not self.training:
            weights = {name: weight.requires_grad_() for name, weight in freeze(weights).items()}
        with torch.enable_grad():
            for _ in range(steps):
                logits, statistics = functional_call(self.network, weights, (images,))
                loss = F.cross_entropy(logits[0], labels)
                gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=second_order)
                weights = {
                    name: weight - lr * gradient
                    for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
                }
                if not keeps_graph:
                    weights = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
        if not keeps_graph:
            weights = freeze(weights)
        if not steps or self._statistics_follow_weights:
            statistics = functional_call(self.network, weights, (images,))[1]
        return weights, statistics

    @property
    def _statistics_follow_weights(self) -> bool:
        """Whether the statistics passed on differ at the adapted weights from those of an earlier pass."""
        norm = self.network.backbone.norm
        return self.training if norm == "running" else norm not in ("group", "transductive")

    def _check_ways(self, labels: Tensor) -> None:
        ways = int(labels.max()) + 1
        if ways != self.network.linear.out_features:
            raise RobustMetaError(
                f"a support of {ways} ways was given to a MAML whose head has {self.network.linear.out_features}; "
                "make the learner with the ways of its tasks"
            )

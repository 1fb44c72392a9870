"""Networks with weights of their own for each task: what learners that take gradient steps make."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from robustmeta.backbones import Backbone, Statistics, detach, join_tasks, linear, select_tasks
from robustmeta.batch import ways_of
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import Classifier, Learner, freeze


class LinearHead(nn.Module):
    """A backbone with a linear layer on top: images `[T, N, C, H, W]` to logits `[T, N, ways]` and statistics."""

    def __init__(self, backbone: Backbone, ways: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.linear = nn.Linear(backbone.out_features, ways)

    def forward(
        self, images: Tensor, statistics: Statistics | None = None, passing: bool = True
    ) -> tuple[Tensor, Statistics | None]:
        """Logits `[T, N, ways]` of images `[T, N, C, H, W]`, and, if `passing`, the statistics for other images."""
        features, statistics = self.backbone(images, statistics, passing)
        return linear(features, self.linear.weight, self.linear.bias), statistics


class FastWeightsClassifier(Classifier):
    """One network with weights of its own for each task: `weights` are `[T, ...]`, `statistics` `[T, C]`.

    together: whether the tasks go through their networks in one pass, or one after another.
    """

    def __init__(
        self, network: LinearHead, weights: dict[str, Tensor], statistics: Statistics | None, together: bool
    ) -> None:
        super().__init__()
        self._network = (network,)  # in a tuple, so that its parameters are not this module's
        self.weights, self.statistics, self.together = weights, statistics, together
        self.ways = weights["linear.weight"].shape[1]
        self.inductive = network.backbone.norm != "transductive"

    def forward(self, query_x: Tensor) -> Tensor:
        """Logits `[T, Q, ways]` of queries `[T, Q, C, H, W]`."""
        network = self._network[0]
        if self.together:
            logits: Tensor = functional_call(network, self.weights, (query_x, self.statistics, False))[0]
            return logits
        tasks = zip(query_x, one_by_one(self.weights), _of_each(self.statistics, len(query_x)), strict=True)
        return torch.cat(
            [functional_call(network, own, (images[None], given, False))[0] for images, own, given in tasks]
        )

    def detach(self) -> "FastWeightsClassifier":
        """The same classifiers, constants but for their input."""
        return FastWeightsClassifier(self._network[0], freeze(self.weights), detach(self.statistics), self.together)

    def select(self, tasks: Sequence[int]) -> "FastWeightsClassifier":
        """The classifiers of some of the tasks, in the order given."""
        weights = {name: weight[list(tasks)] for name, weight in self.weights.items()}
        statistics = self.statistics and tuple(
            moments.each(lambda part: part[list(tasks)]) for moments in self.statistics
        )
        return FastWeightsClassifier(self._network[0], weights, statistics, self.together)


def one_by_one(weights: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """The weights of each network, of those of T networks `[T, ...]`."""
    networks = zip(*(weight.unbind() for weight in weights.values()), strict=True)
    return [dict(zip(weights, own, strict=True)) for own in networks]


def _of_each(statistics: Statistics | None, tasks: int) -> list[Statistics | None]:
    return [select_tasks(statistics, [task]) for task in range(tasks)]


def joined(
    adapted: Sequence[tuple[dict[str, Tensor], Statistics | None]],
) -> tuple[dict[str, Tensor], Statistics | None]:
    """The weights `[T, ...]` and statistics `[T, C]` of T tasks, from those of each."""
    weights = {name: torch.stack([own[name] for own, _ in adapted]) for name in adapted[0][0]}
    joined = join_tasks([statistics for _, statistics in adapted if statistics])
    return weights, joined or None


def check_ways(learner: Learner, labels: Tensor, made_for: int) -> None:
    """Raise `RobustMetaError` unless labels `[T, N]` are of as many ways as the learner's head was `made_for`."""
    ways = ways_of(labels)
    if ways != made_for:
        raise RobustMetaError(
            f"a support of {ways} ways was given to a {type(learner).__name__} whose head has {made_for}; "
            "make the learner with the ways of its tasks"
        )


def check_inner_loop(steps: int, test_steps: int, inner_lr: float, test_inner_lr: float) -> None:
    """Raise `RobustMetaError` for steps below 0 or learning rates not above 0."""
    if min(steps, test_steps) < 0 or not min(inner_lr, test_inner_lr) > 0:
        raise RobustMetaError(
            f"steps is {steps}, test_steps {test_steps}, inner_lr {inner_lr:g}, test_inner_lr {test_inner_lr:g}; "
            "steps must be at least 0, learning rates above 0"
        )

"""Linear classifiers, whose smallest perturbation is known in closed form, and small real learners."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from robustmeta.backbones import Conv4
from robustmeta.learners.base import Classifier, Learner
from robustmeta.learners.maml import MAML
from robustmeta.learners.protonet import ProtoNet


class LinearClassifier(Classifier):
    """logits = W x + b, with W `[T, ways, D]` and b `[T, ways]` of each task's own."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias, self.ways = weight, bias, weight.shape[1]

    def forward(self, query_x: Tensor) -> Tensor:
        return query_x.flatten(2) @ self.weight.mT + self.bias[:, None]

    def detach(self) -> "LinearClassifier":
        return LinearClassifier(self.weight.detach(), self.bias.detach())

    def select(self, tasks: Sequence[int]) -> "LinearClassifier":
        return LinearClassifier(self.weight[list(tasks)], self.bias[list(tasks)])


@dataclass
class Problem:
    """Images that all lie exactly `distance` from the decision boundary, in the middle of the pixel range."""

    classifier: LinearClassifier
    images: Tensor
    labels: Tensor
    distance: float

    def fooled(self, images: Tensor) -> Tensor:
        return self.classifier(images).argmax(-1) != self.labels

    def scaled(self, factor: float, shift: float = 0.0) -> LinearClassifier:
        return LinearClassifier(factor * self.classifier.weight, factor * self.classifier.bias + shift)


def make_problem(
    norm: str,
    tasks: int = 2,
    queries: int = 3,
    ways: int = 3,
    size: int = 6,
    seed: int = 0,
    channels: int = 1,
    flat: bool = False,
) -> Problem:
    """Two classes of each task compete; the others lie 30 logits below, so every loss has the same direction.

    flat: a class weighs all pixels of a channel the same, and the others lie 100 below, so that the gradients at
    resized and smoothed images have that direction, too.

    The distance from x to the boundary between y and o is ((w_y - w_o) x + b_y - b_o) / ||w_y - w_o||_q, with
    q = 1 for Linf and 2 for L2; x is moved along w_y - w_o until it is `distance`.
    """
    g = torch.Generator().manual_seed(seed)
    pair = torch.stack([torch.randperm(ways, generator=g)[:2] for _ in range(tasks)])
    pixels = channels * size * size
    weight = torch.randn(tasks, ways, pixels, generator=g)
    if flat:
        weight = weight.view(tasks, ways, channels, -1)[..., :1].expand(-1, -1, -1, size * size).flatten(2)
    bias = torch.full((tasks, ways), -100.0 if flat else -30.0).scatter(1, pair, 0.0) - weight.sum(-1) / 2
    side = torch.randint(2, (tasks, queries), generator=g)
    labels, others = pair.gather(1, side), pair.gather(1, 1 - side)
    task = torch.arange(tasks)[:, None]
    difference = weight[task, labels] - weight[task, others]
    images = 0.45 + 0.1 * torch.rand(tasks, queries, pixels, generator=g)
    distance = 0.05 if norm == "Linf" else 0.3
    wanted = distance * difference.norm(p=1 if norm == "Linf" else 2, dim=-1)
    now = (difference * images).sum(-1) + bias[task, labels] - bias[task, others]
    images = images + difference * ((wanted - now) / difference.square().sum(-1))[..., None]
    assert images.min() > 0.05
    assert images.max() < 0.95
    return Problem(LinearClassifier(weight, bias), images.view(tasks, queries, channels, size, size), labels, distance)


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def problem() -> Callable[..., Problem]:
    return make_problem


@pytest.fixture
def linear() -> type[LinearClassifier]:
    return LinearClassifier


def make_learner(name: str, norm: str = "support", channels: int = 1) -> Learner:
    torch.manual_seed(0)
    backbone = Conv4(channels=channels, size=16, width=4, norm=norm)
    return ProtoNet(backbone) if name == "protonet" else MAML(backbone, ways=3, steps=2)


@pytest.fixture
def learner() -> Callable[..., Learner]:
    return make_learner


@pytest.fixture
def tasks() -> Callable[..., tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Two 3-way tasks of binary 16x16 images: support, its labels, queries, their labels."""

    def draw(channels: int = 1, queries: int = 4) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        g = torch.Generator().manual_seed(1)
        support = (torch.rand(2, 6, channels, 16, 16, generator=g) > 0.5).float()
        query = (torch.rand(2, queries, channels, 16, 16, generator=g) > 0.5).float()
        support_y = torch.arange(3).repeat_interleave(2).expand(2, -1)
        return support, support_y, query, torch.randint(3, (2, queries), generator=g)

    return draw

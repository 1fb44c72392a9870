"""Classifiers and embeddings of two pixels, whose smoothed answer is known in closed form."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from robustmeta.backbones import Backbone
from robustmeta.backbones.base import Embedding, Statistics
from robustmeta.learners.base import Classifier
from robustmeta.learners.embedding import EmbeddingClassifier
from robustmeta.learners.protonet import ProtoNet, Prototypes


class Known(Classifier):
    """Logits by a function of images `[T, Q, C, H, W]`."""

    def __init__(self, logits: Callable[[Tensor], Tensor], ways: int = 2) -> None:
        super().__init__()
        self.logits, self.ways = logits, ways

    def forward(self, query_x: Tensor) -> Tensor:
        return self.logits(query_x)

    def detach(self) -> "Known":
        return self

    def select(self, tasks: Sequence[int]) -> "Known":
        return self


class KnownFeatures(Backbone):
    """Features by a function of images `[T, Q, C, H, W]`."""

    norm = "group"

    def __init__(self, features: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.features = features

    def forward(self, images: Tensor, statistics: Statistics | None = None, passing: bool = True) -> Embedding:
        return Embedding(self.features(images), None)


@pytest.fixture
def known() -> type[Known]:
    return Known


@pytest.fixture
def linear() -> Callable[..., Known]:
    """The binary classifier of class 0 where first pixel * a + second * b > 0."""

    def make(a: float = 3.0, b: float = -4.0) -> Known:
        def logits(images: Tensor) -> Tensor:
            score = images.flatten(2) @ torch.tensor([a, b], dtype=images.dtype)
            return torch.stack([score, -score], -1)

        return Known(logits)

    return make


@pytest.fixture
def embedded() -> Callable[..., EmbeddingClassifier]:
    """The classifier of an embedding, with prototypes `[ways, D]` of one task."""

    def make(features: Callable[[Tensor], Tensor], prototypes: Tensor) -> EmbeddingClassifier:
        learner = ProtoNet(KnownFeatures(features))
        return EmbeddingClassifier(learner, {}, None, Prototypes(prototypes[None]), len(prototypes))

    return make


@pytest.fixture
def points() -> Callable[[Tensor], Tensor]:
    """Images `[1, Q, 1, 1, 2]` of two pixels whose distance to the border of `linear()` is as given, `[Q]`."""

    def make(distances: Tensor) -> Tensor:
        along, across = torch.tensor([0.6, -0.8]), torch.tensor([0.8, 0.6])
        return (distances[:, None] * along + 0.5 * across)[None, :, None, None].double()

    return make

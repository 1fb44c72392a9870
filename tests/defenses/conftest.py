"""Every defense around a learner, and an attack whose result is known without running it."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from robustmeta.attacks.base import Threat
from robustmeta.defenses import DEFENSES, Defense
from robustmeta.learners import Learner

WITHOUT_ATTACK = {
    "its": {"shots": 3}, "noise": {"sigma": 0.1}, "label-smoothing": {}, "free-aq": {"threat": Threat("Linf", 0.1)},
}  # fmt: skip


@dataclass
class Shift:
    """Adds the same pattern to every image; notes what it was given."""

    by: float = 0.05
    threat: Threat = field(default_factory=lambda: Threat("Linf", 0.2))
    seen: list[Tensor] = field(default_factory=list)
    logits: list[Tensor] = field(default_factory=list)

    def scaled(self, factor: float) -> "Shift":
        return self

    def __call__(self, classifier, images, labels, seeds=None) -> Tensor:
        self.seen.append(images)
        self.logits.append(classifier(images))
        return self.moved(images)

    def moved(self, images: Tensor) -> Tensor:
        return images + self.by * (-1.0) ** torch.arange(images.shape[-1]).to(images)

    def held(self, images: Tensor) -> Tensor:
        """What it makes of images, in [0, 1]."""
        return self.moved(images).clamp(0, 1)


@pytest.fixture
def shift() -> Shift:
    return Shift()


@pytest.fixture
def defended() -> Callable[..., Defense]:
    """Makes the defense of a name around a learner, with the attack given where it takes one."""

    def make(name: str, learner: Learner, attack: object, **settings: object) -> Defense:
        if name in WITHOUT_ATTACK:
            return DEFENSES[name](learner, **{**WITHOUT_ATTACK[name], **settings})
        return DEFENSES[name](learner, attack, **settings)

    return make

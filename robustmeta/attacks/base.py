"""What every attack is: a callable inside a threat model, whose caller clips, measures and scores."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from robustmeta.attacks.meter import Meter
from robustmeta.batch import EpisodeBatch
from robustmeta.errors import RobustMetaError, unknown
from robustmeta.learners.base import Classifier

NORMS = ("Linf", "L2")
ENDING = (RobustMetaError, MemoryError, torch.OutOfMemoryError)
"""What ends an evaluation; any other exception says something of the attack, or the classifier, that raised it."""


@dataclass(frozen=True)
class Threat:
    """The set an attack may move an image in: ||x_adv - x|| <= eps under `norm`, and x_adv in [0, 1].

    norm: `Linf` or `L2`. eps: in [0, 1] pixel units (8/255, not 8); for L2 the length of the whole image's
    difference, which may exceed 1. Raises `RobustMetaError` for an unknown norm or an eps out of range.
    """

    norm: str = "Linf"
    eps: float = 0.1

    def __post_init__(self) -> None:
        if self.norm not in NORMS:
            raise unknown("norm", self.norm, NORMS)
        if not self.eps >= 0 or (self.norm == "Linf" and self.eps > 1):
            raise RobustMetaError(
                f"eps is {self.eps:g}; it must lie in [0, 1] pixel units, as 8/255 = {8 / 255:.4f} for images in [0, 1]"
            )

    def size(self, delta: Tensor) -> Tensor:
        """The norm of each difference: `[..., C, H, W]` to `[...]`."""
        flat = delta.flatten(-3)
        return flat.abs().amax(-1) if self.norm == "Linf" else flat.norm(dim=-1)

    def project(self, moved: Tensor, images: Tensor) -> Tensor:
        """The nearest point to `moved` in the ball round `images` (both `[..., C, H, W]`), clipped to [0, 1]."""
        if self.norm == "Linf":
            moved = torch.maximum(torch.minimum(moved, images + self.eps), images - self.eps)
        else:
            delta = moved - images
            moved = images + delta * _per_image(self.eps / self.size(delta).clamp_min(1e-12)).clamp_max(1)
        return moved.clamp(0, 1)

    def check(self, image_shape: tuple[int, int, int]) -> None:
        """Raise `RobustMetaError` if no two images of `(C, H, W)` in [0, 1] are as far apart as eps."""
        farthest = math.sqrt(math.prod(image_shape)) if self.norm == "L2" else 1.0
        if self.eps > farthest:
            raise RobustMetaError(
                f"eps is {self.eps:g} in {self.norm}, in pixel units from 0 to 1; images of "
                f"{'x'.join(map(str, image_shape))} are at most {farthest:g} apart"
            )

    def scaled(self, factor: float) -> "Threat":
        """The same norm with eps times `factor`."""
        return replace(self, eps=self.eps * factor)


@dataclass(frozen=True)
class Traits:
    """What the audit needs to know of an attack.

    target: `query`, `support` or `joint` (both). knowledge: `white-box`, by gradients, `black-box`, by logits alone, or
    `transfer`, by another classifier. loss: `ce`, `margin` (of any kind, as DLR), or `other`. steps: of one restart.
    """

    target: str = "query"
    knowledge: str = "white-box"
    loss: str = "other"
    steps: int = 1


class EpisodeAttack(ABC):
    """An attack that needs more of its tasks than their queries, and is bound to them before it is called."""

    @abstractmethod
    def bound(self, batch: EpisodeBatch, meter: Meter) -> "Attack":
        """The attack on the tasks of `batch`; what it classifies elsewhere is counted by `meter`."""


class Attack(Protocol):
    """A callable that moves images so that a classifier errs.

    An attack may say what it is by an attribute `traits` (see `Traits`), and how it looks at another budget by a
    method `scaled(factor)`; both are the audit's.

    It returns images `[T, Q, C, H, W]`; whatever it returns is projected into the threat by its caller, so no
    attack can overstate itself. `seeds` gives each task its own random stream, so that the outcome of a task does
    not depend on the tasks beside it; without it the global generator is used.
    """

    @property
    def threat(self) -> Threat:
        """The budget the attack stays inside."""
        ...

    def __call__(
        self, classifier: Classifier, images: Tensor, labels: Tensor, seeds: Sequence[int] | None = None
    ) -> Tensor:
        """Images `[T, Q, C, H, W]` moved against `classifier`, for labels `[T, Q]`."""
        ...


def bound_to(attack: Attack, batch: EpisodeBatch, meter: Meter | None = None) -> Attack:
    """The attack, bound to the tasks of `batch` where it needs more of them than their queries; meter: what counts."""
    return attack.bound(batch, Meter() if meter is None else meter) if isinstance(attack, EpisodeAttack) else attack


def is_attack(thing: object) -> bool:
    """Whether it can be called and has a threat that it is held to."""
    return callable(thing) and isinstance(getattr(thing, "threat", None), Threat)


def traits_of(attack: object) -> Traits:
    """What an attack says of itself; a white-box attack on queries unless it says other."""
    traits: Traits = getattr(attack, "traits", Traits())
    return traits


@dataclass(frozen=True)
class Crafted:
    """What an attack made, held to its threat, and how far from it the attack's own result was.

    images: `[T, N, C, H, W]`, detached, finite, inside the threat. overshoot: `[T]`, the most by which a finite image
    the attack returned left the ball, in the threat's norm; 0 where none did. outside: `[T]`, how many images it
    returned outside [0, 1], NaN or infinite.
    """

    images: Tensor
    overshoot: Tensor
    outside: Tensor


def held(threat: Threat, moved: Tensor, images: Tensor) -> Crafted:
    """Hold `moved` to the threat round `images` (both `[T, N, C, H, W]`).

    Images that are NaN or infinite are put back: a failed attack, never a success.
    Raises `RobustMetaError` if the shapes differ.
    """
    moved, images = moved.detach(), images.detach()
    if moved.shape != images.shape:
        raise RobustMetaError(f"an attack on images of shape {list(images.shape)} returned {list(moved.shape)}")
    finite = moved.isfinite().flatten(-3).all(-1)
    moved = torch.where(_per_image(finite), moved, images)
    beyond = (threat.size(moved - images) - threat.eps).clamp_min(0)
    inside = finite & (moved >= 0).flatten(-3).all(-1) & (moved <= 1).flatten(-3).all(-1)
    return Crafted(threat.project(moved, images), beyond.amax(1), (~inside).sum(1))


def craft(
    attack: Attack, classifier: Classifier, images: Tensor, labels: Tensor, seeds: Sequence[int] | None = None
) -> Tensor:
    """Run an attack on images `[T, Q, C, H, W]` with labels `[T, Q]`; its result, held to its threat."""
    images = images.detach()
    with torch.enable_grad():
        moved = attack(classifier, images, labels, seeds)
    return held(attack.threat, moved, images).images


def uniform(like: Tensor, seeds: Sequence[int] | None) -> Tensor:
    """Numbers from [0, 1) in the shape `[T, ...]` of `like`; task i draws from its own stream, seeded `seeds[i]`."""
    if seeds is None:
        return torch.rand_like(like)
    draws = [torch.rand(like.shape[1:], generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.stack(draws).to(like)


def _per_image(values: Tensor) -> Tensor:
    return values[..., None, None, None]

"""What the support attacks share: a fraction of the support, drawn by seed, and the settings of an ascent."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from robustmeta.attacks.base import Attack, Threat, Traits, uniform
from robustmeta.attacks.engine import ENGINES
from robustmeta.attacks.projected_gradient import LOSSES
from robustmeta.attacks.support.base import Placed
from robustmeta.batch import EpisodeBatch
from robustmeta.errors import RobustMetaError, unknown
from robustmeta.learners.base import Learner

Made = TypeVar("Made", bound="FractionAttack")


@dataclass(frozen=True)
class FractionAttack:
    """An attack by gradient ascent on a fraction of each task's support; a subclass defines `__call__`.

    threat: the budget of each image moved. fraction: of the support's N images, max(1, round(fraction * N)) are moved;
    which, is drawn from the task's seed, whatever their class. steps: gradient steps. step_size: in pixel units; by
    default 2.5 eps / steps. loss: `ce` or `margin`. random_start: begin at a random point of the ball.

    Raises `RobustMetaError` for a fraction outside (0, 1], an unknown loss, no steps, or a step size below 0.
    """

    threat: Threat = field(default_factory=Threat)
    fraction: float = 0.2
    steps: int = 20
    step_size: float | None = None
    loss: str = "ce"
    random_start: bool = True

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise unknown("attack loss", self.loss, LOSSES)
        if not 0 < self.fraction <= 1:
            raise RobustMetaError(f"fraction is {self.fraction:g}; it must be a share of the support, in (0, 1]")
        if self.steps < 1:
            raise RobustMetaError(f"steps is {self.steps}; it must be at least 1")
        if self.step_size is not None and not self.step_size >= 0:
            raise RobustMetaError(f"step_size is {self.step_size:g}; it must be at least 0, in pixel units")

    @classmethod
    def of_card(
        cls: type[Made],
        threat: Threat,
        *,
        fraction: float,
        steps: int = 20,
        step_size_over_eps: float | None = None,
        loss: str = "ce",
        random_start: bool = True,
    ) -> Made:
        """The attack of a card, whose step is a share of eps; raises `RobustMetaError` as the attack does."""
        if step_size_over_eps is not None and not step_size_over_eps > 0:
            raise RobustMetaError(f"step_size_over_eps is {step_size_over_eps:g}; it must be a number above 0")
        step_size = None if step_size_over_eps is None else step_size_over_eps * threat.eps
        return cls(threat, fraction, steps, step_size, loss, random_start)

    @property
    def step(self) -> float:
        """The length of a step in pixel units."""
        return 2.5 * self.threat.eps / self.steps if self.step_size is None else self.step_size

    @property
    def traits(self) -> Traits:
        """A white-box attack on the support."""
        return Traits(target="support", loss=self.loss, steps=self.steps)

    @property
    def then(self) -> Attack | None:
        """None: the judged queries stay clean."""
        return None

    def scaled(self: Made, factor: float) -> Made:
        """The same attack with eps and step size times `factor`."""
        step_size = None if self.step_size is None else self.step_size * factor
        return replace(self, threat=self.threat.scaled(factor), step_size=step_size)

    def place(self, known: EpisodeBatch, seeds: Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
        """The support as it is, and the mask `[T, N]` of the images drawn."""
        return known.support_x, drawn(known.support_y, self.fraction, seeds)

    def __call__(self, learner: Learner, placed: Placed, mask: Tensor, seeds: Sequence[int] | None = None) -> Tensor:
        """The moved support `[T, N, C, H, W]`."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(learner, placed, mask, seeds)")


def register(engine: str, kind: type[FractionAttack]) -> None:
    """File the builder of a support attack under the name that cards give as `engine`."""
    build: Callable[..., Any] = kind.of_card  # the registry's other engines build attacks on queries
    ENGINES.register(engine)(build)


def drawn(labels: Tensor, fraction: float, seeds: Sequence[int] | None) -> Tensor:
    """A mask `[T, N]` of max(1, round(fraction * N)) images of each task."""
    number = max(1, round(fraction * labels.shape[1]))
    order = uniform(torch.zeros(labels.shape, device=labels.device), seeds).argsort(dim=1)
    return torch.zeros_like(labels, dtype=torch.bool).scatter(1, order[:, :number], True)

"""The Square attack for batches of tasks: random search with squares that shrink, from logits alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Tensor

from robustmeta.attacks.base import Threat, Traits
from robustmeta.attacks.engine import ENGINES
from robustmeta.attacks.in_play import InPlay
from robustmeta.attacks.projected_gradient import LOSSES
from robustmeta.attacks.windows import bump, norm, placed, start_of_bumps, window
from robustmeta.draws import Draws
from robustmeta.errors import RobustMetaError, unknown
from robustmeta.learners.base import Classifier

HALVED_AFTER = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""The proposals, of 10000, after which the share of an image that a square covers is halved."""


@dataclass(frozen=True)
class Square:
    """Square (Andriushchenko, Croce, Flammarion & Hein, 2020), of all tasks at once.

    x_new = clip(x + delta in a square window), kept if its loss is higher. Linf: the window moves by 2 eps
    up or down, a channel at a time, from stripes of +-eps. L2: the window takes a bump, and the budget of another one.

    threat: norm and eps. n_queries: proposals for each image. p_init: the share of an image that the first windows
    cover; it is halved nine times. rescale_schedule: at `n_queries` / 10000 of the paper's proposals, not at them.
    loss: `margin` or `ce`. restarts: whole repetitions. A query leaves once it is fooled, also before the first
    proposal, where queries do not depend on each other. until_fooled: says so.

    As in torchattacks 3.5.1 and the authors' AutoAttack, all queries of a task are offered the same window at a step,
    which never touches the last row and column unless it spans them; each task has its own. All numbers are drawn for
    all queries of a task, so none depends on which others stand. They are those of torchattacks after the same seed,
    under Linf for a first run on images that are classified rightly, under L2 until one is fooled. Deviates from it in
    returning the image of highest loss where none fooled, and in going on where right and wrong logits tie.

    Raises `RobustMetaError` for settings out of range.
    """

    threat: Threat = field(default_factory=Threat)
    n_queries: int = 5000
    p_init: float = 0.8
    loss: str = "margin"
    rescale_schedule: bool = True
    restarts: int = 1
    until_fooled: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise unknown("loss of Square", self.loss, LOSSES)
        if self.n_queries < 1 or self.restarts < 1:
            raise RobustMetaError(
                f"n_queries is {self.n_queries} and restarts {self.restarts}; both must be at least 1"
            )
        if not 0 < self.p_init <= 1:
            raise RobustMetaError(f"p_init is {self.p_init:g}; it must be above 0 and at most 1")

    @property
    def traits(self) -> Traits:
        """A black-box attack on the queries, by the loss it climbs."""
        return Traits(knowledge="black-box", loss=self.loss, steps=self.n_queries)

    def scaled(self, factor: float) -> "Square":
        """The same attack with eps times `factor`."""
        return replace(self, threat=self.threat.scaled(factor))

    @torch.no_grad()
    def __call__(
        self, classifier: Classifier, images: Tensor, labels: Tensor, seeds: Sequence[int] | None = None
    ) -> Tensor:
        """Images `[T, Q, C, H, W]` moved against `classifier`, for labels `[T, Q]`."""
        images = images.detach()
        if self.threat.eps == 0 or labels.numel() == 0:
            return images
        play, draws = InPlay(classifier, images, labels), Draws(images, seeds)
        logits = classifier(images)
        play.note(images, torch.full_like(logits[..., 0], -torch.inf), logits)
        for _ in range(self.restarts):
            play.leave()
            if play.over:
                break
            self._run(play, play.taken(self._start(images, draws)), draws, images.shape)
        return play.found

    def side(self, step: int, height: int, width: int) -> int:
        """The side of the window at a step, the first being 0: of p H W pixels, odd and at least 3 under L2."""
        if self.rescale_schedule:
            step = int(step / self.n_queries * 10000)
        share = self.p_init / 2 ** sum(step > after for after in HALVED_AFTER)
        side = round(math.sqrt(share * height * width))
        if self.threat.norm == "L2":
            side = max(side, 3) + (max(side, 3) % 2 == 0)
        return min(max(side, 1), height, width)

    def _start(self, images: Tensor, draws: Draws) -> Tensor:
        queries, channels, _, width = images.shape[1:]
        if self.threat.norm == "Linf":
            return (images + self.threat.eps * draws.signs(queries, channels, 1, width)).clamp(0, 1)
        delta = start_of_bumps(images, draws)
        return (images + delta / (norm(delta) + 1e-12) * self.threat.eps).clamp(0, 1)

    def _run(self, play: InPlay, start: Tensor, draws: Draws, shape: torch.Size) -> None:
        propose = self._square if self.threat.norm == "Linf" else self._bump
        best, loss = start, self._asked(play, start)
        for step in range(self.n_queries):
            best, loss = play.leave(best, loss)
            if play.over:
                return
            x = propose(play, best, draws, self.side(step, *shape[-2:]), shape)
            new = self._asked(play, x)
            better = new > loss
            best = torch.where(better[..., None, None, None], x, best)
            loss = torch.where(better, new, loss)

    def _asked(self, play: InPlay, x: Tensor) -> Tensor:
        """The loss at `x`, noted, `[T', Q']`."""
        logits = play.classifier(x)
        loss = LOSSES[self.loss](logits, play.labels)
        play.note(x, loss, logits)
        return loss

    def _square(self, play: InPlay, best: Tensor, draws: Draws, side: int, shape: torch.Size) -> Tensor:
        _, _, channels, height, width = shape
        drawn = draws.uniform(2 + channels)[play.tasks]
        signs = (2 * drawn[:, 2:] - 1).sign()[:, None, :, None, None]
        inside = window(placed(drawn[:, :2], side, height, width), side, height, width).to(best)
        return self.threat.project(best + 2 * self.threat.eps * signs * inside, play.images)

    def _bump(self, play: InPlay, best: Tensor, draws: Draws, side: int, shape: torch.Size) -> Tensor:
        _, queries, channels, height, width = shape
        drawn = draws.uniform(5 + queries * channels)
        signs = play.taken((2 * drawn[:, 5:] - 1).sign().view(-1, queries, channels))
        drawn = drawn[play.tasks]
        delta = best - play.images
        first, second = (placed(drawn[:, at : at + 2], side, height, width) for at in (0, 2))
        either = window(first, side, height, width) | window(second, side, height, width)
        left = (self.threat.eps**2 - norm(delta).square()).clamp_min(0) / channels
        budget = (left + norm(delta * either).square()).sqrt()[..., 0, 0, 0]
        task = torch.arange(len(delta), device=delta.device)[:, None, None]
        grid = delta.permute(0, 3, 4, 1, 2)  # [T', H, W, Q', C], a view: what is written there, delta has
        down, right = (first[:, axis, None] + torch.arange(side, device=delta.device) for axis in (0, 1))
        old = grid[task, down[:, :, None], right[:, None, :]]
        shape_of = bump(side, drawn[:, 4] > 0.5).to(delta)[..., None, None]
        new = shape_of * signs[:, None, None] + old / (1e-12 + old.square().sum((1, 2), keepdim=True).sqrt())
        new = new / (1e-12 + new.square().sum((1, 2), keepdim=True).sqrt()) * budget[:, None, None, :, None]
        delta.masked_fill_(window(second, side, height, width), 0)
        grid[task, down[:, :, None], right[:, None, :]] = new
        return (play.images + delta / (norm(delta) + 1e-12) * self.threat.eps).clamp(0, 1)


@ENGINES.register("square")
def square(
    threat: Threat,
    *,
    n_queries: int,
    p_init: float = 0.8,
    loss: str = "margin",
    rescale_schedule: bool = True,
    restarts: int = 1,
) -> Square:
    """The attack of a card; raises `RobustMetaError` for a value out of range."""
    return Square(threat, n_queries, p_init, loss, rescale_schedule, restarts)

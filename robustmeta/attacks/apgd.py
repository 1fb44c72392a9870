"""Auto-PGD for batches of tasks: a gradient ascent that sets its own step size, query by query."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import torch
from torch import Tensor

from robustmeta.attacks.ascent import direction
from robustmeta.attacks.base import Threat, Traits
from robustmeta.attacks.engine import ENGINES
from robustmeta.attacks.in_play import InPlay
from robustmeta.attacks.projected_gradient import cross_entropy
from robustmeta.draws import Draws
from robustmeta.errors import RobustMetaError, unknown
from robustmeta.learners.base import Classifier

Objective = Callable[[Tensor, InPlay], Tensor]

LOSSES = ("ce", "dlr")
MOMENTUM = 0.75
"""The share of the new step in the movement; the rest is that of the last movement."""


def dlr(logits: Tensor, labels: Tensor) -> Tensor:
    """Difference of logits ratio `[T, Q]`: (best wrong - right) / (largest - third largest); 3 ways or more.

    Above 0 where the classifier errs, and blind to a shift and a scale of the logits (Croce & Hein, 2020).
    """
    largest = logits.topk(3, -1).values
    right = logits.gather(-1, labels[..., None])[..., 0]
    wrong = torch.where(logits.argmax(-1) == labels, largest[..., 1], largest[..., 0])
    return (wrong - right) / (largest[..., 0] - largest[..., 2] + 1e-12)


def targeted_dlr(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """(target - right) / (largest - (third largest + fourth largest) / 2), `[T, Q]`; 4 ways or more."""
    largest = logits.topk(4, -1).values
    right, target = (logits.gather(-1, which[..., None])[..., 0] for which in (labels, targets))
    return (target - right) / (largest[..., 0] - 0.5 * largest[..., 2] - 0.5 * largest[..., 3] + 1e-12)


@dataclass(frozen=True)
class AutoPGD:
    """Auto-PGD (Croce & Hein, 2020), of all tasks at once.

    z = project(x + s direction(g)); x <- project(x + 0.75 (z - x) + 0.25 (x - x_old)). The step size s of each query
    starts at 2 eps and is halved, going back to the best point, at checkpoints before which its loss rose in at most
    `rho` of the steps, or at which neither loss nor step size changed since the last.

    threat: norm and eps. steps: gradient steps of one run. loss: `ce` or `dlr`. targets: with `dlr`, 0 or how many of
    the likeliest wrong classes to aim at one after another, all if there are fewer. restarts: runs, each for every
    target. until_fooled: a query leaves once it is fooled, also before the first step, where queries do not depend on
    each other; without it every query is taken to the highest loss, which transfers better.

    The random starts are those of torchattacks 3.5.1 after the same seed, and so is the whole path, but for rounding.
    Deviates from it in returning the image of highest loss where none fooled, in drawing starts for all queries, so
    that none depends on which others stand, in each query's own step size under L2 with targets, too, where theirs is
    that of the first, and in gradients too small to be squared, which have a direction still. As in the authors' code
    and unlike the paper, the loss after the first step counts as a rise if it is above 0.

    Raises `RobustMetaError` for settings out of range and, when called, for fewer ways than the loss compares.
    """

    threat: Threat = field(default_factory=Threat)
    steps: int = 100
    loss: str = "ce"
    targets: int = 0
    restarts: int = 1
    rho: float = 0.75
    until_fooled: bool = True

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise unknown("loss of APGD", self.loss, LOSSES)
        if self.steps < 1 or self.restarts < 1:
            raise RobustMetaError(f"steps is {self.steps} and restarts {self.restarts}; both must be at least 1")
        if self.targets < 0 or (self.targets and self.loss != "dlr"):
            raise RobustMetaError(f"targets is {self.targets} with loss {self.loss}; it must be 0, or more with dlr")
        if not 0 <= self.rho <= 1:
            raise RobustMetaError(f"rho is {self.rho:g}; it must lie in [0, 1]")

    @property
    def fewest_ways(self) -> int:
        """The fewest classes a task may have: DLR compares three logits, its targeted form four."""
        return 4 if self.targets else 3 if self.loss == "dlr" else 2

    @property
    def traits(self) -> Traits:
        """A white-box attack on the queries; DLR is a margin."""
        return Traits(loss="margin" if self.loss == "dlr" else self.loss, steps=self.steps)

    def scaled(self, factor: float) -> "AutoPGD":
        """The same attack with eps times `factor`."""
        return replace(self, threat=self.threat.scaled(factor))

    def __call__(
        self, classifier: Classifier, images: Tensor, labels: Tensor, seeds: Sequence[int] | None = None
    ) -> Tensor:
        """Images `[T, Q, C, H, W]` moved against `classifier`, for labels `[T, Q]`."""
        if classifier.ways < self.fewest_ways:
            raise RobustMetaError(
                f"APGD with loss {self.loss}{' and targets' if self.targets else ''} needs tasks of {self.fewest_ways} "
                f"ways or more, these have {classifier.ways}; use a margin attack"
            )
        images = images.detach()
        if self.threat.eps == 0 or labels.numel() == 0:
            return images
        play, draws = InPlay(classifier, images, labels, self.until_fooled), Draws(images, seeds)
        with torch.no_grad():
            logits = classifier(images)
            play.note(images, torch.full_like(logits[..., 0], -torch.inf), logits)
        play.leave()
        for objective, _ in product(self._objectives(logits, labels), range(self.restarts)):
            if play.over:
                break
            self._run(play, play.taken(self._start(images, draws)), objective)
        return play.found

    def _objectives(self, logits: Tensor, labels: Tensor) -> list[Objective]:
        """The losses to climb, one after another, from the clean queries' logits `[T, Q, ways]`."""
        if not self.targets:
            loss = dlr if self.loss == "dlr" else cross_entropy
            return [lambda asked, play: loss(asked, play.labels)]
        wrong = logits.scatter(-1, labels[..., None], -torch.inf)
        likeliest = wrong.topk(min(self.targets, logits.shape[-1] - 1), -1).indices
        return [_towards(target) for target in likeliest.unbind(-1)]

    def _start(self, images: Tensor, draws: Draws) -> Tensor:
        if self.threat.norm == "Linf":
            drawn = 2 * draws.uniform(*images.shape[1:]) - 1
        else:
            drawn = draws.normal(*images.shape[1:])
        size = self.threat.size(drawn).clamp_min(1e-12)[..., None, None, None]
        return (images + self.threat.eps * drawn / size).clamp(0, 1)

    def _run(self, play: InPlay, start: Tensor, objective: Objective) -> None:
        now = self._beginning(start, *_asked(play, start, objective))
        windows = _windows(self.steps)
        for step in range(1, self.steps + 1):
            now = _Climb(*play.leave(*vars(now).values()))
            if play.over:
                return
            self._move(now, play, 1.0 if step == 1 else MOMENTUM)
            loss, gradient = _asked(play, now.x, objective, last=step == self.steps)
            now.saw(loss, gradient)
            if step in windows:
                now.check(self.rho * windows[step])
        play.leave()

    def _beginning(self, start: Tensor, loss: Tensor, gradient: Tensor) -> "_Climb":
        return _Climb(
            x=start, old=start, gradient=gradient, best=start, best_gradient=gradient, loss=torch.zeros_like(loss),
            best_loss=loss, checked=loss, size=torch.full_like(loss, 2 * self.threat.eps),
            rises=torch.zeros_like(loss), reduced=torch.ones_like(loss, dtype=torch.bool),
        )  # fmt: skip

    def _move(self, now: "_Climb", play: InPlay, share: float) -> None:
        moved = now.x + now.size[..., None, None, None] * direction(self.threat, now.gradient)
        moved = self.threat.project(moved, play.images)
        moved = now.x + (moved - now.x) * share + (now.x - now.old) * (1 - share)
        now.x, now.old = self.threat.project(moved, play.images), now.x


@dataclass
class _Climb:
    """Where every query in play stands, of images `[T', Q', C, H, W]` and numbers `[T', Q']`.

    loss: at `x`; 0 before the first step. checked: the best loss at the last checkpoint. size: of the next step. rises:
    how often the loss rose since. reduced: whether the last checkpoint halved the step size; at first, it counts as so.
    """

    x: Tensor
    old: Tensor
    gradient: Tensor
    best: Tensor
    best_gradient: Tensor
    loss: Tensor
    best_loss: Tensor
    checked: Tensor
    size: Tensor
    rises: Tensor
    reduced: Tensor

    def saw(self, loss: Tensor, gradient: Tensor) -> None:
        self.rises = self.rises + (loss > self.loss)
        better = loss > self.best_loss
        self.loss, self.gradient = loss, gradient
        self.best_loss = torch.where(better, loss, self.best_loss)
        self.best = torch.where(better[..., None, None, None], self.x, self.best)
        self.best_gradient = torch.where(better[..., None, None, None], gradient, self.best_gradient)

    def check(self, enough: float) -> None:
        stuck = ~self.reduced & (self.checked >= self.best_loss)
        self.reduced = (self.rises <= enough) | stuck
        self.checked, self.rises = self.best_loss, torch.zeros_like(self.rises)
        self.size = torch.where(self.reduced, self.size / 2, self.size)
        self.x = torch.where(self.reduced[..., None, None, None], self.best, self.x)
        self.gradient = torch.where(self.reduced[..., None, None, None], self.best_gradient, self.gradient)


def _asked(play: InPlay, x: Tensor, objective: Objective, last: bool = False) -> tuple[Tensor, Tensor]:
    """The loss at `x`, noted, and its gradient; zeros in its place for the last."""
    asked = x.detach().requires_grad_(not last)
    with torch.set_grad_enabled(not last):
        logits = play.classifier(asked)
        loss = objective(logits, play)
    gradient = torch.zeros_like(x) if last else torch.autograd.grad(loss.sum(), asked)[0]
    play.note(x, loss.detach(), logits.detach())
    return loss.detach(), gradient


def _towards(target: Tensor) -> Objective:
    return lambda logits, play: targeted_dlr(logits, play.labels, play.taken(target))


def _windows(steps: int) -> dict[int, int]:
    """The steps after which step sizes are checked, and how many each looks back on: 22% of all, then 3% fewer each."""
    window, shorter, fewest = (max(int(share * steps), 1) for share in (0.22, 0.03, 0.06))
    found, step = {}, window
    while step <= steps:
        found[step] = window
        window = max(window - shorter, fewest)
        step += window
    return found


@ENGINES.register("apgd")
def apgd(threat: Threat, *, steps: int, loss: str = "ce", targets: int = 0, restarts: int = 1) -> AutoPGD:
    """The attack of a card; raises `RobustMetaError` for a value out of range."""
    return AutoPGD(threat, steps, loss, targets, restarts)

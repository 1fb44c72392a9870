"""One projected-gradient engine; FGSM and PGD are settings of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from robustmeta.attacks.ascent import direction, random_start
from robustmeta.attacks.base import Threat, Traits
from robustmeta.attacks.engine import ENGINES
from robustmeta.attacks.in_play import InPlay
from robustmeta.draws import redrawn
from robustmeta.errors import RobustMetaError, unknown
from robustmeta.learners.base import Classifier


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy `[T, Q]` of logits `[T, Q, ways]`."""
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(labels)


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """The best wrong logit minus the right one, `[T, Q]`; above 0 where the classifier errs (Carlini & Wagner, 2017).

    Unlike cross-entropy it has a gradient however large the logits are, as they are for squared distances.
    """
    right = logits.gather(-1, labels[..., None])[..., 0]
    wrong = logits.scatter(-1, labels[..., None], -torch.inf).amax(-1)
    return wrong - right


def divergence(logits: Tensor, reference: Tensor) -> Tensor:
    """KL(softmax(reference) || softmax(logits)) of logits `[T, Q, ways]` each: `[T, Q]`, with a gradient to both."""
    return F.kl_div(logits.log_softmax(-1), reference.log_softmax(-1), reduction="none", log_target=True).sum(-1)


KEEPS = ("best", "last")
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"ce": cross_entropy, "margin": margin}
"""What an attack climbs, from logits and labels."""
AWAY = "kl"
"""What it climbs instead of these: the divergence from the logits of the images as they were."""


@dataclass(frozen=True)
class ProjectedGradient:
    """Projected gradient ascent on the loss of each query (Madry et al., 2018; FGSM: Goodfellow et al., 2015).

    x <- project(x + step_size * direction(grad loss)), direction being the sign for Linf and g/||g|| for L2.

    threat: norm and eps. steps: gradient steps. step_size: in pixel units; by default 2.5 eps / steps.
    loss: `ce`, `margin`, or `kl`, the divergence KL(p(x) || p(x_adv)) from the clean prediction (Zhang et al., 2019),
    which sees no labels. random_start: begin at a random point of the ball. restarts: whole repetitions.
    until_fooled: leave a query alone once it fools the classifier, which tells the same accuracy in less time (in
    training this is friendly adversarial training, Zhang et al., 2020, which does not seek the highest loss); without
    effect on transductive classifiers, whose queries depend on each other. keep: `best`, for each query the best
    iterate met, or `last`, the last one, which saves the pass that judges it: for training.

    Deviates from the papers in returning, for each query, the best iterate met rather than the last: one that
    fools the classifier before one that does not, then the one of highest loss. Under a transductive classifier
    these come from different steps and are scored together only by the caller.
    """

    threat: Threat = field(default_factory=Threat)
    steps: int = 20
    step_size: float | None = None
    loss: str = "ce"
    random_start: bool = True
    restarts: int = 1
    until_fooled: bool = False
    keep: str = "best"

    def __post_init__(self) -> None:
        if self.keep not in KEEPS:
            raise unknown("iterate to keep", self.keep, KEEPS)
        if self.loss not in (*LOSSES, AWAY):
            raise unknown("attack loss", self.loss, (*LOSSES, AWAY))
        if self.keep == "last" and self.restarts > 1:
            raise RobustMetaError(f"restarts is {self.restarts}; where the last iterate is kept, only one can count")
        if self.steps < 1 or self.restarts < 1:
            raise RobustMetaError(f"steps is {self.steps} and restarts {self.restarts}; both must be at least 1")

    @property
    def traits(self) -> Traits:
        """A white-box attack on the queries, by the loss it climbs."""
        return Traits(loss=self.loss if self.loss in LOSSES else "other", steps=self.steps)

    def scaled(self, factor: float) -> "ProjectedGradient":
        """The same attack with eps and step size times `factor`: a point on an eps schedule or curve."""
        step_size = None if self.step_size is None else self.step_size * factor
        return replace(self, threat=self.threat.scaled(factor), step_size=step_size)

    def __call__(
        self, classifier: Classifier, images: Tensor, labels: Tensor, seeds: Sequence[int] | None = None
    ) -> Tensor:
        """Images `[T, Q, C, H, W]` moved against `classifier`, for labels `[T, Q]`."""
        play = InPlay(classifier, images, labels, self.until_fooled)
        climbed, target = LOSSES.get(self.loss, divergence), labels
        if self.loss == AWAY:
            target = classifier(images).detach().to(images.dtype)
        for restart in range(self.restarts):
            drawn = redrawn(seeds, restart)
            start = random_start(self.threat, images, drawn) if self.random_start else images.clone()
            x = play.taken(start)
            for step in range(self.steps + (self.keep == "best")):
                x.requires_grad_(step < self.steps)
                logits = play.classifier(x).to(x.dtype)  # which under autocast they are not
                losses = climbed(logits, play.taken(target))
                if self.keep == "best" or self.until_fooled:
                    play.note(x.detach(), losses.detach(), logits.detach())
                if step < self.steps:
                    (gradient,) = torch.autograd.grad(losses.sum(), x)
                    x = x.detach() + self._step_size * direction(self.threat, gradient)
                    x = self.threat.project(x, play.images)
                (x,) = play.leave(x.detach())
                if play.over:
                    return play.found
            if self.keep == "last":
                play.put(x)
        return play.found

    @property
    def _step_size(self) -> float:
        return 2.5 * self.threat.eps / self.steps if self.step_size is None else self.step_size


@ENGINES.register("projected_gradient")
def projected_gradient(
    threat: Threat,
    *,
    steps: int,
    step_size_over_eps: float | None = None,
    loss: str = "ce",
    random_start: bool = True,
    restarts: int = 1,
    until_fooled: bool = False,
    keep: str = "best",
) -> ProjectedGradient:
    """The attack of a card, its step size in units of eps; raises `RobustMetaError` for a value out of range."""
    if step_size_over_eps is not None and not step_size_over_eps > 0:
        raise RobustMetaError(f"step_size_over_eps is {step_size_over_eps:g}; it must be a number above 0")
    step_size = None if step_size_over_eps is None else step_size_over_eps * threat.eps
    return ProjectedGradient(threat, steps, step_size, loss, random_start, restarts, until_fooled, keep)


def PGD(eps: float = 0.1, steps: int = 20, norm: str = "Linf", **settings: Any) -> ProjectedGradient:  # noqa: N802
    """Projected gradient descent (Madry et al., 2018) within `eps`, in [0, 1] pixel units.

    settings: those of `ProjectedGradient`, as `loss="margin"`, `step_size` or `restarts`.
    """
    return ProjectedGradient(Threat(norm, eps), steps, **settings)


def FGSM(eps: float = 0.1, norm: str = "Linf") -> ProjectedGradient:  # noqa: N802
    """The fast gradient sign method (Goodfellow, Shlens & Szegedy, 2015): one step of `eps`, no random start."""
    return ProjectedGradient(Threat(norm, eps), steps=1, step_size=eps, random_start=False)

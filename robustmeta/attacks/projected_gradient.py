"""One projected-gradient engine; FGSM and PGD are settings of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from robustmeta.attacks.base import Threat, uniform
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


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"ce": cross_entropy, "margin": margin}


class _Search:
    """The best iterates so far of the queries that are still in play, and the final ones of those that are not."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        tasks, queries = labels.shape
        self.images, self.labels, self.best = images, labels, images
        self.loss = torch.full_like(labels, -torch.inf, dtype=images.dtype)
        self.fooled = torch.zeros_like(labels, dtype=torch.bool)
        self._final = images.clone()
        self._task = torch.arange(tasks, device=labels.device)[:, None]
        self._query = torch.arange(queries, device=labels.device).expand(tasks, -1)  # of each column in play

    def taken(self, images: Tensor) -> Tensor:
        """Of images `[T, Q, C, H, W]`, those of the queries in play."""
        return images[self._task, self._query]

    def note(self, x: Tensor, loss: Tensor, logits: Tensor) -> None:
        """Keep the iterates that beat the best: fooling before not, then the higher loss."""
        fooled = logits.argmax(-1) != self.labels
        better = (fooled & ~self.fooled) | ((fooled == self.fooled) & (loss > self.loss))
        self.best = torch.where(better[..., None, None, None], x, self.best)
        self.loss = torch.where(better, loss, self.loss)
        self.fooled = self.fooled | fooled

    def drop_fooled(self, x: Tensor) -> Tensor:
        """Take fooled queries out of play and return the iterates of the rest.

        Tasks stay of one size: where one has more fooled queries than another, some of them remain.
        """
        standing = int((~self.fooled).sum(1).max())
        if standing == x.shape[1]:
            return x
        self.result()
        column = self.fooled.int().argsort(dim=1, stable=True)[:, :standing]
        names = ("images", "labels", "best", "loss", "fooled", "_query")
        for name in names:
            setattr(self, name, getattr(self, name)[self._task, column])
        return x[self._task, column]

    def result(self) -> Tensor:
        """The best iterate of every query, `[T, Q, C, H, W]`."""
        self._final[self._task, self._query] = self.best
        return self._final


@dataclass(frozen=True)
class ProjectedGradient:
    """Projected gradient ascent on the loss of each query (Madry et al., 2018; FGSM: Goodfellow et al., 2015).

    x <- project(x + step_size * direction(grad loss)), direction being the sign for Linf and g/||g|| for L2.

    threat: norm and eps. steps: gradient steps. step_size: in pixel units; by default 2.5 eps / steps.
    loss: `ce` or `margin`. random_start: begin at a random point of the ball. restarts: whole repetitions.
    until_fooled: leave a query alone once it fools the classifier, which tells the same accuracy in less time;
    not for training, which wants the highest loss, and without effect on transductive classifiers, whose queries
    depend on each other.

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

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise unknown("attack loss", self.loss, LOSSES)
        if self.steps < 1 or self.restarts < 1:
            raise RobustMetaError(f"steps is {self.steps} and restarts {self.restarts}; both must be at least 1")

    def scaled(self, factor: float) -> "ProjectedGradient":
        """The same attack with eps and step size times `factor`: a point on an eps schedule or curve."""
        step_size = None if self.step_size is None else self.step_size * factor
        return replace(self, threat=self.threat.scaled(factor), step_size=step_size)

    def __call__(
        self, classifier: Classifier, images: Tensor, labels: Tensor, seeds: Sequence[int] | None = None
    ) -> Tensor:
        """Images `[T, Q, C, H, W]` moved against `classifier`, for labels `[T, Q]`."""
        found = _Search(images, labels)
        for restart in range(self.restarts):
            start = self._start(images, seeds and [seed + (restart << 32) for seed in seeds])
            x = found.taken(start)
            for step in range(self.steps + 1):
                x.requires_grad_(step < self.steps)
                logits = classifier(x)
                losses = LOSSES[self.loss](logits, found.labels)
                found.note(x.detach(), losses.detach(), logits.detach())
                if step < self.steps:
                    (gradient,) = torch.autograd.grad(losses.sum(), x)
                    x = x.detach() + self._step_size * self._direction(gradient)
                    x = self.threat.project(x, found.images)
                if self.until_fooled and classifier.inductive:
                    x = found.drop_fooled(x.detach())
                    if x.shape[1] == 0:
                        return found.result()
        return found.result()

    @property
    def _step_size(self) -> float:
        return 2.5 * self.threat.eps / self.steps if self.step_size is None else self.step_size

    def _direction(self, gradient: Tensor) -> Tensor:
        if self.threat.norm == "Linf":
            return gradient.sign()
        # Scaled to 1 first: the squares of a small gradient are 0 in float32, and its direction would be lost.
        largest = gradient.abs().amax((-3, -2, -1), keepdim=True).clamp_min(torch.finfo(gradient.dtype).tiny)
        direction = gradient / largest
        length = direction.square().sum((-3, -2, -1), keepdim=True).sqrt().clamp_min(1e-12)
        return (direction / length).nan_to_num(0.0)

    def _start(self, images: Tensor, seeds: Sequence[int] | None) -> Tensor:
        if not self.random_start:
            return images.clone()
        noise = 2 * uniform(images, seeds) - 1
        if self.threat.norm == "L2":
            noise = noise / noise.flatten(-3).norm(dim=-1)[..., None, None, None]
        return self.threat.project(images + self.threat.eps * noise, images)


def PGD(eps: float = 0.1, steps: int = 20, norm: str = "Linf", **settings: Any) -> ProjectedGradient:  # noqa: N802
    """Projected gradient descent (Madry et al., 2018) within `eps`, in [0, 1] pixel units.

    settings: those of `ProjectedGradient`, as `loss="margin"`, `step_size` or `restarts`.
    """
    return ProjectedGradient(Threat(norm, eps), steps, **settings)


def FGSM(eps: float = 0.1, norm: str = "Linf") -> ProjectedGradient:  # noqa: N802
    """The fast gradient sign method (Goodfellow, Shlens & Szegedy, 2015): one step of `eps`, no random start."""
    return ProjectedGradient(Threat(norm, eps), steps=1, step_size=eps, random_start=False)

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


@dataclass(frozen=True)
class ProjectedGradient:
    """Projected gradient ascent on the loss of each query (Madry et al., 2018; FGSM: Goodfellow et al., 2015).

    x <- project(x + step_size * direction(grad loss)), direction being the sign for Linf and g/||g|| for L2.

    threat: norm and eps. steps: gradient steps. step_size: in pixel units; by default 2.5 eps / steps.
    loss: `ce` or `margin`. random_start: begin at a random point of the ball. restarts: whole repetitions.

    Deviates from the papers in returning, for each query, the best iterate met rather than the last: one that
    fools the classifier before one that does not, then the one of highest loss.
    """

    threat: Threat = field(default_factory=Threat)
    steps: int = 20
    step_size: float | None = None
    loss: str = "ce"
    random_start: bool = True
    restarts: int = 1

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
        best = images
        best_loss = torch.full_like(labels, -torch.inf, dtype=images.dtype)
        best_fooled = torch.zeros_like(labels, dtype=torch.bool)
        for restart in range(self.restarts):
            x = self._start(images, seeds and [seed + restart for seed in seeds])
            for step in range(self.steps + 1):
                x.requires_grad_(step < self.steps)
                logits = classifier(x)
                losses = LOSSES[self.loss](logits, labels)
                loss, fooled = losses.detach(), logits.detach().argmax(-1) != labels
                better = (fooled & ~best_fooled) | ((fooled == best_fooled) & (loss > best_loss))
                best = torch.where(better[..., None, None, None], x.detach(), best)
                best_loss = torch.where(better, loss, best_loss)
                best_fooled = best_fooled | fooled
                if step < self.steps:
                    (gradient,) = torch.autograd.grad(losses.sum(), x)
                    x = self.threat.project(x.detach() + self._step_size * self._direction(gradient), images)
        return best

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

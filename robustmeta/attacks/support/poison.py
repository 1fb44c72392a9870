"""Poisoning: gradient ascent on the loss of the attacker's queries, through the adaptation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from robustmeta.attacks.ascent import direction, random_start
from robustmeta.attacks.projected_gradient import LOSSES
from robustmeta.attacks.support.base import Placed
from robustmeta.attacks.support.fraction import FractionAttack, register
from robustmeta.draws import redrawn
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import Learner


@dataclass(frozen=True)
class Poison(FractionAttack):
    """Adversarial support poisoning (Oldewage, Bronskill & Turner, 2020 and 2022).

    s <- project(s + step_size * direction(grad_s mean_q loss(A(s)(x_q), y_q))), over the attacker's own queries x_q and
    through the adaptation A: in closed form for prototypes, of second order for learners that take gradient steps.

    Settings: see `FractionAttack`.

    Deviates from the authors' code, which took the first images of the first classes and climbed from the labels that
    the clean classifier predicts, in drawing the images by the task's seed, in climbing from the true labels, and in
    returning the support of highest loss met on the way rather than the last.
    """

    moves_queries: ClassVar[bool] = False

    def __call__(self, learner: Learner, placed: Placed, mask: Tensor, seeds: Sequence[int] | None = None) -> Tensor:
        """The poisoned support `[T, N, C, H, W]`.

        Raises `RobustMetaError` for a learner whose `adapt` cuts the graph of the support.
        """
        free = mask[..., None, None, None]
        support = torch.where(free, self._start(placed.support_x, redrawn(seeds, 1)), placed.support_x)
        queries = self._start(placed.query_x, redrawn(seeds, 2)) if self.moves_queries else placed.query_x
        best, highest = support, support.new_full((placed.tasks,), -torch.inf)
        for step in range(self.steps + 1):
            climbs = step < self.steps
            support = support.detach().requires_grad_(climbs)
            queries = queries.detach().requires_grad_(climbs and self.moves_queries)
            logits = learner.adapt(support, placed.support_y)(queries)
            losses = LOSSES[self.loss](logits, placed.query_y).mean(1)
            better = losses.detach() > highest
            best = torch.where(better[:, None, None, None, None], support.detach(), best)
            highest = torch.where(better, losses.detach(), highest)
            if climbs:
                slopes = _slopes(learner, losses, [support, queries] if self.moves_queries else [support])
                support = torch.where(free, self._climbed(support, slopes[0], placed.support_x), placed.support_x)
                if self.moves_queries:
                    queries = self._climbed(queries, slopes[1], placed.query_x)
        return best

    def _start(self, images: Tensor, seeds: Sequence[int] | None) -> Tensor:
        return random_start(self.threat, images, seeds) if self.random_start else images

    def _climbed(self, images: Tensor, slope: Tensor, around: Tensor) -> Tensor:
        return self.threat.project(images.detach() + self.step * direction(self.threat, slope), around)


def _slopes(learner: Learner, losses: Tensor, images: list[Tensor]) -> tuple[Tensor, ...]:
    """The gradients of each task's loss to images of that task; the first of them are its support."""
    slopes = torch.autograd.grad(losses.sum(), images, allow_unused=True) if losses.requires_grad else (None,)
    if slopes[0] is None:
        raise RobustMetaError(
            f"the adapt of {type(learner.base).__name__} does not keep the graph of the support in evaluation mode, so "
            "no attack can go through it; let its classifier hang on support_x where that requires a gradient"
        )
    return slopes


register("poison", Poison)

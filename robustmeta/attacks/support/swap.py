"""The swap attack: adversarial queries of the attacker's, with their true labels, among the support."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from robustmeta.attacks.base import uniform
from robustmeta.attacks.projected_gradient import ProjectedGradient
from robustmeta.attacks.support.base import Placed
from robustmeta.attacks.support.fraction import FractionAttack, register
from robustmeta.batch import EpisodeBatch
from robustmeta.draws import redrawn
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import Learner


@dataclass(frozen=True)
class Swap(FractionAttack):
    """The swap attack (Oldewage, Bronskill & Turner, 2022): evasion examples reused as a poison.

    s_i = argmax over ||x - x_q|| <= eps of loss(A(S)(x), y_q) for each support image i that is drawn, with x_q one of
    the attacker's own queries of the same class and S the clean support; no gradient goes through the adaptation.

    Settings: see `FractionAttack`. A query of the attacker's takes one place, and a second one only where there are
    more places of its class than queries.

    Deviates from the authors, who swapped whole sets, in swapping a fraction.
    """

    def place(self, known: EpisodeBatch, seeds: Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
        """The support with clean queries of the attacker's in the places drawn, and the mask `[T, N]` of these.

        Raises `RobustMetaError` where the attacker has no query of a class drawn.
        """
        support, mask = super().place(known, seeds)
        support = support.clone()
        order = uniform(torch.zeros(known.query_y.shape, device=mask.device), redrawn(seeds, 2)).argsort(dim=1)
        for task in range(known.tasks):
            for label in sorted(set(known.support_y[task][mask[task]].tolist())):
                places = (mask[task] & (known.support_y[task] == label)).nonzero()[:, 0]
                own = order[task][known.query_y[task][order[task]] == label]
                if not len(own):
                    raise RobustMetaError(
                        f"the attacker has no query of class {label} in task {task} to swap into the support; "
                        "let it know one or more of each class"
                    )
                turn = torch.arange(len(places), device=own.device) % len(own)
                support[task, places] = known.query_x[task, own[turn]]
        return support, mask

    def __call__(self, learner: Learner, placed: Placed, mask: Tensor, seeds: Sequence[int] | None = None) -> Tensor:
        """The support `[T, N, C, H, W]` with the attacker's queries moved against the clean classifier."""
        classifier = learner.adapt(placed.original_x, placed.support_y).detach()
        evade = ProjectedGradient(self.threat, self.steps, self.step_size, self.loss, self.random_start)
        task = torch.arange(placed.tasks, device=mask.device)[:, None]
        drawn = mask.nonzero()[:, 1].view(placed.tasks, -1)  # as many in each task
        support = placed.support_x.clone()
        support[task, drawn] = evade(classifier, support[task, drawn], placed.support_y[task, drawn], redrawn(seeds, 1))
        return support


register("swap", Swap)

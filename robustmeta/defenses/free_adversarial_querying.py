"""Free adversarial querying: the backward pass that trains the learner also moves the queries."""

from typing import NamedTuple

import torch
from torch import Tensor

from robustmeta.attacks.ascent import direction, random_start
from robustmeta.attacks.base import Threat
from robustmeta.batch import EpisodeBatch
from robustmeta.defenses.base import DEFENSES, Defense
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import Learner


class _Replayed(NamedTuple):
    """Clean queries, where they were moved, and how often they were met."""

    clean: Tensor
    moved: Tensor
    met: int


@DEFENSES.register("free-aq")
class FreeAdversarialQuerying(Defense):
    """Adversarial querying with replayed batches (after Shafahi et al., 2019): a learner around a learner.

    Each batch is met `replays` times. At each, one backward pass gives both the outer gradient, at
    L(A(theta, support), query + delta), and delta <- project(delta + step_size * sign(grad_query L)).

    learner: any learner. threat: norm and eps. replays: updates of the learner a batch.
    step_size_over_eps: of a move of the queries. ramp: as in adversarial querying.

    Deviates from the paper in where delta begins: at a random point of the ball for each batch, as few-shot batches
    have other queries each time, where the paper goes on from the batch before.

    Raises `RobustMetaError` for replays below 2, a step size that is not above 0 or a ramp outside [0, 1].
    """

    def __init__(
        self, learner: Learner, threat: Threat, *, replays: int = 4, step_size_over_eps: float = 1.0, ramp: float = 0.0
    ) -> None:
        super().__init__(learner, ramp)
        if replays < 2:
            raise RobustMetaError(f"replays is {replays}; the queries move between replays, so there must be 2 or more")
        if not step_size_over_eps > 0:
            raise RobustMetaError(f"step_size_over_eps is {step_size_over_eps:g}; it must be above 0")
        self.threat, self.replays, self.step_size_over_eps = threat, replays, step_size_over_eps
        self._replayed: dict[tuple[int, ...], _Replayed] = {}

    def objective(self, batch: EpisodeBatch) -> Tensor:
        """The inner outer loss (a scalar) on the moved queries; its backward pass moves them for the next replay.

        A batch whose `index` and queries were met less than `replays` times goes on from where they were moved.
        """
        threat = self.threat.scaled(self.eps_share)
        classifier, posed = self.pose(batch)
        clean = posed.query_x
        replayed = self._replayed.pop(batch.index, None)
        if replayed is None or not torch.equal(replayed.clean, clean):
            replayed = _Replayed(clean, random_start(threat, clean, batch.index or None), met=0)
        queries, met = replayed.moved.detach().requires_grad_(), replayed.met + 1

        def move(gradient: Tensor) -> None:
            if met < self.replays:
                step = self.step_size_over_eps * threat.eps * direction(threat, gradient)
                moved = threat.project(queries.detach() + step, clean)
                self._replayed[batch.index] = _Replayed(clean, moved, met)

        queries.register_hook(move)  # type: ignore[no-untyped-call]
        return self.outer_loss(classifier, posed.with_queries(queries))

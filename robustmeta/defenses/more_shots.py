"""ITS-MAML: more shots in training than in testing."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from robustmeta.batch import EpisodeBatch, Queries
from robustmeta.defenses.base import DEFENSES, Defense
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import Classifier, Learner


@DEFENSES.register("its")
class MoreShots(Defense):
    """Increasing the number of training shots (ITS-MAML; Duan et al., 2022): a learner around a learner.

    L(A(theta, support and the first queries of each class), the other queries): a training support of `shots` a class,
    whatever the episodes' own.

    Inner loop: that larger support, clean. Outer loop: the learner's own loss on the queries that are left; put `aq` or
    `r-maml` around it, as the paper does, to have them attacked.

    learner: any learner. shots: support images a class in training.

    Deviates from the paper in taking the further shots from the batch's queries, so that a training step sees the same
    images as without it.

    Raises `RobustMetaError` as `Defense` does, for shots below 2, and for a batch whose classes differ in their shots
    or queries, have as many shots already, or too few queries to leave one.
    """

    adapts_in_training = True

    def __init__(self, learner: Learner, *, shots: int = 5) -> None:
        super().__init__(learner)
        if shots < 2:
            raise RobustMetaError(f"shots is {shots}; more shots in training are at least 2")
        self.shots = shots

    def pose(self, batch: EpisodeBatch) -> tuple[Classifier, Queries]:
        """What the inner learner poses of the batch with the larger support."""
        return super().pose(self.regrouped(batch))

    def regrouped(self, batch: EpisodeBatch) -> EpisodeBatch:
        """The same images, the first queries of each class in its support."""
        shots, queries = self._number(batch.support_y, "shots"), self._number(batch.query_y, "queries")
        if not shots < self.shots < shots + queries:
            raise RobustMetaError(
                f"its trains with {self.shots} shots, and the batch has {shots} and {queries} queries of each class; "
                f"give it fewer shots than {self.shots}, and {self.shots + 1} or more of both together"
            )
        members = F.one_hot(batch.query_y)  # [T, Q, ways]
        place = members.cumsum(1).gather(2, batch.query_y[..., None])[..., 0] - 1  # of a query in its class
        kept = place >= self.shots - shots
        order, moved = kept.int().argsort(dim=1, stable=True), int((~kept)[0].sum())
        task = torch.arange(batch.tasks, device=order.device)[:, None]
        images, labels = batch.query_x[task, order], batch.query_y[task, order]
        return replace(
            batch,
            support_x=torch.cat([batch.support_x, images[:, :moved]], dim=1),
            support_y=torch.cat([batch.support_y, labels[:, :moved]], dim=1),
            query_x=images[:, moved:],
            query_y=labels[:, moved:],
        )

    @staticmethod
    def _number(labels: Tensor, of: str) -> int:
        """How many images each class has, of labels `[T, N]`."""
        numbers = F.one_hot(labels).sum(1)
        if (numbers != numbers[0, 0]).any():
            raise RobustMetaError(
                f"its regroups batches whose classes have equal {of}; here they have {int(numbers.min())} to "
                f"{int(numbers.max())}"
            )
        return int(numbers[0, 0])

"""LCAT: long stretches of clean and of adversarial training in turn."""

import math

from torch import Tensor

from robustmeta.attacks.base import Attack
from robustmeta.batch import EpisodeBatch
from robustmeta.defenses.adversarial_querying import around_queries
from robustmeta.defenses.base import DEFENSES, Defense, has_objective
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import Learner


@DEFENSES.register("lcat")
class LongTermCross(Defense):
    """Long-term cross adversarial training (Liu et al., 2021), around a defense of the queries or any learner.

    Training is parted into `cycles` equal stretches; the first half of each minimises the learner's own loss on the
    clean queries, the second half the defense's: half the attacks of adversarial querying.

    learner: a defense with an objective, as `aq` or `awp`; or any learner, with an attack. attack: of adversarial
    querying around the learner, where that is no such defense. cycles: how often both come in turn. ramp: of that
    querying.

    Where nobody sets `progress`, as in a training loop of one's own that does not, all of it is adversarial.

    Deviates from the paper in parting training by its progress, not by epochs, of which episodic training has none.

    Raises `RobustMetaError` for fewer than 1 cycle, and where there is no attack, or two.
    """

    learner: Defense
    takes_objective = True

    def __init__(self, learner: Learner, attack: Attack | None = None, ramp: float = 0.0, *, cycles: int = 10) -> None:
        bare = attack is not None or not has_objective(learner)
        super().__init__(around_queries("lcat", learner, attack, ramp) if bare else learner)
        if cycles < 1:
            raise RobustMetaError(f"cycles is {cycles}; it must be at least 1")
        self.cycles = cycles

    @property
    def attacks(self) -> bool:
        """Whether training is in an adversarial stretch."""
        return max(1, math.ceil(self.progress * 2 * self.cycles)) % 2 == 0

    def objective(self, batch: EpisodeBatch) -> Tensor:
        """The inner defense's objective, or the plain outer loss: a scalar."""
        return self.learner.objective(batch) if self.attacks else super().objective(batch)

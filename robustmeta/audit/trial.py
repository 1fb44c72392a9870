"""A few episodes, adapted to once, on which the full audit tries attacks."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from robustmeta.attacks.base import ENDING, Attack, bound_to, held
from robustmeta.batch import EpisodeBatch
from robustmeta.episodes import Episodes
from robustmeta.learners.base import Classifier, Learner, right_of

SIDE_BY_SIDE = 160
"""Queries attacked together, in whole episodes, as in evaluation."""

Score = Callable[[Classifier, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Part:
    """Some episodes, the classifiers adapted to them, and the seed of each episode's random stream."""

    batch: EpisodeBatch
    classifier: Classifier
    seeds: list[int]


class Trial:
    """The first `number` episodes of a task distribution, and the learner's classifiers of them."""

    def __init__(self, learner: Learner, tasks: Episodes, number: int, seed: int) -> None:
        learner.eval()
        size = max(1, SIDE_BY_SIDE // (tasks.ways * tasks.queries))
        self.parts = []
        for first in range(0, number, size):
            batch = tasks.batch(range(first, min(first + size, number)))
            classifier = learner.adapt(batch.support_x, batch.support_y).detach()
            self.parts.append(Part(batch, classifier, [seed * number + index for index in batch.index]))
        self.clean = self.over(lambda part: right_of(part.classifier, part.batch.query_x, part.batch.query_y))
        self.fooled = torch.zeros_like(self.clean)
        """Which right queries `[E, Q]` an attack with gradients has fooled so far within the threat itself."""

    def over(self, ask: Callable[[Part], Tensor]) -> Tensor:
        """What `ask` gives for each part, `[E, Q]` in all."""
        return torch.cat([ask(part) for part in self.parts])

    def right(self, attack: Attack, *, on: "Trial | None" = None) -> Tensor | None:
        """Which queries `[E, Q]` stay right under an attack; None if it raised, which B04 tells of.

        on: the trial of another learner on the same episodes, against which the images are crafted.
        """
        against = (on or self).parts
        try:
            return self.clean & torch.cat(
                [
                    right_of(part.classifier, self.moved(attack, part, other.classifier), part.batch.query_y)
                    for part, other in zip(self.parts, against, strict=True)
                ]
            )
        except ENDING:
            raise
        except Exception:  # whatever a user's own attack raises
            return None

    def with_gradients(self, attack: Attack) -> Tensor | None:
        """As `right`, for an attack with gradients inside the threat: what it fools adds to `fooled`."""
        right = self.right(attack)
        if right is not None:
            self.fooled = self.fooled | (self.clean & ~right)
        return right

    def missed(self, right: Tensor) -> int:
        """How many queries are wrong in `right` `[E, Q]` that no attack with gradients has fooled."""
        return int((self.clean & ~right & ~self.fooled).sum())

    @staticmethod
    def moved(attack: Attack, part: Part, classifier: Classifier | None = None) -> Tensor:
        """The queries of a part `[T, Q, C, H, W]` under an attack, held to its threat."""
        batch = part.batch
        bound = bound_to(attack, batch)
        with torch.enable_grad():
            moved = bound(classifier or part.classifier, batch.query_x, batch.query_y, part.seeds)
        return held(attack.threat, moved, batch.query_x).images

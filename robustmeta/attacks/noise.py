"""The weakest attack there is: random points of the ball, the best of them kept."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Tensor

from robustmeta.attacks.ascent import unit
from robustmeta.attacks.base import Attack, Threat, Traits, uniform
from robustmeta.attacks.engine import ENGINES
from robustmeta.attacks.in_play import InPlay
from robustmeta.attacks.projected_gradient import margin
from robustmeta.draws import redrawn
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import Classifier


@dataclass(frozen=True)
class UniformNoise:
    """The best of `tries` random points of the ball round each query (the check of Carlini et al., 2019, section 4.1).

    x_adv = argmax over i of margin(clip(x + eps u_i), y), u_i uniform in the box [-1, 1]^D for Linf, and on the unit
    sphere for L2, near which almost all of a ball's volume lies when D counts the pixels of an image.

    tries: random points a query. It sees logits only, so what it fools and gradient attacks miss tells of gradients
    that mislead. Queries that are fooled are left alone where the classifier is inductive; until_fooled says so.

    Deviates from the paper in keeping the point of highest margin where none fools, not only those that do.
    Raises `RobustMetaError` unless `tries` is at least 1.
    """

    threat: Threat = field(default_factory=Threat)
    tries: int = 100
    until_fooled: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.tries < 1:
            raise RobustMetaError(f"tries is {self.tries}; it must be at least 1")

    @property
    def traits(self) -> Traits:
        """A black-box attack on the queries that ranks points by their margin."""
        return Traits(knowledge="black-box", loss="margin", steps=self.tries)

    def scaled(self, factor: float) -> "UniformNoise":
        """The same search with eps times `factor`."""
        return replace(self, threat=self.threat.scaled(factor))

    @torch.no_grad()
    def __call__(
        self, classifier: Classifier, images: Tensor, labels: Tensor, seeds: Sequence[int] | None = None
    ) -> Tensor:
        """Images `[T, Q, C, H, W]` moved against `classifier`, for labels `[T, Q]`."""
        play = InPlay(classifier, images, labels)
        for index in range(self.tries):
            x = play.taken(self._drawn(images, redrawn(seeds, index)))
            logits = play.classifier(x)
            play.note(x, margin(logits, play.labels), logits)
            play.leave()
            if play.over:
                break
        return play.found

    def _drawn(self, images: Tensor, seeds: Sequence[int] | None) -> Tensor:
        drawn = uniform(images, seeds)
        if self.threat.norm == "Linf":
            noise = 2 * drawn - 1
        else:  # normal numbers have no preferred direction
            noise = unit(torch.special.ndtri(drawn.clamp(1e-7, 1 - 1e-7)))
        return self.threat.project(images + self.threat.eps * noise, images)


@ENGINES.register("noise")
def noise(threat: Threat, *, tries: int) -> Attack:
    """The noise search of a card; raises `RobustMetaError` unless `tries` is at least 1."""
    return UniformNoise(threat, tries)

"""What smoothing is asked for: the noise, the draws, the confidence, the radii."""

import math
from dataclasses import dataclass

from robustmeta.certification.base import CERTIFICATES
from robustmeta.errors import RobustMetaError, unknown

SMOOTHED = "smoothed"
"""The row of the smoothed classifier without an attack: what is certified at radius 0."""


@dataclass(frozen=True)
class Smoothing:
    """The settings of a certified evaluation.

    sigma: standard deviation of the noise, in [0, 1] pixel units. samples: draws that the radius is estimated from.
    selection: draws before them that choose the class. alpha: the probability that a radius is too large, query by
    query. radii: L2 radii to report, of the whole image's difference. certificate: `majority`, for any classifier,
    or `embedding`, for learners with prototypes.

    Raises `RobustMetaError` for settings out of range.
    """

    sigma: float = 0.25
    samples: int = 1000
    selection: int = 100
    alpha: float = 0.001
    radii: tuple[float, ...] = (0.25, 0.5)
    certificate: str = "majority"

    def __post_init__(self) -> None:
        object.__setattr__(self, "radii", tuple(float(radius) for radius in self.radii))  # a recipe has a list
        if not 0 < self.sigma < math.inf:
            raise RobustMetaError(f"sigma is {self.sigma:g}; the noise of smoothing needs a finite one above 0")
        if self.samples < 2 or self.selection < 1:
            raise RobustMetaError(
                f"samples is {self.samples} and selection {self.selection}; they must be at least 2 and 1"
            )
        if not 0 < self.alpha < 1:
            raise RobustMetaError(f"alpha is {self.alpha:g}; it must lie between 0 and 1, as 0.001")
        if not all(0 < radius < math.inf for radius in self.radii) or len(set(self.radii)) < len(self.radii):
            raise RobustMetaError(
                f"radii are {', '.join(f'{radius:g}' for radius in self.radii)}; they must be finite, above 0 and "
                f"differ (radius 0 is the row '{SMOOTHED}')"
            )
        if self.certificate not in CERTIFICATES:
            raise unknown("certificate", self.certificate, CERTIFICATES)

    @property
    def radius_of(self) -> dict[str, float]:
        """The radius of each row, by its name: `smoothed`, 0, then `certified-L2-0.25` and so on."""
        return {SMOOTHED: 0.0, **{f"certified-L2-{radius:g}": radius for radius in self.radii}}

"""What every certificate is: a score of noisy images, and a radius from the scores of many."""

from abc import ABC, abstractmethod
from collections.abc import Iterable

from torch import Tensor

from robustmeta.learners.base import Classifier
from robustmeta.registry import Registry


class Certificate(ABC):
    """How the answers of T adapted classifiers to noisy images become a smoothed prediction and its radius.

    The smoothed classifier is g(x) = argmax_c E score_c(x + noise), noise ~ N(0, sigma^2 I). A subclass defines `score`
    and `radius`; it raises `RobustMetaError` for classifiers it cannot score.
    """

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier

    @abstractmethod
    def score(self, images: Tensor) -> Tensor:
        """Scores `[T, Q, ways]` in float64 of noisy images `[T, Q, C, H, W]`."""

    @abstractmethod
    def radius(self, scores: Iterable[Tensor], number: int, guess: Tensor, alpha: float) -> Tensor:
        """The certified L2 radius `[T, Q]`, in multiples of sigma, of the prediction `guess` `[T, Q]`; 0 to abstain.

        scores: those of a `number` of independent draws of the noise, on which `guess` does not depend. Where the
        radius is R > 0, g answers `guess` everywhere nearer than R, but for a probability of at most alpha over the
        draws, query by query.
        """


CERTIFICATES: Registry[type[Certificate]] = Registry("certificate")

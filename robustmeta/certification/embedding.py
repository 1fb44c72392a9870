"""The certificate of a smoothed embedding, for learners that compare a query with prototypes."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from robustmeta.certification.base import CERTIFICATES, Certificate
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import Classifier
from robustmeta.learners.embedding import EmbeddingClassifier
from robustmeta.learners.protonet import Prototypes
from robustmeta.learners.transfer import Centroids

PROTOTYPES: dict[type, Callable[[Any], tuple[Tensor, Tensor]]] = {
    Prototypes: lambda state: (state.means, state.means.mean(1, keepdim=True)),
    Centroids: lambda state: (state.centres, torch.zeros_like(state.centres[:, :1])),
}
"""Of each state of an `EmbeddingLearner` that has prototypes: where they are, `[T, ways, D]`, and the point from which
directions are taken, `[T, 1, D]`."""


@CERTIFICATES.register("embedding")
class EmbeddingCertificate(Certificate):
    """The prototype nearest to the mean embedding of noisy copies (Pautov et al., 2022).

    g(x) = E f(x + noise) for an embedding f with ||f|| <= 1 and prototypes p_c of unit length; the answer is the p_c
    nearest to g(x), which is the one of largest <g(x), p_c>. The support is clean and is not smoothed, as in the paper.

    Theorem: let w = (p_A - p_c) / ||p_A - p_c|| and m_c(x) = <g(x), w>, the signed distance of g(x) to the border
    between A and c. As |<f, w>| <= 1, the gradient of m_c along a unit vector u is
    E[<f(x + noise), w> <noise, u>] / sigma^2 <= E|N(0, sigma^2)| / sigma^2 = sqrt(2 / pi) / sigma. So g answers A at
    every x + d with ||d||_2 < R = sigma sqrt(pi / 2) min_c m_c(x), if that is above 0.

    m_c is replaced by its lower bound at confidence 1 - alpha / (ways - 1) (see `mean_bound`), so that all hold at
    once; where the smallest is 0 or less the answer is to abstain.

    For `ProtoNet` and `Transfer`. f is the direction of the learner's embedding, and p_c that of its prototype: of
    ProtoNet, whose answers hang on no origin, as seen from the middle of the prototypes, of Transfer, which classifies
    by cosines anyway, from 0. ProtoNet so becomes another classifier, whose accuracy is that of the row `smoothed`.

    Deviates from the paper in its embedding, which the paper trains at unit length, seen from 0, and in its statistics:
    the published procedure looks up to five times at growing samples without a correction, takes Hoeffding's bound for
    a range of 1/2 where its values have 4.5, asks for one class at a time, and takes the radius from a point estimate,
    where here the number of draws is fixed and the margins themselves are bounded, all classes at once; it also asks
    that the second nearest prototype be told from the third, which the theorem does not need.

    Raises `RobustMetaError` for a classifier that has no prototypes.
    """

    def __init__(self, classifier: Classifier) -> None:
        super().__init__(classifier)
        state = classifier.state if isinstance(classifier, EmbeddingClassifier) else None
        if type(state) not in PROTOTYPES:
            raise RobustMetaError(
                "the certificate 'embedding' needs a learner with prototypes, as protonet or transfer, and these "
                f"classifiers ({type(classifier).__name__}) have none; take 'majority', which is for any"
            )
        prototypes, self.origin = (part.double() for part in PROTOTYPES[type(state)](state))
        self.prototypes = F.normalize(prototypes - self.origin, dim=-1)

    def score(self, images: Tensor) -> Tensor:
        """Cosines `[T, Q, ways]` of images `[T, Q, C, H, W]` with the prototypes; 0 where f is not finite."""
        assert isinstance(self.classifier, EmbeddingClassifier)
        return self.classifier.asked(lambda _, features: self.cosines(features), images)

    def cosines(self, features: Tensor) -> Tensor:
        """<f, p> of the directions of features `[T, Q, D]`: `[T, Q, ways]`."""
        return F.normalize(features.double() - self.origin, dim=-1).nan_to_num(0, 0, 0) @ self.prototypes.mT

    def radius(self, scores: Iterable[Tensor], number: int, guess: Tensor, alpha: float) -> Tensor:
        """sqrt(pi / 2) times the lower bound of the smallest margin, in multiples of sigma `[T, Q]`."""
        own = self.prototypes.gather(1, guess[..., None].expand(-1, -1, self.prototypes.shape[-1]))
        apart = (own[:, :, None] - self.prototypes[:, None]).norm(dim=-1).clamp_min(1e-12)  # [T, Q, ways]
        margins = ((score.gather(-1, guess[..., None]) - score) / apart for score in scores)
        bound = mean_bound(margins, number, alpha / (self.classifier.ways - 1))
        others = bound.scatter(-1, guess[..., None], math.inf)
        return math.sqrt(math.pi / 2) * others.amin(-1).clamp_min(0)


def mean_bound(draws: Iterable[Tensor], number: int, alpha: float) -> Tensor:
    """The lower bound, at confidence 1 - alpha, of the expectation of draws in [-1, 1] (Waudby-Smith & Ramdas, 2024).

    With x_i the draws moved to [0, 1], m_i and s_i^2 the mean and variance of those before x_i (1/2 and 1/4 before any)
    and l_i = min(sqrt(2 log(1 / alpha) / (n s_i^2)), 3/4), the product of
    exp(l_i (x_i - E x) - (x_i - m_i)^2 (-log(1 - l_i) - l_i)) has an expectation of at most 1, so that Markov's
    inequality bounds E x. Far tighter than Hoeffding's bound where the draws differ little, as embeddings do.

    draws: a `number` n of tensors `[...]`, drawn independently.
    """
    needed = math.log(1 / alpha)
    mean, variance, nothing = (torch.tensor(value, dtype=torch.float64) for value in (1 / 2, 1 / 4, 0))
    total, squares, weights, gained = mean, variance, nothing, nothing
    for seen, draw in enumerate(draws, start=2):
        x, weight = (1 + draw) / 2, (2 * needed / (number * variance)).sqrt().clamp_max(3 / 4)
        gained = gained + weight * x - (x - mean).square() * (-(-weight).log1p() - weight)
        weights, total = weights + weight, total + x
        mean = total / seen
        squares = squares + (x - mean).square()
        variance = squares / seen
    return 2 * (gained - needed) / weights - 1

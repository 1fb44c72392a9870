"""The certificate of a majority vote, for any classifier."""

from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import betaincinv
from torch import Tensor

from robustmeta.certification.base import CERTIFICATES, Certificate


@CERTIFICATES.register("majority")
class MajorityVote(Certificate):
    """The class that most noisy copies of an image are given (Cohen, Rosenfeld & Kolter, 2019).

    Theorem: let p_A = P(f(x + noise) = A) > 1/2. Then A has the majority at every x + d with
    ||d||_2 < R = sigma Phi^-1(p_A), and no larger radius holds for all f of that p_A.

    p_A is replaced by its Clopper-Pearson lower bound at confidence 1 - alpha, B^-1(alpha; k, n - k + 1) for k votes of
    n; at 1/2 or below the answer is to abstain. With all votes for A the radius is sigma Phi^-1(alpha^(1/n)): the
    largest that n draws can certify.

    Deviates from the paper in nothing but the vote of logits that are not finite, which goes to no class.
    """

    def score(self, images: Tensor) -> Tensor:
        """Votes `[T, Q, ways]`, 1 for the class that an image of `[T, Q, C, H, W]` is given and 0 elsewhere."""
        logits = self.classifier(images)
        finite: Tensor = logits.isfinite().all(-1, keepdim=True)
        return F.one_hot(logits.argmax(-1), self.classifier.ways) * finite.double()

    def radius(self, scores: Iterable[Tensor], number: int, guess: Tensor, alpha: float) -> Tensor:
        """Phi^-1 of the lower bound of p_A, in multiples of sigma `[T, Q]`."""
        votes = torch.zeros(guess.shape, dtype=torch.float64, device=guess.device)
        for vote in scores:
            votes += vote.gather(-1, guess[..., None])[..., 0]
        bound = torch.from_numpy(vote_bound(votes.cpu().numpy(), number, alpha)).to(guess.device)
        radius: Tensor = torch.special.ndtri(bound).clamp_min(0)
        return radius


def vote_bound(votes: np.ndarray, number: int, alpha: float) -> np.ndarray:
    """The lower bound of a share of which `votes` `[...]` of `number` were seen (Clopper & Pearson, 1934).

    >>> vote_bound(np.array([0.0, 100.0]), 100, 0.001).round(4).tolist()  # 0.001^(1/100)
    [0.0, 0.9333]
    """
    return np.where(votes > 0, betaincinv(votes.clip(1), number - votes + 1, alpha), 0.0)

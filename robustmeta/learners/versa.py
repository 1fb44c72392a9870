"""VERSA: a network that infers the head's weights from the support, with their uncertainty."""

import math
from typing import NamedTuple

from torch import Tensor, nn

from robustmeta.backbones import Backbone
from robustmeta.draws import Draws
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import LEARNERS
from robustmeta.learners.embedding import EmbeddingLearner
from robustmeta.learners.protonet import class_means


class Posterior(NamedTuple):
    """Mean and log-variance `[T, ways, D+1]` of each class's weights and bias, and the draws `[T, S, ways, D+1]`."""

    mean: Tensor
    log_var: Tensor
    noise: Tensor


@LEARNERS.register("versa")
class Versa(EmbeddingLearner):
    """VERSA, amortised inference of the head (Gordon, Bronskill, Bauer, Nowozin & Turner, 2019).

    Adapted: from the mean m_c of f(x) over the support of class c, two networks tell mean mu(m_c) and log-variance
    v(m_c) of that class's weights and bias; logits(x) = log mean_s softmax_c (w_sc . f(x) + b_sc), with
    (w, b)_sc = mu(m_c) + exp(v(m_c) / 2) * noise_sc, s = 1 .. samples.

    The noise is drawn at adaptation, of a support always the same, and stays: an attack climbs the very mean over
    draws that it is scored on (expectation over the samples).

    backbone: images to features, as `Conv4`. samples: S. hidden: width of the two hidden layers of each network.
    log_variance: where the log-variances begin.

    Deviates from the paper in no more than one network for weights and bias together, where the authors' code has two.

    Raises `RobustMetaError` for fewer than one sample or hidden unit.
    """

    def __init__(self, backbone: Backbone, *, samples: int = 10, hidden: int = 128, log_variance: float = -4.0) -> None:
        super().__init__(backbone)
        if min(samples, hidden) < 1:
            raise RobustMetaError(f"samples is {samples} and hidden {hidden}; both must be at least 1")
        self.samples = samples
        self.to_mean, self.to_log_var = (_perceptron(backbone.out_features, hidden) for _ in range(2))
        last = self.to_log_var[-1]
        assert isinstance(last, nn.Linear)
        nn.init.constant_(last.bias, log_variance)

    def fit(self, features: Tensor, labels: Tensor, draws: Draws) -> Posterior:
        """The posteriors of supports with features `[T, N, D]` and labels `[T, N]`."""
        means = class_means(features, labels)
        mean = self.to_mean(means)
        return Posterior(mean, self.to_log_var(means), draws.normal(self.samples, *mean.shape[1:]))

    def redrawn(self, state: Posterior, draws: Draws) -> Posterior:
        """The same posteriors with other noise."""
        return state._replace(noise=draws.normal(*state.noise.shape[1:]))

    def logits(self, state: Posterior, features: Tensor) -> Tensor:
        """Logarithms `[T, Q, ways]` of the probabilities averaged over the draws, of features `[T, Q, D]`."""
        heads = state.mean[:, None] + (0.5 * state.log_var).exp()[:, None] * state.noise  # [T, S, ways, D+1]
        weights, bias = heads[..., :-1], heads[..., -1]
        scores = features[:, None] @ weights.mT + bias[:, :, None]  # [T, S, Q, ways]
        return scores.log_softmax(-1).logsumexp(1) - math.log(state.noise.shape[1])


def _perceptron(inputs: int, hidden: int) -> nn.Sequential:
    """From features `[..., D]` to numbers of weights and a bias `[..., D+1]`."""
    layers = (nn.Linear(inputs, hidden), nn.ELU(), nn.Linear(hidden, hidden), nn.ELU(), nn.Linear(hidden, inputs + 1))
    return nn.Sequential(*layers)

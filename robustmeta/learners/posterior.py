"""Gaussians over a network's weights, and classifiers that average over networks drawn from them."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.func import functional_call

from robustmeta.backbones import Statistics, detach
from robustmeta.draws import Draws
from robustmeta.learners.base import freeze
from robustmeta.learners.fast_weights import FastWeightsClassifier, LinearHead, joined, one_by_one

Weights = dict[str, Tensor]
Networks = tuple[Weights, Statistics | None]
LOG_SIGMA = "log_sigma."
"""A Gaussian is a dict of weights: of means by the network's names, of log sigma by the same after this."""


def drawn(gaussian: Weights, noise: Weights) -> Weights:
    """The network mu + sigma * noise, by its names."""
    return {name: gaussian[name] + gaussian[LOG_SIGMA + name].exp() * epsilon for name, epsilon in noise.items()}


def divergence(gaussian: Weights, prior: Weights) -> Tensor:
    """KL(N(mu, sigma^2) || N(mu_0, sigma_0^2)), a scalar: the sum over weights, and tasks where there are any.

    An entry's is log(sigma_0 / sigma) + (sigma^2 + (mu - mu_0)^2) / (2 sigma_0^2) - 1/2.
    """
    total = []
    for name in prior:
        if not name.startswith(LOG_SIGMA):
            log_ratio = gaussian[LOG_SIGMA + name] - prior[LOG_SIGMA + name]
            apart = (gaussian[name] - prior[name]) * torch.exp(-prior[LOG_SIGMA + name])
            total.append((0.5 * ((2 * log_ratio).exp() + apart.square() - 1) - log_ratio).sum())
    return torch.stack(total).sum()


class PosteriorClassifier(FastWeightsClassifier):
    """Log of the mean softmax of `samples` networks a task, those that `sampled` makes of its Gaussian.

    gaussian: `[T, ...]`. support_x: `[T, N, C, H, W]`, from which networks may take statistics.
    networks: their weights `[T*samples, ...]` and statistics, task by task.
    """

    def __init__(
        self, network: LinearHead, gaussian: Weights, support_x: Tensor, networks: Networks, together: bool
    ) -> None:
        super().__init__(network, *networks, together)
        self.gaussian, self.support_x = gaussian, support_x
        self.samples = len(self.weights["linear.bias"]) // len(support_x)

    def forward(self, query_x: Tensor) -> Tensor:
        """Logits `[T, Q, ways]` of queries `[T, Q, C, H, W]`: log-probabilities."""
        each = super().forward(query_x.repeat_interleave(self.samples, 0)).log_softmax(-1)
        by_task = torch.unflatten(each, 0, (-1, self.samples))  # [T, S, Q, ways]
        return by_task.logsumexp(1) - math.log(self.samples)

    def detach(self) -> "PosteriorClassifier":
        """The same classifiers, constants but for their input."""
        networks = freeze(self.weights), detach(self.statistics)
        return self._with(freeze(self.gaussian), self.support_x.detach(), networks)

    def select(self, tasks: Sequence[int]) -> "PosteriorClassifier":
        """The classifiers of some of the tasks, in the order given."""
        gaussian = {name: weight[list(tasks)] for name, weight in self.gaussian.items()}
        picked = super().select([task * self.samples + i for task in tasks for i in range(self.samples)])
        return self._with(gaussian, self.support_x[list(tasks)], (picked.weights, picked.statistics))

    def resampled(self, seed: int) -> "PosteriorClassifier":
        """The same Gaussians with other draws; of a seed always the same, for all tasks."""
        seeds = [seed] * len(self.support_x)
        weights, statistics = sampled(
            self._network[0], self.gaussian, self.support_x, self.samples, seeds, self.together
        )
        if self._network[0].backbone.norm == "running":
            statistics = self.statistics  # of the adaptation: the averages may have moved since
        return self._with(self.gaussian, self.support_x, (weights, statistics))

    def _with(self, gaussian: Weights, support_x: Tensor, networks: Networks) -> "PosteriorClassifier":
        return PosteriorClassifier(self._network[0], gaussian, support_x, networks, self.together)


def sampled(
    network: LinearHead, gaussian: Weights, support_x: Tensor, samples: int, seeds: Sequence[int], together: bool
) -> Networks:
    """Networks `[T*samples, ...]` drawn from Gaussians `[T, ...]`, and their statistics on supports `[T, N, C, H, W]`.

    seeds: of the noise, one a task.
    """
    draws = Draws(support_x, seeds)
    noise = {name: draws.normal(samples, *weight.shape).flatten(0, 1) for name, weight in network.named_parameters()}
    weights = drawn({name: weight.repeat_interleave(samples, 0) for name, weight in gaussian.items()}, noise)
    images = support_x.repeat_interleave(samples, 0)
    if network.backbone.norm not in ("running", "support"):
        return weights, None
    if together:
        return weights, functional_call(network, weights, (images,))[1]
    pairs = zip(one_by_one(weights), images[:, None], strict=True)
    return weights, joined([(own, functional_call(network, own, (x,))[1]) for own, x in pairs])[1]

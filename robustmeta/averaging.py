"""The average of the weights along training, tested in the place of the last ones."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

Weights = dict[str, Tensor]


def averaged(mean: Weights, weights: Weights, share: float, step: int) -> Weights:
    """The mean after a step, the first being 1, from the one before it, which is empty at first.

    mean_t = mean_t-1 + (weights_t - mean_t-1) / max(1, share t): polynomial-decay averaging (Shamir & Zhang, 2013) over
    about that share of the steps so far, however many there are. Whole numbers, which count, are those of `weights`.
    Deviates in the denominator, t / (eta + 1) for their (t + eta) / (eta + 1), and in that running statistics are
    averaged as the weights are.
    """
    towards = 1 / max(1.0, share * step)
    return {
        name: torch.lerp(mean[name].to(weight), weight, towards)
        if mean and weight.is_floating_point()
        else weight.clone()
        for name, weight in weights.items()
    }


@contextmanager
def lent(learner: nn.Module, mean: Weights) -> Iterator[None]:
    """The learner with the averaged weights for a while, or with its own where there is no average yet."""
    if not mean:
        yield
        return
    own = {name: weight.clone() for name, weight in learner.state_dict().items()}
    learner.load_state_dict(mean)
    try:
        yield
    finally:
        learner.load_state_dict(own)

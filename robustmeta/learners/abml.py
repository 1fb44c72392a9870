"""ABML: gradient steps on a Gaussian over a network's weights."""

import math

import torch
from torch import Tensor, nn

from robustmeta.backbones import Backbone, Statistics
from robustmeta.batch import Queries
from robustmeta.draws import Draws, redrawn, seeds_of
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import LEARNERS, Classifier, query_loss
from robustmeta.learners.maml import MAML, Point, Weights
from robustmeta.learners.posterior import LOG_SIGMA, PosteriorClassifier, divergence, drawn, sampled


@LEARNERS.register("abml")
class ABML(MAML):
    """Amortized Bayesian meta-learning (Ravi & Beatson, 2019).

    The prior of the weights w is N(mu, sigma^2), entry by entry. Adapted: lambda = (mu_k, log sigma_k), from those of
    the prior, lambda_k+1 = lambda_k - inner_lr * grad (E[L_support(w)] + kl_weight * KL(lambda_k || prior)), with the
    expectation over `inner_samples` draws w = mu_k + sigma_k * noise; logits = log of the mean over `samples` draws of
    softmax. Trained on the loss of these on the queries + kl_weight * KL(lambda_K || prior), second order.

    The draws are fixed at adaptation: an attack meets the very mean that is scored (expectation over its samples).

    backbone: images to features, as `Conv4`. ways: classes of a task, fixed by the linear head.
    steps, inner_lr: inner loop in training. test_steps: in evaluation; by default the same. engine: as in `MAML`.
    samples: networks that answer. inner_samples: networks a step. sigma: where every entry of sigma begins.
    kl_weight: of the divergence against a mean cross-entropy; one over the number of images would be Bayes' rule, and
    inner_lr * kl_weight must stay well below sigma^2, which training moves.

    Deviates from the paper in the hyper-prior, which is left out, in taking the outer loss of the averaged prediction
    on the queries alone, where the paper averages the losses over support and queries, and in `kl_weight`, there 1
    against a sum over images, which plain gradient steps of this length do not survive.

    Raises `RobustMetaError` for fewer than one sample, sigma not above 0, kl_weight below 0 or so large that steps on
    the divergence, whose curvature is kl_weight / sigma^2, overshoot, and for what `MAML` does.
    """

    def __init__(
        self,
        backbone: Backbone,
        ways: int = 5,
        *,
        steps: int = 5,
        inner_lr: float = 0.1,
        test_steps: int | None = None,
        samples: int = 5,
        inner_samples: int = 1,
        sigma: float = 0.01,
        kl_weight: float = 1e-6,
        engine: str = "auto",
    ) -> None:
        super().__init__(backbone, ways, steps=steps, inner_lr=inner_lr, test_steps=test_steps, engine=engine)
        if min(samples, inner_samples) < 1 or not sigma > 0 or not kl_weight >= 0:
            raise RobustMetaError(
                f"samples is {samples}, inner_samples {inner_samples}, sigma {sigma:g} and kl_weight {kl_weight:g}; "
                "there must be a sample at least, sigma must be above 0 and kl_weight not below 0"
            )
        if inner_lr * kl_weight >= sigma**2:
            raise RobustMetaError(
                f"inner_lr * kl_weight is {inner_lr * kl_weight:g}, and sigma squared {sigma**2:g}; it must be "
                "below, or steps on the divergence overshoot"
            )
        self.samples, self.inner_samples, self.kl_weight = samples, inner_samples, kl_weight
        self.log_sigma = nn.ParameterList(
            torch.full_like(weight, math.log(sigma)) for weight in self.network.parameters()
        )

    @property
    def start(self) -> Weights:
        """The prior: mu by the names of the network's weights, log sigma by the same after `log_sigma.`."""
        mean = super().start
        sigma = dict(zip((LOG_SIGMA + name for name in mean), self.log_sigma, strict=True))
        return {**mean, **sigma}

    def inner_loss(
        self, step: int, weights: Weights, images: Tensor, labels: Tensor
    ) -> tuple[Tensor, Statistics | None]:
        """The variational loss, summed over tasks, that a step descends, and the statistics that were given."""
        draws = Draws(images, redrawn(seeds_of(images, self.training), step + 1))  # 0 is of the networks that answer
        losses = []
        for _ in range(self.inner_samples):
            noise = {name: draws.normal(*weight.shape) for name, weight in self.network.named_parameters()}
            network = drawn(weights, {name: epsilon.view_as(weights[name]) for name, epsilon in noise.items()})
            loss, statistics = super().inner_loss(step, network, images, labels)
            losses.append(loss)
        prior = self.start if self.training else {name: weight.detach() for name, weight in self.start.items()}
        return torch.stack(losses).mean() + self.kl_weight * divergence(weights, prior), statistics

    def landed(self, weights: Weights, statistics: Statistics | None, images: Tensor) -> Point:
        """A Gaussian, which has no statistics: the networks drawn from it have."""
        return weights, None

    def classifier(self, path: list[Point], together: bool, support_x: Tensor) -> PosteriorClassifier:
        """The networks drawn from the Gaussians of the last point, by the supports' seeds."""
        gaussian, seeds = path[-1][0], seeds_of(support_x, self.training)
        networks = sampled(self.network, gaussian, support_x, self.samples, seeds, together)
        return PosteriorClassifier(self.network, gaussian, support_x, networks, together)

    def outer_loss(self, classifier: Classifier, queries: Queries) -> Tensor:
        """The mean cross-entropy of the averaged prediction on the queries, and kl_weight * KL, the mean over tasks."""
        assert isinstance(classifier, PosteriorClassifier)
        apart = divergence(classifier.gaussian, self.start) / len(classifier.support_x)
        return query_loss(classifier, queries) + self.kl_weight * apart

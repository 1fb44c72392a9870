"""Reptile: the initialisation moves towards where the steps of a task lead."""

import torch
from torch import Tensor

from robustmeta.backbones import Backbone
from robustmeta.batch import Queries
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import LEARNERS, Classifier, query_loss
from robustmeta.learners.fast_weights import FastWeightsClassifier, one_by_one
from robustmeta.learners.maml import MAML, Weights


@LEARNERS.register("reptile")
class Reptile(MAML):
    """Reptile (Nichol, Achiam & Schulman, 2018).

    Adapted: theta_k+1 = theta_k - inner_lr * grad L_support(theta_k), k = 0 .. steps-1. Trained by going on from there
    for `query_steps` more, each on another part of the queries, to phi: theta <- theta + eps (phi - theta), as the
    outer gradient handed to the trainer's optimizer is (theta - phi) / (inner_lr * (steps + query_steps)), the mean
    over tasks of the mean gradient on the way. Under a defense the parts are of attacked queries.

    The loss that is reported is the cross-entropy of the adapted classifier on the queries, as other learners'.

    backbone: images to features, as `Conv4`. ways: classes of a task, fixed by the linear head.
    steps, inner_lr: inner loop on the support. query_steps: the steps in training that go on with the queries, no more
    than there are queries a class.
    test_steps, test_inner_lr: inner loop in evaluation; by default the same. engine: as in `MAML`.

    Deviates from the paper in the order of the images, whose steps draw from a task's support and queries alike, in
    the inner steps, which are plain gradient descent where the paper's code has Adam, in the outer step, which is the
    trainer's Adam where the paper's is the plain one written above, and in the normalization, as `MAML` does.

    Raises `RobustMetaError` for `query_steps` below 1 and for what `MAML` does.
    """

    order = "first"

    def __init__(
        self,
        backbone: Backbone,
        ways: int = 5,
        *,
        steps: int = 5,
        inner_lr: float = 0.1,
        query_steps: int = 5,
        test_steps: int | None = None,
        test_inner_lr: float | None = None,
        engine: str = "auto",
    ) -> None:
        super().__init__(
            backbone,
            ways,
            steps=steps,
            inner_lr=inner_lr,
            test_steps=test_steps,
            test_inner_lr=test_inner_lr,
            first_order=True,
            engine=engine,
        )
        if query_steps < 1:
            raise RobustMetaError(f"query_steps is {query_steps}; Reptile takes at least one step on the queries")
        self.query_steps = query_steps

    def outer_loss(self, classifier: Classifier, queries: Queries) -> Tensor:
        """A scalar: its value is the cross-entropy on the queries, its gradient the one that draws theta to phi."""
        assert isinstance(classifier, FastWeightsClassifier)
        steps = min(self.query_steps, max(1, queries.query_x.shape[1] // classifier.ways))
        length = self.inner_lr * (self.steps + steps)
        phi = self._gone_on(classifier.detach(), queries, steps)
        pull = [
            (weight * ((weight - phi[name].mean(0)) / length).detach()).sum() for name, weight in self.start.items()
        ]
        drawn = torch.stack(pull).sum()
        # The gradient to the queries is that of the cross-entropy, for defenses that use it.
        return query_loss(classifier.detach(), queries) + drawn - drawn.detach()

    def _gone_on(self, classifier: FastWeightsClassifier, queries: Queries, steps: int) -> Weights:
        """Phi `[T, ...]`: the weights of classifiers after some steps on queries, each on another part of them."""
        images, labels = queries.query_x.detach(), queries.query_y
        if classifier.together:
            return self._descended(classifier.weights, images, labels, steps)
        tasks = zip(one_by_one(classifier.weights), images[:, None], labels[:, None], strict=True)
        ends = [self._descended(*task, steps) for task in tasks]
        return {name: torch.stack([end[name] for end in ends]) for name in classifier.weights}

    def _descended(self, weights: Weights, images: Tensor, labels: Tensor, steps: int) -> Weights:
        for step in range(steps):
            weights = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
            part = slice(step, None, steps)  # some of each class, which come in order
            weights, _ = self.moved(self.steps + step, weights, images[:, part], labels[:, part], second_order=False)
        return weights

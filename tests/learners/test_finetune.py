"""Fine-tuning of the head: the descent by autograd, and its end against scipy's minimum."""

import numpy as np
import pytest
import scipy.optimize
import torch
import torch.nn.functional as F

from robustmeta.backbones import Conv4
from robustmeta.errors import RobustMetaError
from robustmeta.learners import FineTune


def made(**settings: float) -> FineTune:
    torch.manual_seed(0)
    return FineTune(Conv4(size=16, width=4), 12, **settings).double().eval()


def units(learner: FineTune, images: torch.Tensor) -> torch.Tensor:
    features = learner.backbone(images)[0].detach()
    return features / features.norm(dim=-1, keepdim=True)


def test_the_head_descends_as_autograd_says(batch):
    learner = made(steps=3, inner_lr=0.5, decay=0.1)
    classifier = learner.adapt(batch.support_x, batch.support_y)
    features, queries = units(learner, batch.support_x), units(learner, batch.query_x)
    for task in range(3):
        weight, bias = (torch.zeros(shape, dtype=torch.double, requires_grad=True) for shape in ((3, 4), (3,)))
        for _ in range(3):
            loss = F.cross_entropy(features[task] @ weight.T + bias, batch.support_y[task])
            loss = loss + 0.05 * weight.square().sum()
            moves = torch.autograd.grad(loss, (weight, bias))
            weight, bias = (
                (part - 0.5 * move).detach().requires_grad_()
                for part, move in zip((weight, bias), moves, strict=True)
            )  # fmt: skip
        expected = queries[task] @ weight.T + bias
        torch.testing.assert_close(classifier(batch.query_x)[task], expected.detach())


def test_many_steps_end_at_the_minimum_that_scipy_finds(batch):
    learner = made(steps=3000, decay=0.1)
    classifier = learner.adapt(batch.support_x, batch.support_y)
    features, labels = units(learner, batch.support_x)[0].numpy(), batch.support_y[0].numpy()

    def loss(flat: np.ndarray) -> float:
        weight, bias = flat[:12].reshape(3, 4), flat[12:]
        logits = features @ weight.T + bias
        return (np.logaddexp.reduce(logits, axis=1) - logits[np.arange(6), labels]).mean() + 0.05 * (weight**2).sum()

    best = scipy.optimize.minimize(loss, np.zeros(15), method="BFGS", options={"gtol": 1e-9}).x
    expected = units(learner, batch.query_x)[0].numpy() @ best[:12].reshape(3, 4).T + best[12:]
    found = classifier(batch.query_x)[0].numpy()
    centred = [each - each.mean(1, keepdims=True) for each in (found, expected)]  # a bias common to all is free
    np.testing.assert_allclose(*centred, atol=1e-5)


@pytest.mark.parametrize("settings", [{"steps": -1}, {"inner_lr": 0.0}, {"decay": -0.1}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(RobustMetaError, match="they must be at least 0, above 0 and at least 0"):
        made(**settings)

"""Meta networks: fast weights by autograd, image after image, and queries with weights of their own."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from robustmeta.errors import RobustMetaError
from robustmeta.learners.metanets import scaled

UNEVEN = torch.tensor([3, 0, 5, 1, 2])
"""Of two images a class, one of class 2 is left out, and they are out of order."""


def test_gradients_are_scaled_by_hand() -> None:
    large, small = math.exp(-3.5), 0.5 * math.exp(-7)
    found = scaled(torch.tensor([large, -large, small, -small, 0.0, 1.0]))
    expected = [[-0.5, 1.0], [-0.5, -1.0], [-1.0, 0.5], [-1.0, -0.5], [-1.0, 0.0], [0.0, 1.0]]
    torch.testing.assert_close(found, torch.tensor(expected))


def slope(first, second, image: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Of the cross-entropy of one image by the weights of both layers, by autograd."""
    logits = second(F.relu(first(image)))
    return torch.autograd.grad(F.cross_entropy(logits[None], label[None]), (first.weight, second.weight))


def entry_by_entry(made, gradients: Tensor) -> Tensor:
    weights = [made(entry[None])[0] for entry in gradients.flatten()]
    return torch.stack(weights).view_as(gradients)


@pytest.mark.parametrize("training", [True, False])
def test_fast_weights_come_of_gradients_and_each_query_has_its_own(learner, batch, training) -> None:
    made = learner("metanets", "group", units=5, hidden=6, scale=3.0).double().train(training)
    x, y = batch.support_x[:, UNEVEN], batch.support_y[:, UNEVEN]
    classifier = made.adapt(x, y)
    logits = classifier(batch.query_x)
    for t in range(3):
        features, queries = (made.backbone(images[t : t + 1]).features[0].detach() for images in (x, batch.query_x))
        pairs = list(zip(features, y[t], strict=True))
        mean = torch.stack([slope(made.represent, made.judge, *pair)[0] for pair in pairs]).mean(0)
        represent = entry_by_entry(made.of_represent, mean)
        torch.testing.assert_close(classifier.state.represent[t], represent)

        def represented(f: Tensor, represent: Tensor = represent) -> Tensor:
            return F.relu(made.represent(f)) + F.relu(represent @ f)

        of_images = [slope(made.first, made.second, *pair) for pair in pairs]
        fast = [(entry_by_entry(made.of_first, a), entry_by_entry(made.of_second, b)) for a, b in of_images]
        torch.testing.assert_close(classifier.state.keys[t], torch.stack([represented(g) for g in features]))
        for q, f in enumerate(queries):
            similar = [3.0 * F.cosine_similarity(represented(f), represented(g), 0) for g in features]
            attention = torch.stack(similar).softmax(0)
            first, second = (sum(a * w for a, w in zip(attention, own, strict=True)) for own in zip(*fast, strict=True))
            hidden = F.relu(made.first(f)) + F.relu(first @ f)
            torch.testing.assert_close(logits[t, q], made.second(hidden) + second @ hidden)


def test_the_outer_gradient_runs_through_the_inner_ones(learner, batch) -> None:
    """Against central differences, for the weights whose gradients are taken within."""
    made = learner("metanets", "group", units=20).double().train()
    loss = made.loss(batch)
    for parameter in (made.represent.weight, made.judge.weight, made.first.weight, made.second.weight):
        (gradient,) = torch.autograd.grad(loss, parameter, retain_graph=True)
        along = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        with torch.no_grad():
            parameter += 1e-6 * along
            above = made.loss(batch)
            parameter -= 2e-6 * along
            below = made.loss(batch)
            parameter += 1e-6 * along
        assert ((above - below) / 2e-6).item() == pytest.approx((gradient * along).sum().item(), rel=1e-5, abs=1e-8)
        assert (gradient * along).sum().abs() > 1e-5


def test_tasks_of_other_ways_than_its_head_are_refused(learner, episodes) -> None:
    task = episodes(ways=4)[0]
    with pytest.raises(RobustMetaError, match="a support of 4 ways was given to a MetaNets whose head has 3"):
        learner("metanets").adapt(task.support_x, task.support_y)


@pytest.mark.parametrize("wrong", [{"units": 0}, {"hidden": 0}, {"scale": 0.0}])
def test_settings_that_cannot_be_are_refused(learner, wrong) -> None:
    ((name, value),) = wrong.items()
    with pytest.raises(RobustMetaError, match=rf"\b{name} (is )?{value:g}\b.*sizes must be at least 1, scale above 0"):
        learner("metanets", **wrong)

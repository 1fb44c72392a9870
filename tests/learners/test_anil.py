"""ANIL: a linear head fine-tuned, by autograd's gradient and by finite differences."""

import pytest
import torch
import torch.nn.functional as F

from robustmeta.errors import RobustMetaError
from tests.learners.unrolled import check_slope

UNEVEN = torch.tensor([3, 0, 5, 1, 2])
"""Of two images a class, one of class 2 is left out, and they are out of order."""


@pytest.mark.parametrize("training", [True, False])
def test_the_head_takes_gradient_steps_on_the_features(learner, batch, training) -> None:
    made = learner("anil", "group", steps=3, inner_lr=0.2, test_steps=4, test_inner_lr=0.1).double().train(training)
    steps, lr = (3, 0.2) if training else (4, 0.1)
    x, y = batch.support_x[:, UNEVEN], batch.support_y[:, UNEVEN]
    classifier = made.adapt(x, y)
    logits = classifier(batch.query_x)
    for t in range(batch.tasks):
        features, queries = (made.backbone(images[t : t + 1]).features[0].detach() for images in (x, batch.query_x))
        weight, bias = (part.detach().clone().requires_grad_() for part in (made.linear.weight, made.linear.bias))
        for _ in range(steps):
            slopes = torch.autograd.grad(F.cross_entropy(features @ weight.T + bias, y[t]), (weight, bias))
            weight = (weight - lr * slopes[0]).detach().requires_grad_()
            bias = (bias - lr * slopes[1]).detach().requires_grad_()
        torch.testing.assert_close(classifier.state.weight[t], weight)
        torch.testing.assert_close(classifier.state.bias[t], bias)
        torch.testing.assert_close(logits[t], queries @ weight.T + bias)


@pytest.mark.parametrize("norm", ["group", "support", "running"])
def test_the_outer_gradient_runs_through_the_steps(learner, batch, norm) -> None:
    made = learner("anil", norm, steps=3, inner_lr=0.3).double()
    check_slope(made, lambda: made.loss(batch))


def test_tasks_of_other_ways_than_the_head_are_refused(learner, episodes) -> None:
    task = episodes(ways=4)[0]
    with pytest.raises(RobustMetaError, match="a support of 4 ways was given to a ANIL whose head has 3"):
        learner("anil").adapt(task.support_x, task.support_y)


@pytest.mark.parametrize("wrong", [{"steps": -1}, {"test_steps": -2}, {"inner_lr": 0.0}, {"test_inner_lr": -0.1}])
def test_settings_that_cannot_be_are_refused(learner, wrong) -> None:
    ((name, value),) = wrong.items()
    with pytest.raises(RobustMetaError, match=rf"\b{name} (is )?{value:g}\b.*steps must be at least 0"):
        learner("anil", **wrong)

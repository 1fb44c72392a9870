"""R2-D2 against least squares of the augmented system, in numpy."""

import math

import numpy as np
import pytest
import torch

from robustmeta.errors import RobustMetaError
from robustmeta.learners.r2d2 import R2D2, ridge_regression


def augmented(features: np.ndarray, targets: np.ndarray, ridge: float) -> np.ndarray:
    """The minimum of ||X W - Y||^2 + ridge ||W||^2: least squares of X over sqrt(ridge) I, and Y over zeros."""
    number = features.shape[1]
    rows = np.concatenate([features, math.sqrt(ridge) * np.eye(number)])
    return np.linalg.lstsq(rows, np.concatenate([targets, np.zeros((number, targets.shape[1]))]), rcond=None)[0]


@pytest.mark.parametrize("ways", [2, 5])
@pytest.mark.parametrize("shots", [1, 5])
@pytest.mark.parametrize("size", [3, 40])
@pytest.mark.parametrize("ridge", [1e-3, 1.0, 50.0])
def test_it_is_least_squares_of_the_augmented_system(ways, shots, size, ridge) -> None:
    draw = np.random.default_rng(ways * shots)
    features = draw.normal(size=(2, ways * shots, size))
    targets = np.eye(ways)[np.arange(ways).repeat(shots)]
    found = ridge_regression(torch.from_numpy(features), torch.from_numpy(targets).expand(2, -1, -1), ridge)
    for task in range(2):
        np.testing.assert_allclose(found[task], augmented(features[task], targets, ridge), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("training", [True, False])
def test_logits_are_the_scaled_predictions_for_uneven_shots(learner, batch, training) -> None:
    made = learner("r2d2", "group", ridge=0.3, scale=7.0).double().train(training)
    with torch.no_grad():
        made.beta.fill_(0.25)
    order = torch.tensor([3, 0, 5, 1, 2])  # one image of class 2 is left out
    x, y = batch.support_x[:, order], batch.support_y[:, order]
    logits = made.adapt(x, y)(batch.query_x)
    for task in range(3):
        features, queries = (
            made.backbone(images[task : task + 1]).features[0].detach().numpy() for images in (x, batch.query_x)
        )
        weights = augmented(features, np.eye(3)[y[task].numpy()], 0.3)
        np.testing.assert_allclose(logits[task].detach(), 7 * queries @ weights + 0.25, rtol=1e-6, atol=1e-9)


def test_gradients_of_ridge_scale_and_weights_are_those_of_finite_differences(learner, batch) -> None:
    made = learner("r2d2", "support").double()
    parameters = {name: parameter for name, parameter in made.named_parameters() if parameter.dim() in (0, 4)}
    gradients = torch.autograd.grad(made.loss(batch), list(parameters.values()))
    draw = torch.Generator().manual_seed(0)
    for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True):
        along, losses = torch.randn(parameter.shape, generator=draw, dtype=torch.float64), []
        for step in (1e-6, -2e-6):
            parameter.data += step * along
            losses.append(made.loss(batch).item())
        parameter.data += 1e-6 * along
        slope = (gradient * along).sum().item()
        assert (losses[0] - losses[1]) / 2e-6 == pytest.approx(slope, rel=1e-3, abs=1e-8), name
        assert (slope == pytest.approx(0, abs=1e-8)) == (name == "beta"), name  # no softmax tells beta


def test_the_ridge_stays_positive_however_far_it_is_trained(learner, batch) -> None:
    made = learner("r2d2").double()
    made.log_ridge.data.fill_(-30.0)
    assert made.adapt(batch.support_x, batch.support_y)(batch.query_x).isfinite().all()


@pytest.mark.parametrize("settings", [{"ridge": 0.0}, {"ridge": -1.0}, {"scale": 0.0}])
def test_settings_that_cannot_be_are_refused(learner, settings) -> None:
    with pytest.raises(RobustMetaError, match=r"ridge is .* and scale .*; both must be above 0"):
        learner("r2d2", **settings)


def test_ways_may_change(learner, episodes) -> None:
    task = episodes(ways=9, shots=1)[0]
    made = learner("r2d2")
    assert isinstance(made, R2D2)
    assert made.adapt(task.support_x, task.support_y)(task.query_x).shape == (1, 27, 9)

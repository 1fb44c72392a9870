"""MetaOptNet's ridge head against the minimum of its dual problem."""

import numpy as np
import pytest
import torch

from robustmeta.errors import RobustMetaError


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("ridge", [0.5, 50.0])
def test_logits_are_those_of_the_dual_variables_at_their_minimum(learner, batch, training, ridge) -> None:
    """The dual a^T (X X^T + ridge I) a / 2 - 2 Y^T a, in all N * ways variables at once, as in the authors' code."""
    made = learner("metaoptnet", "group", ridge=ridge, scale=3.0).double().train(training)
    order = torch.tensor([3, 0, 5, 1, 2])  # one image of class 2 is left out
    x, y = batch.support_x[:, order], batch.support_y[:, order]
    logits = made.adapt(x, y)(batch.query_x)
    for task in range(3):
        features = made.backbone(x[task : task + 1]).features[0].detach().numpy()
        queries = made.backbone(batch.query_x[task : task + 1]).features[0].detach().numpy()
        quadratic = np.kron(features @ features.T + ridge * np.eye(5), np.eye(3))
        dual = np.linalg.solve(quadratic, 2 * np.eye(3)[y[task].numpy()].flatten()).reshape(5, 3)
        scores = np.array(
            [[sum(dual[i, c] * features[i] @ query for i in range(5)) for c in range(3)] for query in queries]
        )
        np.testing.assert_allclose(logits[task].detach(), 3 * scores, rtol=1e-9, atol=1e-12)


def test_the_scale_is_trained_and_the_ridge_is_not(learner, batch) -> None:
    made = learner("metaoptnet").double()
    assert [name for name, parameter in made.named_parameters() if parameter.dim() == 0] == ["scale"]
    logits = made.adapt(batch.support_x, batch.support_y)(batch.query_x).detach()
    probabilities = logits.softmax(-1)
    picked = torch.nn.functional.one_hot(batch.query_y, 3)
    expected = ((probabilities - picked) * logits).sum(
        -1
    ).mean() / made.scale.detach()  # logits are linear in the scale
    (slope,) = torch.autograd.grad(made.loss(batch), made.scale)
    torch.testing.assert_close(slope, expected)
    assert abs(slope) > 1e-6


@pytest.mark.parametrize("settings", [{"ridge": 0.0}, {"scale": -1.0}])
def test_settings_that_cannot_be_are_refused(learner, settings) -> None:
    with pytest.raises(RobustMetaError, match=r"ridge is .* and scale .*; both must be above 0"):
        learner("metaoptnet", **settings)

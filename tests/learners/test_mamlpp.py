"""MAML++: rates of each step, the loss of many steps, the order of the derivative."""

import pytest
import torch
import torch.nn.functional as F

from robustmeta.errors import RobustMetaError
from tests.learners.unrolled import check_slope, descend, numbers_of, plain, weights_of

STEPS = 3


@pytest.fixture
def plusplus(learner):
    def make(norm: str = "group", **settings: object):
        made = learner("maml++", norm, steps=STEPS, multi_step=0.5, **settings).double()
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            made.alpha.copy_(torch.rand(made.alpha.shape, generator=generator) * 0.2 + 0.02)
        return made

    return make


@pytest.mark.parametrize(
    ("progress", "weights"),
    [(0.0, [1 / 3, 1 / 3, 1 / 3]), (0.25, [1 / 6, 1 / 6, 2 / 3]), (0.5, [0, 0, 1]), (1.0, [0, 0, 1])],
)
@pytest.mark.parametrize("engine", ["loop", "vectorized"])
def test_the_loss_weighs_the_steps_as_training_goes(plusplus, batch, progress, weights, engine) -> None:
    made = plusplus(engine=engine)
    made.progress = progress
    assert made.step_weights == pytest.approx(weights)
    rates, at = made.alpha.detach(), numbers_of(made.network)
    expected = torch.zeros((), dtype=torch.float64)
    for t in range(batch.tasks):
        start = weights_of(made.network)
        path = descend(start, batch.support_x[t], batch.support_y[t], STEPS, lambda i, k: rates[at[i], k])
        losses = [F.cross_entropy(plain(point, batch.query_x[t]), batch.query_y[t]) for point in path]
        expected = expected + sum(v * loss for v, loss in zip(weights, losses, strict=True)) / batch.tasks
    torch.testing.assert_close(made.loss(batch), expected)


@pytest.mark.parametrize("norm", ["group", "support"])
def test_weights_and_rates_get_the_slope_of_the_loss_of_many_steps(plusplus, batch, norm) -> None:
    made = plusplus(norm)
    made.progress = 0.2
    check_slope(made, lambda: made.loss(batch))


@pytest.mark.parametrize("norm", ["support", "running"])
def test_earlier_steps_normalise_by_the_support_at_their_own_weights(plusplus, batch, norm) -> None:
    """Each earlier classifier is the last one of an inner loop that stops there."""
    made = plusplus(norm)
    made.progress = 0.0
    classifier, _ = made.pose(batch)
    assert len(classifier.before) == STEPS - 1
    for done, earlier in enumerate(classifier.before, start=1):
        made.steps = done
        torch.testing.assert_close(earlier(batch.query_x), made.adapt(batch.support_x, batch.support_y)(batch.query_x))


def test_only_the_last_step_answers_in_evaluation_and_once_it_alone_counts(plusplus, batch) -> None:
    made = plusplus()
    made.progress = 0.6
    assert len(made.adapt(batch.support_x, batch.support_y).before) == 0
    made.progress = 0.1
    assert len(made.eval().adapt(batch.support_x, batch.support_y).before) == 0


def test_steps_beyond_the_trained_ones_move_as_the_last(plusplus, batch) -> None:
    made = plusplus(test_steps=5).eval()
    logits = made.adapt(batch.support_x, batch.support_y)(batch.query_x)
    rates, at = made.alpha.detach(), numbers_of(made.network)
    start = weights_of(made.network)
    path = descend(start, batch.support_x[0], batch.support_y[0], 5, lambda i, k: rates[at[i], min(k, STEPS - 1)])
    torch.testing.assert_close(logits[0], plain(path[-1], batch.query_x[0]))


def test_the_inner_gradients_are_constants_until_their_share_of_training_is_over(plusplus, batch) -> None:
    made = plusplus(first_order_share=0.4)
    found = {}
    for progress in (0.39, 0.4):
        made.progress = progress
        found[progress] = made.adapt(batch.support_x, batch.support_y)
    start, rates, at = weights_of(made.network), made.alpha.detach(), numbers_of(made.network)
    for progress, second_order in ((0.39, False), (0.4, True)):
        path = descend(start, batch.support_x[0], batch.support_y[0], STEPS, lambda i, k: rates[at[i], k], second_order)
        (expected,) = torch.autograd.grad(plain(path[-1], batch.query_x[0]).square().sum(), start[0])
        kernel = made.network.backbone.blocks[0].conv.weight
        (got,) = torch.autograd.grad(found[progress](batch.query_x)[0].square().sum(), kernel)
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("wrong", [{"multi_step": 1.5}, {"multi_step": -0.1}, {"first_order_share": 2.0}])
def test_shares_that_cannot_be_are_refused(learner, wrong) -> None:
    with pytest.raises(RobustMetaError, match=f"{next(iter(wrong))} {next(iter(wrong.values())):g}.* shares of train"):
        learner("maml++", **wrong)


def test_without_a_step_it_is_refused(learner) -> None:
    with pytest.raises(RobustMetaError, match=r"steps is 0, .*there must be a step at least"):
        learner("maml++", steps=0)

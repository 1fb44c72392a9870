"""Meta-SGD: learned rates, entry by entry."""

import pytest
import torch

from robustmeta.errors import RobustMetaError
from tests.learners.unrolled import check_slope, descend, numbers_of, plain, weights_of


def with_random_rates(made):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for rate in made.alpha:
            rate.copy_(torch.rand(rate.shape, generator=generator) * 0.3 - 0.05)
    return made


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("engine", ["loop", "vectorized"])
def test_each_entry_moves_at_its_own_rate_in_training_and_evaluation(learner, batch, training, engine) -> None:
    made = with_random_rates(learner("meta-sgd", "group", engine=engine).double()).train(training)
    logits = made.adapt(batch.support_x, batch.support_y)(batch.query_x)
    rates, at = [rate.detach() for rate in made.alpha], numbers_of(made.network)
    for t in range(batch.tasks):
        start = weights_of(made.network)
        path = descend(start, batch.support_x[t], batch.support_y[t], 2, lambda i, _: rates[at[i]])
        torch.testing.assert_close(logits[t], plain(path[-1], batch.query_x[t]))


@pytest.mark.parametrize("norm", ["group", "support"])
def test_weights_and_rates_get_the_slope_of_the_outer_loss(learner, batch, norm) -> None:
    made = with_random_rates(learner("meta-sgd", norm).double())
    check_slope(made, lambda: made.loss(batch))


def test_rates_begin_at_inner_lr_and_are_trained_like_weights(learner) -> None:
    made = learner("meta-sgd", inner_lr=0.25)
    assert [rate.shape for rate in made.alpha] == [weight.shape for weight in made.network.parameters()]
    assert all((rate == 0.25).all() and rate.requires_grad for rate in made.alpha)
    assert sum(name.startswith("alpha") for name in made.state_dict()) == len(made.alpha)


def test_with_rates_all_alike_it_is_maml(learner, batch) -> None:
    ours, theirs = (learner(name, inner_lr=0.125).double() for name in ("meta-sgd", "maml"))
    assert torch.equal(ours.loss(batch), theirs.loss(batch))


def test_a_rate_to_begin_at_that_is_not_above_0_is_refused(learner) -> None:
    with pytest.raises(RobustMetaError, match=r"inner_lr -1, .*; steps must be at least 0, learning rates above 0"):
        learner("meta-sgd", inner_lr=-1.0)

"""VERSA against its heads drawn and averaged one by one."""

import math

import pytest
import torch

from robustmeta.draws import Draws, seeds_of
from robustmeta.errors import RobustMetaError
from robustmeta.learners.versa import Versa


@pytest.fixture
def versa(learner):
    def make(**settings: object) -> Versa:
        return learner("versa", "group", **{"samples": 3, "hidden": 6, "log_variance": -1.0, **settings}).double()

    return make


@pytest.mark.parametrize("training", [True, False])
def test_logits_by_loops_over_draws_queries_and_classes_for_uneven_shots(versa, batch, training) -> None:
    made = versa().train(training)
    order = torch.tensor([3, 0, 5, 1, 2])  # one image of class 2 is left out
    x, y = batch.support_x[:, order], batch.support_y[:, order]
    logits = made.adapt(x, y)(batch.query_x).detach()
    noise = Draws(x, seeds_of(x, training)).normal(3, 3, made.backbone.out_features + 1)
    for task in range(3):
        with torch.no_grad():
            features = made.backbone(x[task : task + 1]).features[0]
            queries = made.backbone(batch.query_x[task : task + 1]).features[0]
            means = [features[y[task] == label].mean(0) for label in range(3)]
            mean, deviation = zip(*((made.to_mean(m), (made.to_log_var(m) / 2).exp()) for m in means), strict=True)
        for place, query in enumerate(queries):
            averaged = torch.zeros(3, dtype=torch.float64)
            for sample in range(3):
                heads = [mean[c] + deviation[c] * noise[task, sample, c] for c in range(3)]
                scores = torch.stack([head[:-1] @ query + head[-1] for head in heads])
                averaged += scores.exp() / scores.exp().sum() / 3
            torch.testing.assert_close(logits[task, place], averaged.log())


def test_variances_begin_where_they_are_told_to(versa, batch) -> None:
    made = versa(log_variance=-7.0)
    made.to_log_var[-1].weight.data.zero_()
    state = made.adapt(batch.support_x, batch.support_y).state
    assert torch.equal(state.log_var, torch.full_like(state.log_var, -7.0))


def test_it_says_that_it_averages_over_draws_which_can_be_drawn_again(versa, batch) -> None:
    made = versa().eval()
    classifier = made.adapt(batch.support_x, batch.support_y)
    logits = classifier(batch.query_x)
    assert classifier.samples == classifier.detach().samples == classifier.select([0]).samples == 3
    other = classifier.resampled(5)
    assert not torch.allclose(other(batch.query_x), logits)
    assert torch.equal(other(batch.query_x), classifier.resampled(5)(batch.query_x))
    assert not torch.allclose(other(batch.query_x), classifier.resampled(6)(batch.query_x))
    assert torch.equal(other.state.mean, classifier.state.mean)
    torch.testing.assert_close(other.select([2])(batch.query_x[2:]), other(batch.query_x)[2:])
    assert torch.equal(classifier(batch.query_x), logits)


def test_many_draws_agree_with_others(versa, batch) -> None:
    """The average goes to an expectation: of 4000 draws little is left of their chance."""
    classifier = versa(samples=4000).eval().adapt(batch.support_x, batch.support_y)
    once, again = classifier(batch.query_x), classifier.resampled(1)(batch.query_x)
    assert (once.exp() - again.exp()).abs().max() < 6 / math.sqrt(4000)


def test_in_training_tasks_and_supports_draw_numbers_of_their_own(versa, batch) -> None:
    made = versa()
    noise = made.train().adapt(batch.support_x, batch.support_y).state.noise
    assert not torch.equal(noise[0], noise[1])
    assert torch.equal(made.adapt(batch.support_x[[1]], batch.support_y[[1]]).state.noise, noise[[1]])
    noise = made.eval().adapt(batch.support_x, batch.support_y).state.noise
    assert torch.equal(noise[0], noise[1])


def test_learners_without_draws_are_resampled_to_themselves(learner, batch) -> None:
    classifier = learner("protonet").double().eval().adapt(batch.support_x, batch.support_y)
    assert classifier.samples == 0
    assert torch.equal(classifier.resampled(3)(batch.query_x), classifier(batch.query_x))


@pytest.mark.parametrize("settings", [{"samples": 0}, {"hidden": 0}])
def test_settings_that_cannot_be_are_refused(versa, settings) -> None:
    with pytest.raises(RobustMetaError, match=r"samples is .* and hidden .*; both must be at least 1"):
        versa(**settings)

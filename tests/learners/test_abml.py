"""ABML: the divergence in closed form, the mixture by hand, and MAML as its limit."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Normal, kl_divergence
from torch.func import functional_call

from robustmeta.draws import Draws, redrawn, seeds_of
from robustmeta.errors import RobustMetaError
from robustmeta.learners.posterior import LOG_SIGMA, divergence
from tests.learners.unrolled import check_slope


def test_the_divergence_is_torch_distributions() -> None:
    generator = torch.Generator().manual_seed(0)
    mean, log_sigma = (torch.randn(2, 3, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    prior_mean, prior_log_sigma = (torch.randn(3, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    expected = kl_divergence(Normal(mean, log_sigma.exp()), Normal(prior_mean, prior_log_sigma.exp())).sum()
    got = divergence({"w": mean, LOG_SIGMA + "w": log_sigma}, {"w": prior_mean, LOG_SIGMA + "w": prior_log_sigma})
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("norm", ["group", "support", "running"])
@pytest.mark.parametrize("training", [True, False])
def test_without_width_it_is_maml(learner, batch, norm, training) -> None:
    ours = learner("abml", norm, sigma=1e-12, kl_weight=0.0, samples=3, inner_samples=2).double().train(training)
    theirs = learner("maml", norm).double().train(training)
    got, expected = (made.adapt(batch.support_x, batch.support_y)(batch.query_x) for made in (ours, theirs))
    torch.testing.assert_close(got, expected.log_softmax(-1))
    torch.testing.assert_close(ours.loss(batch), theirs.loss(batch))
    for own, wanted in zip(ours.network.buffers(), theirs.network.buffers(), strict=True):
        torch.testing.assert_close(own, wanted)


def test_every_step_and_the_networks_that_answer_have_noise_of_their_own(learner, batch, monkeypatch) -> None:
    seen: list[tuple[float, ...]] = []
    original = Draws.normal

    def spy(self: Draws, *shape: int) -> torch.Tensor:
        noise = original(self, *shape)
        seen.append(tuple(noise.flatten()[:4].tolist()))
        return noise

    monkeypatch.setattr(Draws, "normal", spy)
    made = learner("abml", "group", steps=3, samples=2, inner_samples=2)
    made.adapt(batch.support_x[:1].float(), batch.support_y[:1])
    weights = len(seen) // 7  # three steps of two draws, and the networks in one
    assert len(seen) == 7 * weights
    assert len(set(seen)) == len(seen)


def test_a_step_descends_the_variational_loss_by_reparametrised_draws(learner, batch) -> None:
    """One step, two draws, written out; the divergence has a slope from the second step on, which the next test has."""
    made = learner("abml", "group", steps=1, sigma=0.1, inner_samples=2, inner_lr=0.3, kl_weight=0.01).double()
    gaussian = made.adapt(batch.support_x, batch.support_y).gaussian
    named = dict(made.network.named_parameters())
    draws = Draws(batch.support_x, redrawn(seeds_of(batch.support_x, training=True), 1))
    noise = [{name: draws.normal(*weight.shape) for name, weight in named.items()} for _ in range(2)]
    for t in range(batch.tasks):
        mean = {name: weight.detach().clone().requires_grad_() for name, weight in named.items()}
        log_sigma = {name: torch.full_like(w, math.log(0.1)).requires_grad_() for name, w in named.items()}
        loss = torch.zeros((), dtype=torch.float64)
        for of_draw in noise:
            network = {name: mean[name] + log_sigma[name].exp() * of_draw[name][t] for name in named}
            logits = functional_call(made.network, network, (batch.support_x[t : t + 1],))[0][0]
            loss = loss + F.cross_entropy(logits, batch.support_y[t]) / 2
        slopes = torch.autograd.grad(loss, [*mean.values(), *log_sigma.values()])
        for (name, weight), to_mean in zip(mean.items(), slopes[: len(mean)], strict=True):
            torch.testing.assert_close(gaussian[name][t], weight - 0.3 * to_mean)
        for (name, weight), to_sigma in zip(log_sigma.items(), slopes[len(mean) :], strict=True):
            torch.testing.assert_close(gaussian[LOG_SIGMA + name][t], weight - 0.3 * to_sigma)


def test_the_divergence_holds_the_second_step_back(learner, batch) -> None:
    free, held = (
        learner("abml", "group", sigma=0.1, kl_weight=weight).double().adapt(batch.support_x, batch.support_y).gaussian
        for weight in (0.0, 0.05)
    )
    prior = learner("abml", "group", sigma=0.1).double().start
    assert divergence(held, prior) < 0.99 * divergence(free, prior)


@pytest.mark.parametrize("norm", ["group", "support"])
@pytest.mark.parametrize("engine", ["loop", "vectorized"])
def test_the_answer_is_the_log_of_the_mean_probability(learner, batch, norm, engine) -> None:
    made = learner("abml", norm, samples=4, sigma=0.2, engine=engine).double().eval()
    classifier = made.adapt(batch.support_x, batch.support_y)
    probabilities = torch.zeros(3, 9, 3, dtype=torch.float64)
    draws = Draws(batch.support_x, [0, 0, 0])
    noise = {name: draws.normal(4, *weight.shape) for name, weight in made.network.named_parameters()}
    for t in range(3):
        for s in range(4):
            network = {
                name: classifier.gaussian[name][t] + classifier.gaussian[LOG_SIGMA + name][t].exp() * epsilon[t, s]
                for name, epsilon in noise.items()
            }
            statistics = functional_call(made.network, network, (batch.support_x[t : t + 1],))[1]
            logits = functional_call(made.network, network, (batch.query_x[t : t + 1], statistics))[0][0]
            probabilities[t] += logits.softmax(-1) / 4
    torch.testing.assert_close(classifier(batch.query_x).exp(), probabilities)
    assert classifier.samples == 4


@pytest.mark.parametrize("norm", ["group", "support"])
def test_the_outer_gradient_is_the_slope_of_the_loss(learner, batch, norm) -> None:
    made = learner("abml", norm, sigma=0.1, kl_weight=0.01, samples=2, inner_samples=2).double()
    check_slope(made, lambda: made.loss(batch))


def test_the_outer_loss_counts_the_divergence_from_the_prior(learner, batch) -> None:
    made = learner("abml", "group", sigma=0.1, kl_weight=0.01).double()
    classifier, posed = made.pose(batch)
    nll = -classifier(posed.query_x).gather(-1, posed.query_y[..., None]).mean()
    apart = divergence(classifier.gaussian, made.start) / 3
    assert apart > 1e-3
    torch.testing.assert_close(made.loss(batch), nll + 0.01 * apart)


@pytest.mark.parametrize("norm", ["group", "support", "running"])
def test_other_draws_answer_otherwise_but_each_seed_always_the_same(learner, batch, norm) -> None:
    made = learner("abml", norm, sigma=0.1).double().eval()
    classifier = made.adapt(batch.support_x, batch.support_y)
    first, again, other = (classifier.resampled(seed)(batch.query_x) for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, classifier(batch.query_x))
    torch.testing.assert_close(classifier.resampled(0)(batch.query_x), classifier(batch.query_x))
    torch.testing.assert_close(classifier.select([2, 0]).resampled(5)(batch.query_x[[2, 0]]), first[[2, 0]])
    torch.testing.assert_close(classifier.detach().resampled(5)(batch.query_x), first)


def test_in_evaluation_all_tasks_draw_the_same_and_in_training_each_its_own(learner, batch) -> None:
    twice = batch.support_x[[0, 0]], batch.support_y[[0, 0]]
    made = learner("abml", "group", sigma=0.1).double()
    for training in (True, False):
        logits = made.train(training).adapt(*twice)(batch.query_x[[0, 0]])
        torch.testing.assert_close(logits[0], logits[1])
    shifted = batch.support_x.clone()
    shifted[0, 0, 0, 0, 0] = 1 - shifted[0, 0, 0, 0, 0]
    made.train()
    assert seeds_of(shifted, True)[0] != seeds_of(batch.support_x, True)[0]
    assert seeds_of(shifted, False) == seeds_of(batch.support_x, False)


@pytest.mark.parametrize("wrong", [{"samples": 0}, {"inner_samples": 0}, {"sigma": 0.0}, {"kl_weight": -1.0}])
def test_settings_that_cannot_be_are_refused(learner, wrong) -> None:
    ((name, value),) = wrong.items()
    with pytest.raises(RobustMetaError, match=rf"\b{name} (is )?{value:g}\b.*there must be a sample at least"):
        learner("abml", **wrong)


def test_a_divergence_whose_steps_overshoot_is_refused(learner) -> None:
    with pytest.raises(
        RobustMetaError, match=r"inner_lr \* kl_weight is 1e-06, and sigma squared 1e-06; it must be bel"
    ):
        learner("abml", inner_lr=0.1, kl_weight=1e-5, sigma=1e-3)

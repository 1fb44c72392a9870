"""The majority vote against binomial tails, and against linear classifiers, whose smoothed answer is their own."""

import numpy as np
import pytest
import torch
from scipy.stats import binom, norm

from robustmeta.certification.certify import smoothed
from robustmeta.certification.majority import MajorityVote, vote_bound
from robustmeta.certification.smoothing import Smoothing


@pytest.mark.parametrize("alpha", [0.001, 0.2])
@pytest.mark.parametrize("number", [7, 300])
def test_at_the_lower_bound_so_many_votes_have_the_probability_alpha(number: int, alpha: float) -> None:
    votes = np.arange(1, number + 1)
    bound = vote_bound(votes, number, alpha)
    assert binom.sf(votes - 1, number, bound) == pytest.approx(np.full(number, alpha), rel=1e-6)
    assert vote_bound(np.zeros(1), number, alpha) == 0


def test_the_radius_is_the_quantile_of_the_bound_and_half_or_less_abstains(known) -> None:
    votes = torch.tensor([[[1.0, 0], [1, 0], [0, 1]], [[1, 0], [0, 1], [0, 1]]]).double()[:, None]  # 2 draws, 3 queries
    draws = [votes[0]] * 30 + [votes[1]] * 10
    radius = MajorityVote(known(None)).radius(draws, 40, torch.zeros(1, 3, dtype=torch.long), 0.01)
    p = 0.01 ** (1 / 40)
    assert radius[0, 0] == pytest.approx(norm.ppf(p))
    (three_quarters,) = vote_bound(np.array([30.0]), 40, 0.01)
    assert radius[0, 1] == pytest.approx(norm.ppf(three_quarters))
    assert radius[0, 1] > 0
    assert radius[0, 2] == 0


def test_a_wrong_guess_abstains_whatever_the_votes(known) -> None:
    votes = torch.tensor([[[0.0, 1.0]]]).double()
    assert MajorityVote(known(None)).radius([votes] * 1000, 1000, torch.zeros(1, 1, dtype=torch.long), 0.5) == 0


def test_logits_that_are_not_finite_vote_for_nobody(known) -> None:
    logits = torch.tensor([[[2.0, 1.0], [float("nan"), 1.0], [1.0, float("inf")]]])
    votes = MajorityVote(known(lambda _: logits)).score(torch.zeros(1, 3, 1, 1, 2))
    assert votes.tolist() == [[[1, 0], [0, 0], [0, 0]]]


def test_with_many_draws_the_radius_of_a_linear_classifier_is_its_margin(linear, points) -> None:
    distance = torch.tensor([0.2, 0.5, 1.0])  # of sigma 0.5, so p is Phi(0.4), Phi(1), Phi(2)
    smoothing = Smoothing(0.5, samples=10_000)
    guess, radius = smoothed(MajorityVote(linear()), points(distance), smoothing, [3])
    assert (guess == 0).all()
    # To first order the bound is z_alpha standard errors of a share below it, give or take three of chance.
    p = norm.cdf(distance / 0.5)
    error = 0.5 * np.sqrt(p * (1 - p) / 10_000) / norm.pdf(distance / 0.5)
    short = distance.numpy() - radius[0].numpy()
    assert (short > 0).all()
    assert (np.abs(short - norm.isf(0.001) * error) < 3.5 * error).all()


@pytest.mark.parametrize(("alpha", "distance"), [(0.1, 0.3), (0.02, 0.1)])
def test_wrong_certificates_are_at_most_alpha_of_them(linear, points, alpha: float, distance: float) -> None:
    queries = points(torch.full((4000,), distance))
    smoothing = Smoothing(0.25, samples=80, selection=5, alpha=alpha)
    _, radius = smoothed(MajorityVote(linear()), queries, smoothing, [0])
    wrong = int((radius > distance).sum())
    assert wrong <= binom.ppf(0.9999, 4000, alpha)
    assert wrong >= 4000 * alpha / 10  # it could be wrong: the bound is not so wide that nothing is tested


def test_no_attack_of_a_certified_length_flips_the_smoothed_linear_classifier(linear, points) -> None:
    distance = torch.linspace(-1.5, 1.5, 600)
    x = points(distance)
    guess, radius = smoothed(MajorityVote(linear()), x, Smoothing(0.5, samples=400, alpha=1e-7), [1])
    certified = radius[0] > 0
    assert 300 < certified.sum() < 600
    # By symmetry the smoothed classifier is the linear one; its shortest way to the other class is along the normal.
    toward = torch.tensor([-0.6, 0.8]).double() * distance.sign()[:, None]
    for share in (0.5, 1.0):
        moved = x + (share * radius[0][:, None] * toward)[None, :, None, None]
        assert torch.equal(linear()(moved).argmax(-1)[0][certified], guess[0][certified])
    beyond = x + ((distance.abs() + 1e-3)[:, None] * toward)[None, :, None, None]
    assert (linear()(beyond).argmax(-1)[0] != linear()(x).argmax(-1)[0]).all()

"""The smoothed embedding against embeddings whose smoothed map is known."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import binom
from torch import Tensor

from robustmeta.certification.certify import smoothed
from robustmeta.certification.embedding import EmbeddingCertificate, mean_bound
from robustmeta.certification.smoothing import Smoothing
from robustmeta.errors import RobustMetaError

HALF_PI = math.sqrt(math.pi / 2)


def circle(angle: Tensor) -> Tensor:
    return torch.stack([angle.cos(), angle.sin()], -1)


def first_pixel(images: Tensor) -> Tensor:
    return images.flatten(2)[..., 0]


def on_a_line(x: Tensor) -> Tensor:
    """Images `[1, Q, 1, 1, 2]` with first pixels `[Q]`."""
    return torch.stack([x, torch.full_like(x, 0.5)], -1)[None, :, None, None].double()


def test_the_bound_of_a_mean_in_one_line_of_sums() -> None:
    x, alpha = np.random.default_rng(0).beta(2, 5, 400), 0.05
    means = (0.5 + np.cumsum(x)) / np.arange(2, 402)
    variances = (0.25 + np.cumsum((x - means) ** 2)) / np.arange(2, 402)
    means, variances = np.r_[0.5, means[:-1]], np.r_[0.25, variances[:-1]]
    weights = np.minimum(np.sqrt(2 * np.log(1 / alpha) / (400 * variances)), 0.75)
    cost = (x - means) ** 2 * (-np.log(1 - weights) - weights)
    expected = ((weights * x - cost).sum() + np.log(alpha)) / weights.sum()
    found = mean_bound(torch.from_numpy(2 * x - 1), 400, alpha)
    assert found.item() == pytest.approx(2 * expected - 1)
    assert 0 < 2 * x.mean() - 1 - found < 2 * math.sqrt(2 * math.log(1 / alpha) / 400)  # Hoeffding's


def test_the_product_behind_the_bound_has_an_expectation_of_at_most_1() -> None:
    """Of draws of 0 or 1, the extreme ones, whatever the guess of their mean and the weight."""
    chance, guess, weight = np.meshgrid(np.linspace(0, 1, 41), np.linspace(0, 1, 41), np.linspace(0, 0.75, 16))
    expectation = 0.0
    for x, share in ((0, 1 - chance), (1, chance)):
        gained = weight * (x - chance) - (x - guess) ** 2 * (-np.log(1 - weight) - weight)
        expectation = expectation + share * np.exp(gained)
    assert expectation.max() <= 1 + 1e-12


@pytest.mark.parametrize("chance", [0.5, 0.9, 0.995])
def test_the_bound_of_a_mean_is_above_it_at_most_alpha_of_the_time(chance: float) -> None:
    draws = 2.0 * (np.random.default_rng(0).random((60, 20_000)) < chance) - 1
    bound = mean_bound(torch.from_numpy(draws), 60, 0.2)
    assert (bound > 2 * chance - 1).double().mean() <= 0.2


def test_the_smoothed_map_of_a_rotation_and_its_radius(embedded) -> None:
    """f(x) = (cos ax, sin ax) has g(x) = exp(-sigma^2 a^2 / 2) f(x), whose borders are where those of f are."""
    a, sigma, between = 4.0, 0.25, 2 * math.pi / 3
    prototypes = circle(between * torch.arange(3.0))  # with 0 in their middle
    classifier = embedded(lambda images: 7 * circle(a * first_pixel(images)), prototypes)
    x = torch.tensor([0.0, 0.05, 0.1, 0.3, 0.375])
    guess, radius = smoothed(EmbeddingCertificate(classifier), on_a_line(x), Smoothing(sigma, samples=4000), [0])
    assert guess[0].tolist() == [0, 0, 0, 1, 1]
    to_border = (a * x - between / 2).abs()
    margin = math.exp(-((sigma * a) ** 2) / 2) * to_border.sin()
    limit, radius = sigma * HALF_PI * margin, radius[0]
    assert (radius < limit).all()
    # It is no looser than Hoeffding's for draws in [-1, 1], and as much again is for chance.
    assert (radius > limit - 2 * sigma * HALF_PI * math.sqrt(2 * math.log(2000) / 4000)).all()
    assert (limit <= to_border / a).all()  # the true distance, found where the angle is that of the border
    assert (radius[:3] > 0).all()


@pytest.mark.parametrize("sigma", [0.1, 0.25, 1.0])
@pytest.mark.parametrize("step", [True, False])
def test_the_theorem_holds_on_a_grid_of_smoothed_maps(sigma: float, step: bool) -> None:
    """m(x) sigma sqrt(pi / 2) is never more than the distance to where m changes sign, of maps smoothed in closed form.

    f(x) = sign(x), whose m(x) = 2 Phi(x / sigma) - 1 is the steepest there is, or the cosine of an angle.
    """
    x = np.linspace(0, 3, 2001)
    for a in (1.0,) if step else (0.5, 2.0, 8.0):
        normal = torch.special.ndtr(torch.from_numpy(x / sigma)).numpy()
        m = 2 * normal - 1 if step else np.exp(-((sigma * a) ** 2) / 2) * np.sin(a * x)
        inside = x[(x < math.pi / (2 * a)) | step]
        assert (sigma * HALF_PI * m[: len(inside)] <= inside + 1e-12).all()
    if step:  # and the constant is the least: near the border both agree
        assert sigma * HALF_PI * m[1] == pytest.approx(x[1], rel=1e-3)


@pytest.mark.parametrize("alpha", [0.1, 0.3])
def test_wrong_radii_are_at_most_alpha_of_them(embedded, alpha: float) -> None:
    sigma, x = 0.25, 0.2
    classifier = embedded(lambda images: first_pixel(images).sign()[..., None] * torch.tensor([1.0, 0]),
                          torch.tensor([[1.0, 0], [-1.0, 0]]))  # fmt: skip
    smoothing = Smoothing(sigma, samples=150, selection=5, alpha=alpha)
    _, radius = smoothed(EmbeddingCertificate(classifier), on_a_line(torch.full((3000,), x)), smoothing, [0])
    true = sigma * HALF_PI * math.erf(x / sigma / math.sqrt(2))
    assert (radius > true).sum() <= binom.ppf(0.9999, 3000, alpha)
    assert (radius > 0).double().mean() > 0.9


def test_the_nearest_border_of_several_counts_each_at_its_share_of_alpha(embedded) -> None:
    given = torch.tensor([[1.0, 0, 0], [0.6, 0.8, 0], [0, 0, 1]]).double()
    certificate = EmbeddingCertificate(embedded(None, given))
    directions = F.normalize(given - given.mean(0), dim=-1)
    noise = torch.randn(400, 1, 2, 3, generator=torch.Generator().manual_seed(0)).double()
    features = F.normalize(directions[0] - 0.2 * directions[2] + noise / 5, dim=-1)
    scores, first = [f @ directions.T for f in features], torch.zeros(1, 2, dtype=torch.long)
    radius = certificate.radius(scores, 400, first, 0.06)
    for query in range(2):
        normals = [F.normalize(directions[0] - directions[rival], dim=-1) for rival in (1, 2)]
        near, far = (mean_bound(features[:, 0, query] @ normal, 400, 0.03) for normal in normals)
        assert near < far
        assert radius[0, query] == pytest.approx(HALF_PI * near)
    assert (certificate.radius(scores, 400, first + 1, 0.06) == 0).all()


def test_equal_prototypes_abstain(embedded) -> None:
    certificate = EmbeddingCertificate(embedded(None, torch.tensor([[1.0, 0], [1.0, 0]])))
    assert certificate.radius([torch.ones(1, 1, 2).double()] * 1000, 1000, torch.zeros(1, 1).long(), 0.1) == 0


def test_an_embedding_is_never_longer_than_1(embedded) -> None:
    certificate = EmbeddingCertificate(embedded(None, torch.tensor([[1.0, 0], [-1.0, 0]])))
    features = torch.tensor([[[3.0, 4.0], [0.0, 0.0], [float("nan"), 1.0], [float("inf"), 1.0], [1e-30, 0.0]]])
    found = certificate.cosines(features)[0, :, 0]
    assert found[:4].tolist() == [pytest.approx(0.6), 0, 0, 0]
    assert 0 <= found[4] <= 1


@pytest.mark.parametrize(("name", "norm"), [("transfer", "running"), ("protonet", "running"), ("protonet", "support")])
def test_with_little_noise_it_is_the_nearest_prototype_by_cosine(learner, batch, name: str, norm: str) -> None:
    made = learner(name, norm).eval().double()
    classifier = made.adapt(batch.support_x, batch.support_y)
    certificate = EmbeddingCertificate(classifier)
    found = certificate.score(batch.query_x)
    features, prototypes = classifier.asked(lambda _, features: features, batch.query_x), classifier.state[0]
    for task, query, way in ((0, 0, 0), (1, 4, 2), (2, 8, 1)):
        middle = prototypes[task].mean(0) if name == "protonet" else 0.0
        one, other = features[task, query] - middle, prototypes[task, way] - middle
        assert found[task, query, way].item() == pytest.approx(F.cosine_similarity(one, other, dim=0).item())
    guess, _ = smoothed(certificate, batch.query_x, Smoothing(1e-9, samples=2, selection=1), [0, 1, 2])
    assert torch.equal(guess, found.argmax(-1))
    if name == "transfer":  # whose own decision it is
        assert torch.equal(guess, classifier(batch.query_x).argmax(-1))


@pytest.mark.parametrize("name", ["maml", "matching"])
def test_learners_without_prototypes_are_told_what_to_take(learner, batch, name: str) -> None:
    classifier = learner(name).eval().double().adapt(batch.support_x, batch.support_y)
    with pytest.raises(RobustMetaError, match="take 'majority', which is for any"):
        EmbeddingCertificate(classifier)

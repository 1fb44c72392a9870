"""Certified episodes: the rows, the noise, and what is asked of learners."""

import numpy as np
import pytest
import torch
from torch import Tensor

import robustmeta
from robustmeta.certification import (
    CERTIFICATES,
    Certificate,
    Smoothing,
    certified_rows,
    certify,
    certify_episodes,
    measure_certified,
)
from robustmeta.certification.certify import smoothed
from robustmeta.errors import RobustMetaError
from robustmeta.interval import mean_interval
from robustmeta.learners import LEARNERS
from robustmeta.outcomes import Outcomes
from robustmeta.report.table import attack_names, comparison

FEW = Smoothing(0.1, samples=60, selection=10, alpha=0.01, radii=(0.05, 0.1, 0.2))


class Seen(Certificate):
    """Keeps the images it is asked to score; its radius is the mean score of the guess."""

    def __init__(self, classifier) -> None:
        super().__init__(classifier)
        self.images: list[Tensor] = []

    def score(self, images: Tensor) -> Tensor:
        self.images.append(images)
        return torch.nn.functional.one_hot(torch.full(images.shape[:2], len(self.images) > 3).long(), 2).double()

    def radius(self, scores, number: int, guess: Tensor, alpha: float) -> Tensor:
        return (sum(scores) / number).gather(-1, guess[..., None])[..., 0] + alpha


@pytest.mark.parametrize("certificate", list(CERTIFICATES))
def test_rows_count_abstentions_as_errors(learner, episodes, certificate: str) -> None:
    tasks, made = episodes(seed=3), learner("protonet", "running")
    rows = certify(made, tasks, 12, sigma=0.1, radii=FEW.radii, samples=60, selection=10, alpha=0.01,
                   certificate=certificate)  # fmt: skip
    smoothing = Smoothing(0.1, 60, 10, 0.01, FEW.radii, certificate)
    outcomes = measure_certified(made, tasks, smoothing, 12, seed=3)
    labels, radius = tasks.batch(range(12)).query_y.numpy(), outcomes.evidence["radius"]
    assert 0 < (radius == 0).mean() < 1
    right = outcomes.evidence["predicted"] == labels
    expected = {"smoothed": 0.0, "certified-L2-0.05": 0.05, "certified-L2-0.1": 0.1, "certified-L2-0.2": 0.2}
    assert list(rows["attack"]) == ["clean", *expected]
    table = rows.set_index("attack")
    for name, r in expected.items():
        held = right & (radius > r)
        assert (outcomes.right[name] == held).all()
        assert (table.accuracy[name], table.ci95[name]) == mean_interval(held.mean(1))
        drop = outcomes.right["clean"].mean(1) - held.mean(1)
        assert (table["drop"][name], table.drop_ci95[name]) == mean_interval(drop)
        assert (table.eps[name], table.target[name], table.threat_norm[name]) == (r, "certified", "L2")
        assert table.abstained[name] == pytest.approx((radius == 0).mean())
        assert (table.forwards[name], table.backwards[name]) == (12 * 9 * 70, 0)
    assert (table.eps["clean"], table.target["clean"], table.abstained["clean"]) == (0, "", 0)
    accuracy = list(table.accuracy.iloc[1:])
    assert accuracy == sorted(accuracy, reverse=True)
    assert table.accuracy["smoothed"] <= 1 - table.abstained["smoothed"]
    settings = rows[["learner", "certificate", "sigma", "samples", "selection", "alpha"]].to_numpy().tolist()
    assert settings == [["protonet", certificate, 0.1, 60, 10, 0.01]] * 5


def test_the_clean_row_is_that_of_evaluate(learner, episodes) -> None:
    made, tasks = learner("protonet", "running"), episodes()
    rows = certify(made, tasks, 6, samples=2)
    attacked = robustmeta.evaluate(made, tasks, ["fgsm"], 6)
    shared = ["learner", "defense", "backbone", "norm_policy", "dataset", "split", "ways", "shots", "queries", "seed",
              "episodes", "attack", "accuracy", "ci95", "drop", "target", "forwards", "torch"]  # fmt: skip
    assert list(rows[shared].iloc[0]) == list(attacked[shared].iloc[0])
    both = robustmeta.evaluate(made, tasks, ["fgsm"], 6)
    joined = [row for frame in (both, rows.iloc[1:]) for row in frame.to_dict("records")]
    table = comparison(type(rows)(joined))
    assert attack_names(type(rows)(joined)) == ["clean", "fgsm", "worst", *rows["attack"].iloc[1:]]
    assert len(table) == 1


def test_a_task_draws_the_same_whatever_stands_beside_it(learner, episodes) -> None:
    made, tasks, random = learner("protonet", "running"), episodes(), torch.get_rng_state()
    together = certify_episodes(made, tasks.batch([0, 1, 2, 3]), FEW, 5)
    apart = Outcomes()
    for indices in ([0], [1, 2], [3]):
        apart = apart.extended(certify_episodes(made, tasks.batch(indices), FEW, 5))
    other = certify_episodes(made, tasks.batch([0, 1, 2, 3]), FEW, 6)
    assert torch.equal(torch.get_rng_state(), random)
    np.testing.assert_allclose(apart.evidence["radius"], together.evidence["radius"], atol=1e-6)
    assert all((apart.right[name] == right).all() for name, right in together.right.items())
    assert not np.allclose(other.evidence["radius"], together.evidence["radius"])


def test_the_noise_is_gaussian_not_clipped_and_anew_for_each_draw(known) -> None:
    certificate = Seen(known(None))
    x = torch.full((2, 3, 1, 20, 20), 0.95)
    smoothing = Smoothing(0.5, samples=4, selection=3, alpha=0.25)
    guess, radius = smoothed(certificate, x, smoothing, [7, 8])
    noise = torch.stack(certificate.images) - x
    assert noise.shape[0] == 7
    assert noise.mean().item() == pytest.approx(0, abs=0.02)
    assert noise.std().item() == pytest.approx(0.5, abs=0.02)
    assert (x + noise).max() > 1.5
    flat = noise.flatten(3).flatten(0, 2)
    assert torch.corrcoef(flat).fill_diagonal_(0).abs().max() < 0.25  # 400 pixels: a correlation of 0.05, sd
    # The first three scores say 0, which chooses it; the four after, which bound it, say 1: nothing is for 0.
    assert (guess == 0).all()
    assert (radius == 0.5 * 0.25).all()


def test_twice_the_noise_is_twice_the_radius_of_the_same_votes(linear, points) -> None:
    x = points(torch.linspace(-1, 1, 40))
    certificate = CERTIFICATES["majority"](linear())
    once, twice = (smoothed(certificate, s * x, Smoothing(0.3 * s, samples=50), [0])[1] for s in (1, 2))
    torch.testing.assert_close(twice, 2 * once)
    assert once.max() > 0


def test_outcomes_are_kept_like_those_of_attacks(learner, episodes, tmp_path) -> None:
    seen: list[int] = []
    outcomes = measure_certified(learner("protonet", "running"), episodes(queries=5), FEW, 13, report=seen.append)
    assert seen == [0, 10, 13]
    outcomes.save(tmp_path / "certified.npz")
    back = Outcomes.load(tmp_path / "certified.npz", tuple(FEW.radius_of))
    assert all((back.right[name] == right).all() and right.shape == (13, 15) for name, right in outcomes.right.items())
    about = {"learner": "protonet", "defense": "natural"}
    assert certified_rows(back, FEW, about).equals(certified_rows(outcomes, FEW, about))


@pytest.mark.parametrize("name", list(LEARNERS))
def test_every_learner_takes_images_outside_the_unit_range(learner, episodes, name: str) -> None:
    made, batch = learner(name, "running"), episodes().batch([0, 1])
    smoothing = Smoothing(2.0, samples=20, selection=2, alpha=0.4)
    first, again = (certify_episodes(made, batch, smoothing, 0).evidence for _ in range(2))
    assert (first["radius"] > 0).any()
    assert all((first[key] == again[key]).all() for key in first)  # draws at adaptation are fixed: randomised ones, too


def test_transductive_classifiers_are_refused(learner, episodes) -> None:
    with pytest.raises(RobustMetaError, match=r"transductive.*running, support or group"):
        certify(learner("protonet", "transductive"), episodes(), 2, samples=2)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"sigma": 0.0}, "sigma is 0;.*above 0"),
        ({"sigma": float("nan")}, "sigma is nan"),
        ({"samples": 1}, "samples is 1"),
        ({"selection": 0}, "selection 0"),
        ({"alpha": 1.0}, "alpha is 1; it must lie between 0 and 1"),
        ({"radii": (0.5, 0.0)}, "radii are 0.5, 0;.*above 0"),
        ({"radii": (0.5, 0.5)}, "differ"),
        ({"certificate": "majorty"}, "did you mean 'majority'"),
        ({"episodes": 1}, "an interval needs at least 2"),
    ],
)
def test_wrong_settings_are_said(learner, episodes, setting: dict, said: str) -> None:
    with pytest.raises(RobustMetaError, match=said):
        certify(learner(), episodes(), **setting)


def test_radii_of_a_recipe_are_a_list() -> None:
    assert Smoothing(radii=[1, 0.5]) == Smoothing(radii=(1.0, 0.5))  # type: ignore[arg-type]
    assert list(Smoothing(radii=()).radius_of) == ["smoothed"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"radii": 0.5}, r"certify: radii is 0.5; it must be a list, as \(0.25, 0.5\)"),
        ({"sigma": "much"}, r"certify: sigma: is 'much'; it must be a number"),
        ({"samples": 10.5}, r"certify: samples: is 10.5; it must be a whole number"),
    ],
)
def test_settings_of_another_type(learner, episodes, settings, message) -> None:
    with pytest.raises(RobustMetaError, match=message):
        certify(learner("protonet", "running"), episodes(), 2, **settings)

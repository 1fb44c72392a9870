"""Random noise: inside the ball, the best of its tries, and what it finds where there is much to find."""

import pytest
import torch

from robustmeta.attacks.base import Threat, craft
from robustmeta.attacks.noise import UniformNoise
from robustmeta.attacks.projected_gradient import margin
from robustmeta.errors import RobustMetaError

NORMS = pytest.mark.parametrize("norm", ["Linf", "L2"])


@NORMS
def test_points_are_uniform_in_the_box_or_on_the_sphere(problem, norm) -> None:
    p = problem(norm, tasks=2, queries=100, size=10)
    moved = UniformNoise(Threat(norm, 0.01), 1)(p.classifier, p.images, p.labels, [0, 1])
    step = (moved - p.images) / 0.01
    assert moved.min() > 0  # nothing was clipped, so the law of the draw is seen whole
    if norm == "Linf":  # its mean is 0 and its variance 1/3; standard errors are 0.004 and 0.002
        assert step.abs().max() <= 1 + 1e-4
        assert abs(step.mean()) < 0.02
        assert abs(step.square().mean() - 1 / 3) < 0.01
    else:  # every coordinate of the sphere has mean 0 and variance 1/100, and fourth moment 3/(100 * 102)
        assert torch.allclose(step.flatten(2).norm(dim=-1), torch.ones(2, 100), atol=1e-3)
        assert abs(step.mean()) < 0.003
        assert abs(step.pow(4).mean() / (3 / (100 * 102)) - 1) < 0.1


@NORMS
def test_it_keeps_the_try_of_highest_margin(problem, norm) -> None:
    p = problem(norm, queries=4)
    seen = []
    p.classifier.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    moved = UniformNoise(Threat(norm, 0.9 * p.distance), 5)(p.classifier, p.images, p.labels, [3, 4])
    tries = torch.stack(seen)
    assert tries.shape[0] == 5
    best = torch.stack([margin(p.classifier(x), p.labels) for x in tries]).argmax(0)
    for t in range(2):
        for q in range(4):
            assert torch.equal(moved[t, q], tries[best[t, q], t, q])


@NORMS
def test_it_fools_through_a_wide_opening_and_never_where_there_is_none(problem, norm) -> None:
    p = problem(norm, queries=8)
    for factor, fools in ((15, True), (0.98, False)):
        attack = UniformNoise(Threat(norm, factor * p.distance), 200)
        assert (p.fooled(craft(attack, p.classifier, p.images, p.labels, [0, 1])) == fools).all()


def test_a_fooled_query_is_left_alone_unless_queries_depend_on_each_other(problem) -> None:
    p = problem("Linf", tasks=1, queries=8)
    passed = []
    p.classifier.register_forward_pre_hook(lambda _, inputs: passed.append(inputs[0].shape[1]))
    attack = UniformNoise(Threat("Linf", 1.0), 200)
    attack(p.classifier, p.images, p.labels, [0])
    assert passed[-1] < 8
    assert len(passed) < 200
    p.classifier.inductive = False
    passed.clear()
    attack(p.classifier, p.images, p.labels, [0])
    assert passed == [8] * 200


def test_a_tasks_outcome_hangs_on_its_seed_alone(problem) -> None:
    p = problem("Linf", tasks=3)
    attack = UniformNoise(Threat("Linf", 0.5 * p.distance), 3)
    together = attack(p.classifier, p.images, p.labels, [3, 1, 4])
    apart = attack(p.classifier.select([2, 0]), p.images[[2, 0]], p.labels[[2, 0]], [4, 3])
    assert torch.equal(together[[2, 0]], apart)
    assert not torch.equal(together, attack(p.classifier, p.images, p.labels, [5, 6, 7]))


def test_settings() -> None:
    with pytest.raises(RobustMetaError, match="tries is 0; it must be at least 1"):
        UniformNoise(tries=0)
    assert UniformNoise(Threat("L2", 2.0), 7).scaled(0.5) == UniformNoise(Threat("L2", 1.0), 7)

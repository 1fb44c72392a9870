"""The meter, against costs counted by hand."""

import pytest
import torch

from robustmeta.attacks.base import Threat
from robustmeta.attacks.meter import Meter, Metered, MeteredLearner
from robustmeta.attacks.projected_gradient import FGSM, ProjectedGradient
from robustmeta.attacks.torchattacks_adapter import TorchAttack


@pytest.mark.parametrize("steps", [1, 4])
def test_a_step_costs_a_forward_and_a_backward_of_each_query_and_the_last_iterate_a_forward(problem, steps) -> None:
    p, meter = problem("Linf", tasks=2, queries=3), Meter()
    ProjectedGradient(Threat("Linf", 0.01), steps)(Metered(p.classifier, meter), p.images, p.labels)
    assert (meter.forwards, meter.backwards) == (6 * (steps + 1), 6 * steps)


def test_a_library_pays_through_the_frozen_tasks_it_is_given(problem) -> None:
    p, meter = problem("Linf", tasks=2, queries=3), Meter()
    attack = TorchAttack("MIFGSM", Threat("Linf", 0.01), {"steps": 5, "step_size_over_eps": 0.5})
    moved = attack(Metered(p.classifier, meter), p.images, p.labels, [0, 1])
    assert (meter.forwards, meter.backwards) == (30, 30)
    assert torch.equal(moved, attack(p.classifier, p.images, p.labels, [0, 1]))


def test_without_a_gradient_nothing_goes_backwards(problem) -> None:
    p, meter = problem("Linf"), Meter()
    with torch.no_grad():
        Metered(p.classifier, meter).detach().select([1])(p.images[1:])
    assert (meter.forwards, meter.backwards) == (3, 0)


def test_an_adaptation_costs_its_support_once(learner, episodes) -> None:
    batch, meter = episodes().batch(range(2)), Meter()
    classifier = MeteredLearner(learner("maml").eval(), meter).adapt(batch.support_x, batch.support_y)
    assert (meter.forwards, meter.backwards) == (2 * 6, 0)
    FGSM(0.1)(classifier, batch.query_x, batch.query_y)
    assert (meter.forwards, meter.backwards) == (2 * 6 + 2 * 2 * 9, 2 * 9)

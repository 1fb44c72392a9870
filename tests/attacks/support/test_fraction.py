"""Which images are drawn, and which settings are refused."""

import pytest
import torch

from robustmeta.attacks.base import Threat
from robustmeta.attacks.engine import ENGINES
from robustmeta.attacks.support import Joint, Poison, Swap
from robustmeta.attacks.support.fraction import FractionAttack, drawn
from robustmeta.errors import RobustMetaError


@pytest.mark.parametrize(
    ("fraction", "images", "number"), [(0.2, 5, 1), (0.2, 25, 5), (0.01, 6, 1), (0.3, 12, 4), (1.0, 6, 6)]
)
def test_a_fraction_is_rounded_and_at_least_one_image(fraction, images, number) -> None:
    mask = drawn(torch.zeros(4, images).long(), fraction, range(4))
    assert mask.sum(1).tolist() == [number] * 4


def test_each_task_draws_by_its_seed_and_each_image_is_as_likely() -> None:
    labels = torch.zeros(300, 5).long()
    mask = drawn(labels, 0.2, range(300))
    assert torch.equal(drawn(labels[:2], 0.2, [7, 3]), mask[[7, 3]])
    assert mask.sum(0).min() > 30  # 60 expected; 30 is more than four standard deviations below


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fraction": 0.0}, "fraction is 0; it must be a share of the support"),
        ({"fraction": 20.0}, "fraction is 20;"),
        ({"fraction": torch.nan}, "fraction is nan;"),
        ({"loss": "cw"}, "unknown attack loss 'cw'"),
        ({"steps": 0}, "steps is 0"),
        ({"step_size": -0.1}, "step_size is -0.1; it must be at least 0"),
    ],
)
def test_wrong_settings_are_refused(settings, message) -> None:
    with pytest.raises(RobustMetaError, match=message):
        Poison(**settings)


def test_scaled_scales_budget_and_step() -> None:
    attack = Swap(Threat("Linf", 0.2), step_size=0.1).scaled(0.5)
    assert (attack.threat.eps, attack.step_size) == (0.1, 0.05)
    assert Joint(Threat("Linf", 0.2)).scaled(0.5).step_size is None


@pytest.mark.parametrize(("engine", "kind"), [("poison", Poison), ("swap", Swap), ("joint", Joint)])
def test_cards_build_them_with_steps_in_units_of_eps(engine, kind) -> None:
    attack = ENGINES[engine](Threat("L2", 2.0), fraction=0.5, steps=7, step_size_over_eps=0.25, loss="margin")
    assert attack == kind(Threat("L2", 2.0), 0.5, 7, 0.5, "margin")
    assert attack.traits.target == ("joint" if engine == "joint" else "support")
    assert (attack.traits.knowledge, attack.traits.loss, attack.traits.steps) == ("white-box", "margin", 7)
    with pytest.raises(RobustMetaError, match="step_size_over_eps is 0; it must be a number above 0"):
        ENGINES[engine](Threat(), fraction=0.5, step_size_over_eps=0.0)


def test_an_unfinished_attack_says_what_it_lacks() -> None:
    with pytest.raises(NotImplementedError, match="FractionAttack must define __call__"):
        FractionAttack()(None, None, None)

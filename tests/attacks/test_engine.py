"""From the name of an engine to the builder of its attacks."""

import pytest

from robustmeta.attacks import ProjectedGradient, Threat, TorchAttack
from robustmeta.attacks.engine import ENGINES, builder
from robustmeta.errors import RobustMetaError


def test_importing_the_package_registers_every_engine() -> None:
    assert set(ENGINES) == {
        "apgd", "joint", "noise", "poison", "projected_gradient", "square", "swap", "torchattacks.<Class>", "transfer"
    }  # fmt: skip


def test_builders_make_attacks_of_their_parameters() -> None:
    threat = Threat("L2", 2.0)
    made = builder("projected_gradient")(threat, steps=3, step_size_over_eps=0.25, loss="margin")
    assert made == ProjectedGradient(threat, steps=3, step_size=0.5, loss="margin")
    assert builder("torchattacks.APGD")(threat, steps=3) == TorchAttack("APGD", threat, {"steps": 3})


@pytest.mark.parametrize("name", ["torchattack.APGD", "torchattacks", "torchattacks.", "nois"])
def test_an_unknown_engine_is_refused_with_the_nearest(name) -> None:
    with pytest.raises(RobustMetaError, match=r"unknown attack engine .*; did you mean '(torchattacks.<Class>|noise)'"):
        builder(name)

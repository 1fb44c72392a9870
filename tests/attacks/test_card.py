"""Cards that ship, cards of a user's own, and the line of every mistake in one."""

import subprocess
import sys
from pathlib import Path

import pytest

from robustmeta.attacks.apgd import AutoPGD
from robustmeta.attacks.base import Threat
from robustmeta.attacks.card import card, names, resolve, suite
from robustmeta.attacks.noise import UniformNoise
from robustmeta.attacks.projected_gradient import ProjectedGradient
from robustmeta.attacks.square import Square
from robustmeta.attacks.torchattacks_adapter import TorchAttack
from robustmeta.attacks.torchattacks_classes import signature
from robustmeta.errors import RobustMetaError

TEXT = """\
name: mine
version: 1
engine: projected_gradient
norm: [Linf, L2]
parameters:
  steps: 3
  step_size_over_eps: 0.5
  loss: margin
target: query
knowledge: white-box
fewest_ways: 2
safe_in_training: true
source:
  authors: Somebody
  year: 2026
  title: Something
"""


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str, name: str = "mine") -> str:
        path = tmp_path / f"{name}.yaml"
        path.write_text(text)
        return str(path)

    return write


@pytest.mark.parametrize("name", names())
def test_every_card_that_ships_builds_and_fits(name: str, learner) -> None:
    made = card(name)
    twin = learner("protonet") if made.knowledge == "transfer" else None
    assert made.name == name
    for norm in made.norm:
        attack = made.build(Threat(norm, 0.1), twin)
        assert attack.threat == Threat(norm, 0.1)
        assert (attack.traits.target, attack.traits.knowledge) == (made.target, made.knowledge)
        assert attack.scaled(0.5) == made.build(Threat(norm, 0.05), twin)
    for norm in ("Linf", "L2"):
        fitting = made.fit(norm, 2, channels=1)
        assert fitting.fewest_ways == 2
        assert norm in fitting.norm
        assert fitting.channels is None


def test_cards_mean_what_their_names_say() -> None:
    threat = Threat("Linf", 0.2)
    fgsm = ProjectedGradient(threat, steps=1, step_size=0.2, random_start=False)
    assert card("fgsm").build(threat) == fgsm
    assert card("pgd-7").build(threat) == ProjectedGradient(threat, steps=7, step_size=0.05)
    assert card("apgd-ce-100").build(threat) == AutoPGD(threat, steps=100, loss="ce")
    assert card("apgd-dlr-100").fit("Linf", 3) == card("apgd-dlr-100")
    assert card("apgd-dlr-100").fit("Linf", 2) == card("pgd-50-margin")
    assert card("mifgsm").fit("L2", 5) == card("pgd-50")
    assert card("tifgsm").fit("Linf", 5, channels=3) == card("tifgsm").fit("Linf", 5) == card("tifgsm")
    assert card("tifgsm").fit("Linf", 5, channels=1) == card("mifgsm")
    assert card("noise-100").build(threat) == UniformNoise(threat, 100)


def test_the_parts_of_autoattack_have_the_settings_of_its_authors() -> None:
    """As `AutoAttack(version="standard")` of github.com/fra31/auto-attack sets them, or leaves them at the default."""
    threat = Threat("L2", 0.5)
    ours = {
        "apgd-ce-100": AutoPGD(threat, 100, "ce", targets=0, restarts=1, rho=0.75),
        "apgd-t-100": AutoPGD(threat, 100, "dlr", targets=9, restarts=1, rho=0.75),
        "square-5000": Square(threat, 5000, p_init=0.8, loss="margin", rescale_schedule=False, restarts=1),
    }
    assert {name: card(name).build(threat) for name in ours} == ours
    parts = {
        "torchattacks-apgd-ce-100": ("APGD", {"steps": 100, "loss": "ce"}),
        "torchattacks-apgd-t-100": ("APGDT", {"steps": 100, "n_restarts": 1}),
        "fab-t-100": ("FAB", {"steps": 100, "n_restarts": 1, "multi_targeted": True}),
        "torchattacks-square-5000": (
            "Square", {"n_queries": 5000, "n_restarts": 1, "p_init": 0.8, "loss": "margin", "resc_schedule": False}
        ),
    }  # fmt: skip
    for name, (method, parameters) in parts.items():
        assert card(name).build(threat) == TorchAttack(method, threat, parameters)
    assert signature("APGD")["n_restarts"] == 1
    assert [signature(method)["rho"] for method in ("APGD", "APGDT")] == [0.75, 0.75]
    assert [signature("FAB")[name] for name in ("alpha_max", "eta", "beta")] == [0.1, 1.05, 0.9]
    assert card("apgd-t-100").fit("Linf", 3).build(threat) == card("pgd-100-margin").build(threat)
    assert [card(name).fit("Linf", 2).name for name in suite("autoattack").cards] == [
        "apgd-ce-100", "pgd-100-margin", "fab-t-100", "square-5000"
    ]  # fmt: skip


def test_the_hashes_that_committed_tables_carry_still_stand() -> None:
    assert [card(name).hash for name in ("fgsm", "mifgsm")] == ["c5efa61c16e7", "7182261ce471"]


def test_the_hash_hangs_on_the_content_and_not_on_the_layout(write) -> None:
    made = card(write(TEXT))
    lines = TEXT.splitlines()
    assert len(made.hash) == 12
    assert card(write("# a comment\n" + TEXT.replace("[Linf, L2]", "\n  - Linf\n  - L2"))).hash == made.hash
    assert card(write("\n".join([*lines[1:], lines[0]]))).hash == made.hash
    assert card(write(TEXT.replace("steps: 3", "steps: 4"))).hash != made.hash
    assert card(write(TEXT.replace("version: 1", "version: 2"))).hash != made.hash
    assert len({each.hash for each in resolve(names())}) == len(names())


def test_a_spec_is_a_suite_a_card_a_path_or_a_list_of_them(write) -> None:
    path = write(TEXT)
    assert [each.name for each in resolve("pgd-7")] == ["pgd-7"]
    assert [each.name for each in resolve(path)] == ["mine"]
    assert [each.name for each in resolve([path, "fgsm", "quick"])] == ["mine", "fgsm", "pgd-20", "pgd-20-margin"]
    attack = resolve(path)[0].build(Threat("L2", 2.0))
    assert attack == ProjectedGradient(Threat("L2", 2.0), steps=3, step_size=1.0, loss="margin")


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        ("pgd20", "did you mean 'pgd-20'"),
        ("standart", "did you mean 'standard'"),
        (["fgsm", "pgd-77"], "unknown attack or suite 'pgd-77'"),
        ("suite-quick", "unknown attack or suite"),
        ([], "no attacks"),
        ([{"name": "fgsm"}], "must be a suite"),
        ("no/such/card.yaml", "cannot read the attack card no/such/card.yaml: No such file"),
    ],
)
def test_a_wrong_spec_is_refused_with_the_nearest_name(spec, part) -> None:
    with pytest.raises(RobustMetaError, match=part) as caught:
        resolve(spec)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "line", "part"),
    [
        ("  steps: 3", "  step: 3", 6, "parameters.step: is not a setting here; did you mean 'steps'"),
        ("  steps: 3", "  steps: three", 6, "steps: is 'three'; it must be a whole number"),
        ("  steps: 3", "  steps: true", 6, "steps: is True"),
        ("  steps: 3\n", "", 5, "parameters: 'steps' is missing"),
        ("  steps: 3", "  steps: 0", 6, "must be at least 1"),
        ("  steps: 3", "  steps: 3\n  eps: 8", 7, "the recipe's threat gives eps, in [0, 1] pixel units; leave it out"),
        ("version: 1", "version: 1\neps: 0.1", 3, "the recipe's threat gives eps"),
        ("  steps: 3", "  steps: 3\n  threat: 3", 7, "is not a setting here"),
        ("over_eps: 0.5", "over_eps: 0", 7, "it must be a number above 0"),
        ("loss: margin", "loss: hinge", 8, "unknown attack loss 'hinge' (known: ce, kl, margin)"),
        ("parameters:", "parameters: [", 7, "flow sequence begun on line 5"),
        ("version: 1", "version: one", 2, "whole number"),
        ("version: 1", "version: 0", 2, "1 or more"),
        ("version: 1", "version: 1\nversion: 1", 3, "given twice"),
        ("version: 1\n", "", 1, "'version' is missing"),
        ("norm: [Linf, L2]", "norm: Linf", 4, "must be a list"),
        ("norm: [Linf, L2]", "norm: [L1]", 4, "is ['L1']; it must be a list of Linf and L2"),
        ("norm: [Linf, L2]", "norm: []", 4, "a list of Linf and L2"),
        ("engine: projected_gradient", "engine: foolbox", 3, "unknown attack engine 'foolbox'"),
        ("engine: projected_gradient", "engine: projectedgradient", 3, "did you mean 'projected_gradient'"),
        ("target: query", "target: weights", 9, "must be query, support or joint"),
        ("knowledge: white-box", "knowledge: grey-box", 10, "white-box, black-box or transfer"),
        ("fewest_ways: 2", "fewest_ways: 1", 11, "2 or more"),
        ("fewest_ways: 2", "fewest_ways: 2\nchannels: 4", 12, "1 or 3"),
        ("safe_in_training: true", "safe_in_training: yes", 12, "true or false"),
        ("safe_in_training", "save_in_training", 12, "did you mean 'safe_in_training'"),
        ("  year: 2026\n", "", 13, "source: 'year' is missing"),
        ("name: mine", "name: other", 1, "call both the same"),
        (TEXT, "", 1, "must be a mapping"),
        (TEXT, "- a\n", 1, "must be a mapping"),
    ],
)
def test_a_mistake_in_a_card_is_one_line_with_file_and_line(write, old, new, line, part) -> None:
    assert old in TEXT
    path = write(TEXT.replace(old, new))
    with pytest.raises(RobustMetaError) as caught:
        resolve(path)[0].build(Threat())
    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: ")
    assert part in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("engine", "parameters", "line", "part"),
    [
        ("APGD", "{loss: ce}", 5, "needs 'steps'"),
        ("APGD", "{steps: 5, los: ce}", 5, "did you mean 'loss'"),
        ("APGD", "\n  steps: 5\n  loss: cee", 7, "did you mean 'ce'"),
        ("APGD", "\n  steps: 5\n  seed: 1", 7, "given by the seeds"),
        ("APGD", "{steps: 5, loss: dlr}", 8, "fewest_ways: is 2; these parameters need 3 or more"),
        ("APGDT", "{steps: 5}", 8, "need 4 or more"),
        ("APDG", "{steps: 5}", 3, "did you mean 'APGD'"),
        ("JSMA", "{theta: 1.0}", 3, "keeps to no Linf or L2 budget"),
        ("PIFGSM", "{num_iter_set: 5}", 3, "works on images of 3 channels only; say channels: 3"),
        ("CW", "{steps: 5}", 3, "is an L2 attack"),
    ],
)
def test_parameters_of_torchattacks_are_checked_when_the_card_is_built(write, engine, parameters, line, part) -> None:
    text = TEXT.replace("projected_gradient", f"torchattacks.{engine}")
    path = write(text.replace("  steps: 3\n  step_size_over_eps: 0.5\n  loss: margin\n", "").replace(
        "parameters:", f"parameters: {parameters}"
    ))  # fmt: skip
    with pytest.raises(RobustMetaError, match=part) as caught:
        card(path).build(Threat("Linf", 0.1))
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert "\n" not in str(caught.value)


def test_a_card_refuses_a_norm_it_does_not_have_and_ways_that_nothing_stands_in_for(write) -> None:
    made = card(write(TEXT.replace("[Linf, L2]", "[Linf]").replace("fewest_ways: 2", "fewest_ways: 4")))
    with pytest.raises(RobustMetaError, match="'mine' is for Linf, not for L2"):
        made.build(Threat("L2", 0.1))
    with pytest.raises(RobustMetaError, match="4 ways or more, not for Linf and 3 ways"):
        made.fit("Linf", 3)
    colour = card(write(TEXT.replace("fewest_ways: 2", "fewest_ways: 2\nchannels: 3")))
    with pytest.raises(RobustMetaError, match="L2, 3 channels and 2 ways or more, not for Linf, 1 channel and 5 ways"):
        colour.fit("Linf", 5, channels=1)


def test_a_budget_in_256ths_is_refused_before_anything_is_built() -> None:
    with pytest.raises(RobustMetaError, match="eps is 8; it must lie in") as caught:
        card("pgd-20").build(Threat("Linf", 8))
    assert "\n" not in str(caught.value)


def test_two_different_cards_of_one_name_are_refused(write) -> None:
    shadow = write(TEXT.replace("name: mine", "name: fgsm"), "fgsm")
    with pytest.raises(RobustMetaError, match="another card named 'fgsm'"):
        resolve(["fgsm", shadow])
    assert resolve(["fgsm", "fgsm"]) == resolve("fgsm")


def test_reading_cards_imports_neither_torchattacks_nor_torchvision() -> None:
    code = (
        "import sys; from robustmeta.attacks import Threat, resolve; made = resolve('quick')[0].build(Threat());"
        "print(sorted({'torchattacks', 'torchvision'} & sys.modules.keys()))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"

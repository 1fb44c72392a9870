"""From a recipe to its parts: what it names is what is made, and every wrong name is told with its line."""

import re
from dataclasses import replace

import pytest
import torch

from robustmeta.assembly import (
    build_attacks,
    build_learner,
    curve_attacks,
    episodes_of,
    step_attacks,
    suite_cards,
    survivors_only,
)
from robustmeta.attacks.base import Threat
from robustmeta.attacks.card import card
from robustmeta.attacks.projected_gradient import ProjectedGradient
from robustmeta.backbones import Conv4
from robustmeta.defenses import AdversarialQuerying, MoreShots, WeightPerturbation
from robustmeta.errors import RobustMetaError
from robustmeta.learners import MAML, Learner, ProtoNet, Transfer
from robustmeta.recipe_file import read

TEXT = """\
name: mine
dataset: {name: glyphs}
test: {ways: 3, shots: 1, queries: 2}
threat: {norm: Linf, eps: 8/255}
attacks: [pgd-20, square-1000]
curve: {attack: pgd-50, eps: [0, 1/10]}
backbone: {name: conv4, width: 4}
training: {seed: 3}
rows:
  - learner: {name: maml, steps: 3, inner_lr: 1/4, first_order: true}
    backbone: {norm: support}
  - learner: {name: protonet}
    defense: {name: aq, attack: pgd-7, ramp: 1/3}
    training: {seed: 8}
"""
IMAGE = (3, 32, 32)


def built(text: str, row: int = 0) -> Learner:
    recipe, source = read(text, "mine.yaml")
    return build_learner(recipe, recipe.rows[row], IMAGE, source, lambda: 7)


def test_a_learner_is_made_as_its_row_says():
    made = built(TEXT)
    assert isinstance(made, MAML)
    assert (made.steps, made.test_steps, made.inner_lr, made.first_order) == (3, 3, 0.25, True)
    backbone = made.network.backbone
    assert isinstance(backbone, Conv4)
    assert (backbone.width, backbone.norm, backbone.channels, backbone.size) == (4, "support", 3, 32)
    assert made.network.linear.out_features == 3


def test_a_learner_that_asks_is_told_the_number_of_training_classes_and_no_recipe_may_say_another():
    made = built(TEXT.replace("{name: protonet}", "{name: transfer, calibration: 0.5}"), 1).base
    assert isinstance(made, Transfer)
    assert (len(made.centres), made.calibration) == (7, 0.5)
    with pytest.raises(RobustMetaError, match=r"mine.yaml:12: rows.1.learner.classes: is not a setting here"):
        built(TEXT.replace("{name: protonet}", "{name: transfer, classes: 9}"), 1)


def test_a_defense_is_made_round_its_learner():
    made = built(TEXT, 1)
    assert isinstance(made, AdversarialQuerying)
    assert isinstance(made.base, ProtoNet)
    assert made.attack == ProjectedGradient(Threat("Linf", 8 / 255), steps=7, step_size=2 / 255)
    assert made.ramp == pytest.approx(1 / 3)


def test_a_list_of_defenses_goes_round_the_learner_in_turn():
    text = TEXT.replace(
        "{name: aq, attack: pgd-7, ramp: 1/3}", "[{name: its, shots: 3}, {name: aq, attack: pgd-7}, {name: awp}]"
    )
    recipe, _ = read(text, "mine.yaml")
    made = built(text, 1)
    assert [type(each) for each in (made, made.learner, made.learner.learner)] == [
        WeightPerturbation, AdversarialQuerying, MoreShots,
    ]  # fmt: skip
    assert made.learner.learner.shots == 3
    assert (made.defense, recipe.rows[1].defended) == ("its+aq+awp", "its+aq+awp")
    assert recipe.rows[1].name == "protonet-its+aq+awp"
    assert read(recipe.as_yaml(), "again.yaml")[0] == recipe
    with pytest.raises(RobustMetaError, match=r"mine.yaml:13: rows.1.defense.0: shots is 1; more shots in training"):
        built(text.replace("shots: 3", "shots: 1"), 1)
    with pytest.raises(RobustMetaError, match=r"mine.yaml:13: rows.1.defense.1.attack: the attack 'square-1000'"):
        built(text.replace("pgd-7", "square-1000"), 1)
    with pytest.raises(RobustMetaError, match=r"mine.yaml:13: rows.1.defense.2.gama: is not a setting here"):
        built(text.replace("{name: awp}", "{name: awp, gama: 1}"), 1)


def test_a_defense_that_takes_the_threat_is_given_the_recipes():
    made = built(TEXT.replace("attack: pgd-7, ramp: 1/3", "ramp: 1/3").replace("name: aq", "name: free-aq"), 1)
    assert (made.defense, made.threat, made.replays) == ("free-aq", Threat("Linf", 8 / 255), 4)


def test_initial_weights_hang_on_the_training_seed_alone():
    def weights(text: str, row: int = 0) -> torch.Tensor:
        torch.rand(5)
        return torch.cat([parameter.flatten() for parameter in built(text, row).parameters()]).detach()

    first = weights(TEXT)
    assert torch.equal(first, weights(TEXT))
    assert not torch.equal(first, weights(TEXT.replace("training: {seed: 3}", "training: {seed: 4}")))
    torch.manual_seed(8)
    expected = ProtoNet(Conv4(3, 32, 4))
    assert torch.equal(weights(TEXT, 1), torch.cat([p.flatten() for p in expected.parameters()]))


def test_attacks_and_curve_are_those_of_the_cards():
    recipe, source = read(TEXT, "mine.yaml")
    threat = Threat("Linf", 8 / 255)
    cards = suite_cards(recipe, source, 1)
    assert cards == {name: card(name) for name in ("pgd-20", "square-1000")}
    assert build_attacks(recipe, source, cards, None) == {name: card(name).build(threat) for name in cards}
    at_eps = {eps: card("pgd-50").build(Threat("Linf", float(eps))) for eps in ("0", "0.1")}
    assert curve_attacks(recipe, source, 1) == at_eps


def test_a_card_that_does_not_fit_is_replaced_under_its_own_name():
    recipe, source = read(TEXT.replace("Linf", "L2").replace("square-1000", "mifgsm"), "mine.yaml")
    assert {name: found.name for name, found in suite_cards(recipe, source, 1).items()} == {
        "pgd-20": "pgd-20",
        "mifgsm": "pgd-50",
    }


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        ("poison-20", "is 'poison-20'; a curve takes an attack on the queries"),
        ("transfer-pgd-50", "is 'transfer-pgd-50'; a curve takes an attack on the queries that needs no twin"),
        ("tifgsm", "is 'tifgsm', which does not fit these tasks; 'mifgsm' does"),
        ("apgd-t-100", "is 'apgd-t-100', which does not fit these tasks; 'pgd-100-margin' does"),
    ],
)
def test_a_curve_takes_an_attack_that_fits(attack, message) -> None:
    recipe, source = read(TEXT, "mine.yaml")
    recipe = replace(recipe, curve=replace(recipe.curve, attack=attack))
    with pytest.raises(RobustMetaError, match=f"curve.attack: {re.escape(message)}"):
        curve_attacks(recipe, source, 1)


def test_a_suite_on_survivors_is_known_by_its_name_alone() -> None:
    recipe, _ = read(TEXT, "mine.yaml")
    assert not survivors_only(recipe)
    assert survivors_only(replace(recipe, attacks="autoattack"))
    assert not survivors_only(replace(recipe, attacks=["autoattack", "fgsm"]))


MAML_AT, AQ_AT = "mine.yaml:10: rows.0.learner", "mine.yaml:13: rows.1.defense"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: maml", "name: mamll", f"{MAML_AT}.name: unknown learner 'mamll'; did you mean 'maml'?"),
        ("steps: 3", "step: 3", f"{MAML_AT}.step: is not a setting here; did you mean 'steps'?"),
        ("steps: 3", "steps: 3.5", f"{MAML_AT}.steps: is 3.5; it must be a whole number"),
        ("steps: 3", "ways: 3", f"{MAML_AT}.ways: is not a setting here (known: steps, "),
        ("steps: 3", "backbone: conv4", f"{MAML_AT}.backbone: is not a setting here (known: steps, "),
        ("first_order: true", "first_order: 1", f"{MAML_AT}.first_order: is 1; it must be true or false"),
        ("norm: support", "norm: suport", "mine.yaml:11: rows.0.backbone: unknown normalization policy 'suport'; did"),
        ("norm: support", "nrom: support", "mine.yaml:11: rows.0.backbone.nrom: is not a setting here; did you mean "),
        ("norm: support", "size: 84", "mine.yaml:11: rows.0.backbone.size: is not a setting here (known: width, norm"),
        ("width: 4", "width: wide", "mine.yaml:7: rows.0.backbone.width: is 'wide'; it must be a whole number"),
        ("name: conv4", "name: conv5", "mine.yaml:7: rows.1.backbone.name: unknown backbone 'conv5'; did you mean"),
        ("backbone: {name: conv4, width: 4}", "backbone: {norm: no}", "mine.yaml:7: rows.1.backbone.name: unknown"),
        ("width: 4", "norm: no", "mine.yaml:7: rows.1.backbone: unknown normalization policy 'no'"),
        ("name: aq", "name: aqq", f"{AQ_AT}.name: unknown defense 'aqq'; did you mean 'aq'?"),
        ("pgd-7", "pgd7", f"{AQ_AT}.attack: unknown attack 'pgd7'; did you mean 'pgd-7'?"),
        ("pgd-7", "square-1000", f"{AQ_AT}.attack: the attack 'square-1000' is not safe in training; pgd-7 is"),
        ("pgd-7", "7", f"{AQ_AT}.attack: is 7; it must be the name of an attack, as pgd-7"),
        ("attack: pgd-7, ", "", f"{AQ_AT}: 'attack' is missing"),
        (
            "ramp: 1/3",
            "rampe: 1",
            f"{AQ_AT}.rampe: is not a setting here; did you mean 'ramp'? (known: ramp, precision)",
        ),
    ],
)
def test_a_wrong_learner_is_told_with_its_line(old, new, message):
    assert TEXT.count(old) == 1
    with pytest.raises(RobustMetaError) as caught:
        built(TEXT.replace(old, new), row=0 if "rows.0" in message else 1)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[pgd-20, square-1000]", "quik", "mine.yaml:5: attacks: unknown attack or suite 'quik'; did you mean 'quick'"),
        ("square-1000", "sqare-1000", "mine.yaml:5: attacks: unknown attack or suite 'sqare-1000'; did you mean 'squ"),
        ("[pgd-20, square-1000]", "[]", "mine.yaml:5: attacks: no attacks are given"),
        ("square-1000", "5", "mine.yaml:5: attacks: an attack is given as 5"),
        ("attack: pgd-50", "attack: pgd-5", "mine.yaml:6: curve.attack: unknown attack 'pgd-5'; did you mean 'pgd-"),
        ("[0, 1/10]", "[0, 10]", "mine.yaml:6: curve.eps: eps is 10; it must lie in [0, 1] pixel units"),
        ("[0, 1/10]", "[-0.1]", "mine.yaml:6: curve.eps: eps is -0.1; it must lie in [0, 1] pixel units"),
    ],
)
def test_a_wrong_attack_is_told_with_its_line(old, new, message):
    def made(recipe, source):
        return curve_attacks(recipe, source, 1), suite_cards(recipe, source, 1)

    assert TEXT.count(old) == 1
    recipe, source = read(TEXT.replace(old, new), "mine.yaml")
    with pytest.raises(RobustMetaError) as caught:
        made(recipe, source)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ("{name: glyps}", "mine.yaml:2: dataset.name: unknown data set 'glyps'; did you mean 'glyphs'?"),
        ("{}", "mine.yaml:2: dataset.name: unknown data set 'None'"),
        ("{name: glyphs, rotations: true}", "mine.yaml:2: dataset.rotations: is not a setting here (known: none)"),
        ("{name: omniglot, rotation: true}", "mine.yaml:2: dataset.rotation: is not a setting here; did you mean 'rot"),
        ("{name: omniglot, rotations: 4}", "mine.yaml:2: dataset.rotations: is 4; it must be true or false"),
        ("{name: glyphs, ways: 3}", "mine.yaml:2: dataset.ways: is not a setting here (known: none)"),
        ("{name: glyphs, split: test}", "mine.yaml:2: dataset.split: is not a setting here (known: none)"),
    ],
)
def test_a_wrong_data_set_is_told_with_its_line(new, message):
    recipe, source = read(TEXT.replace("{name: glyphs}", new), "mine.yaml")
    with pytest.raises(RobustMetaError) as caught:
        episodes_of(recipe, source, "test", None, "cpu", ("test",), ways=3, shots=1, queries=2, seed=0)
    assert str(caught.value).startswith(message)


def test_a_task_the_data_cannot_give_is_told_with_its_line(monkeypatch, classes):
    monkeypatch.setattr("robustmeta.episodes.load", lambda *where, **options: classes)
    recipe, source = read(TEXT, "mine.yaml")
    task = {"ways": 3, "shots": 2, "queries": 2, "seed": 0}
    where = (recipe, source, "test", "nowhere", "cpu", ("test",))
    assert episodes_of(*where, **task).batch([0]).query_x.shape == (1, 6, 1, 16, 16)
    for wrong, message in (
        ({"ways": 13}, "13 ways asked"),
        ({"queries": 7}, r"shots \+ queries = 9"),
        ({"shots": 0}, "shots is 0"),
    ):
        with pytest.raises(RobustMetaError, match=f"^mine.yaml:3: test: {message}"):
            episodes_of(*where, **{**task, **wrong})


def test_an_attack_on_the_support_needs_queries_to_be_judged_on() -> None:
    recipe, source = read(TEXT.replace("square-1000", "poison-20"), "mine.yaml")
    recipe = replace(recipe, test=replace(recipe.test, queries=1))
    with pytest.raises(RobustMetaError, match=r"mine.yaml:\d+: test.queries: is 1; the attack 'poison-20' needs 2"):
        suite_cards(recipe, source, 1)


def test_the_attack_of_steps_is_that_of_the_card_but_for_them() -> None:
    recipe, source = read(TEXT + "steps: {attack: pgd-50, steps: [0, 1, 8]}\n", "mine.yaml")
    made = step_attacks(recipe, source, 1)
    assert list(made) == ["1", "8"]
    assert [attack.steps for attack in made.values()] == [1, 8]
    whole = card("pgd-50").build(recipe.threat)
    assert replace(made["8"], steps=50) == whole
    assert step_attacks(*read(TEXT, "mine.yaml"), 1) == {}


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        ("square-1000", "mine.yaml:15: steps.attack: is 'square-1000', whose card has no 'steps'; name one that has"),
        ("poison-20", "mine.yaml:15: steps.attack: is 'poison-20'; a curve takes an attack on the queries"),
        ("pgd-5", "mine.yaml:15: steps.attack: unknown attack 'pgd-5'; did you mean"),
    ],
)
def test_steps_take_an_attack_that_has_them(attack, message) -> None:
    recipe, source = read(TEXT + f"steps: {{attack: {attack}}}\n", "mine.yaml")
    with pytest.raises(RobustMetaError, match=re.escape(message)):
        step_attacks(recipe, source, 1)

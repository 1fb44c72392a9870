"""The catalogue names what recipes can name, each with a line."""

import pytest
import torchattacks

from robustmeta.attacks.card import card, names, suite, suites
from robustmeta.catalogue import catalogue, catalogue_all_attacks, first_line
from robustmeta.recipe_file import find

KINDS = ("learners", "defenses", "attacks", "datasets", "backbones", "recipes")


@pytest.mark.parametrize("kind", KINDS)
def test_every_entry_has_a_name_of_its_own_and_one_line(kind):
    entries = catalogue(kind)
    names = [name for name, _ in entries]
    assert len(set(names)) == len(names) > 0
    for _, line in entries:
        assert line.strip() == line != ""
        assert "\n" not in line


def test_what_is_there():
    names = {kind: {name for name, _ in catalogue(kind)} for kind in KINDS}
    assert names["learners"] >= {"maml", "protonet"}
    assert names["defenses"] >= {"aq"}
    assert names["datasets"] >= {"glyphs", "omniglot"}
    assert names["backbones"] >= {"conv4"}
    assert names["attacks"] >= {"fgsm", "pgd-20", "quick (suite)", "standard (suite)"}
    assert names["recipes"] >= {"glyphs-5w1s", "omniglot-5w1s"}


def test_listed_attacks_and_recipes_can_be_asked_for():
    for name, line in catalogue("attacks"):
        if not name.endswith(" (suite)"):
            assert card(name).summary == line
    for name, line in catalogue("recipes"):
        assert find(name)[0].summary == line


def test_suites_are_listed_with_their_cards():
    listed = dict(catalogue("attacks"))
    assert {name: listed[f"{name} (suite)"] for name in suites()} == {
        name: ", ".join(suite(name).cards) for name in suites()
    }


def test_all_attacks_are_the_listed_ones_and_each_class_of_torchattacks_reached_or_refused():
    listed = catalogue_all_attacks()
    assert listed[: len(catalogue("attacks"))] == catalogue("attacks")
    classes = dict(listed[len(catalogue("attacks")) :])
    assert list(classes) == [f"torchattacks.{method}" for method in torchattacks.__all__]
    for engine, line in classes.items():
        word, _, rest = line.partition(" ")
        if word == "card":
            assert {card(name).engine for name in rest.split(", ")} == {engine}
        else:
            assert word == "refused:"
            assert engine not in {card(name).engine for name in names()}
    refused = {engine.partition(".")[2] for engine, line in classes.items() if line.startswith("refused")}
    assert refused == {
        "VANILA", "GN", "JSMA", "OnePixel", "Pixle", "SparseFool", "AutoAttack", "MultiAttack", "LGV"
    }  # fmt: skip
    assert classes["torchattacks.FAB"] == "card fab-t-100"


def test_the_first_line_of_a_docstring():
    def documented() -> None:
        """One line.

        Another.
        """

    assert first_line(documented) == "One line."
    assert first_line(lambda: None) == ""

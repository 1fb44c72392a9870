"""The catalogue names what recipes can name, each with a line."""

import pytest

from robustmeta.attacks.card import card
from robustmeta.catalogue import catalogue, first_line
from robustmeta.recipe import find

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


def test_the_first_line_of_a_docstring():
    def documented() -> None:
        """One line.

        Another.
        """

    assert first_line(documented) == "One line."
    assert first_line(lambda: None) == ""

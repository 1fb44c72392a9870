"""Suites: those that ship, a user's own, and the mistakes in one."""

from pathlib import Path

import pytest

from robustmeta.attacks.base import Threat
from robustmeta.attacks.card import card, resolve, suite, suite_of, suites
from robustmeta.errors import RobustMetaError

OWN = """\
name: own
version: 3
purpose: Mine
cards: [fgsm, more/mine.yaml]
survivors_only: true
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "more").mkdir()
    root = Path(__file__).parents[2] / "attacks"
    (tmp_path / "more" / "mine.yaml").write_text((root / "pgd-7.yaml").read_text().replace("name: pgd-7", "name: mine"))
    (tmp_path / "own.yaml").write_text(OWN)
    return tmp_path


def test_suites_that_ship() -> None:
    assert suites() == ("autoattack", "quick", "standard", "support", "worst")
    for name in suites():
        cards = resolve(name)
        assert tuple(each.name for each in cards) == suite(name).cards
        assert suite(name).name == name
        assert suite(name).survivors_only == (name in ("autoattack", "worst"))
        assert {each.target == "query" for each in cards} == {name != "support"}
    for name in ("quick", "standard", "autoattack", "worst"):  # one loss besides cross-entropy at least
        losses = [each.build(Threat()).traits.loss for each in resolve(name)]
        assert "margin" in losses
    assert suite("autoattack").cards == ("apgd-ce-100", "apgd-t-100", "fab-t-100", "square-5000")
    assert sorted(suite("worst").cards) == sorted(suite("standard").cards)


def test_the_hash_hangs_on_the_suite_and_on_its_cards(folder: Path) -> None:
    path = folder / "own.yaml"
    before = suite(str(path)).hash
    assert len(before) == 12
    mine = folder / "more" / "mine.yaml"
    mine.write_text(mine.read_text().replace("steps: 7", "steps: 8"))
    changed = suite(str(path)).hash
    assert changed != before
    path.write_text(OWN.replace("true", "false"))
    assert suite(str(path)).hash not in (before, changed)
    assert len({suite(name).hash for name in suites()}) == len(suites())


def test_a_users_own_suite_holds_paths_from_its_folder(folder: Path) -> None:
    path = str(folder / "own.yaml")
    assert [each.name for each in resolve(path)] == ["fgsm", "mine"]
    assert [each.name for each in resolve([path, "pgd-7"])] == ["fgsm", "mine", "pgd-7"]
    assert suite_of(path) == suite(path)
    assert suite(path).survivors_only


def test_the_suite_of_a_spec_is_the_one_it_names_and_nothing_else(folder: Path) -> None:
    assert suite_of("quick") == suite_of(["quick"]) == suite("quick")
    assert suite_of("fgsm") is suite_of(["quick", "fgsm"]) is suite_of([]) is None
    assert suite_of(["fgsm", "pgd-20", "pgd-20-margin"]) is None
    assert suite_of(str(folder / "more" / "mine.yaml")) is None


@pytest.mark.parametrize(
    ("old", "new", "line", "part"),
    [
        ("fgsm,", "fgms,", 4, "unknown attack 'fgms'; did you mean 'fgsm'"),
        ("[fgsm, more/mine.yaml]", "[]", 4, "is empty"),
        ("[fgsm, more/mine.yaml]", "fgsm", 4, "must be a list"),
        ("survivors_only: true", "survivors: true", 5, "did you mean 'survivors_only'"),
        ("survivors_only: true", "survivors_only: 1", 5, "true or false"),
        ("purpose: Mine\n", "", 1, "'purpose' is missing"),
        ("name: own", "name: other", 1, "call both the same"),
    ],
)
def test_a_mistake_in_a_suite_is_one_line_with_file_and_line(folder: Path, old, new, line, part) -> None:
    path = folder / "own.yaml"
    path.write_text(OWN.replace(old, new))
    with pytest.raises(RobustMetaError) as caught:
        resolve(str(path))
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nobody_elses_suite_is_called_autoattack(folder: Path) -> None:
    text = OWN.replace("name: own", "name: autoattack")
    for name in ("autoattack.yaml", "suite-autoattack.yaml"):
        (folder / name).write_text(text)
        with pytest.raises(RobustMetaError, match="1: name: a different suite named 'autoattack' ships"):
            suite_of(str(folder / name))
    shipped = Path(__file__).parents[2] / "attacks" / "suite-autoattack.yaml"
    assert suite_of(str(shipped)) == suite("autoattack")
    with pytest.raises(RobustMetaError, match="unknown attack suite 'autoatack'; did you mean 'autoattack'"):
        suite("autoatack")


def test_a_card_is_no_suite_and_a_suite_no_card(folder: Path) -> None:
    with pytest.raises(RobustMetaError, match="is not a setting here"):
        suite(str(folder / "more" / "mine.yaml"))
    with pytest.raises(RobustMetaError, match=r"'engine' is missing|is not a setting here"):
        card(str(folder / "own.yaml"))

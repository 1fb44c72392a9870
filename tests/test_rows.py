"""Rows against intervals and paired drops worked by hand."""

from importlib.metadata import version
from math import sqrt

import numpy as np
import pytest

from robustmeta.attacks.base import Threat
from robustmeta.attacks.card import card
from robustmeta.audit import Finding
from robustmeta.outcomes import Outcomes
from robustmeta.rows import audit_rows, curve_rows, episode_rows, result_rows, step_rows, versions

ISSUE = (
    "learner", "defense", "backbone", "norm_policy", "dataset", "split", "ways", "shots", "queries", "episodes",
    "seed", "threat_norm", "eps", "attack", "accuracy", "ci95", "flags",
)  # fmt: skip
ABOUT = {
    "learner": "maml", "defense": "aq", "backbone": "conv4-8", "norm_policy": "group", "dataset": "glyphs",
    "split": "test", "ways": 2, "shots": 1, "queries": 2, "seed": 1,
}  # fmt: skip
T3 = 4.302652729911275  # t(0.975) with 2 degrees of freedom, from tables
T4 = 3.182446305284263  # with 3


def right(*counts: int) -> np.ndarray:
    """Four queries an episode, of which the first so many are right."""
    return np.arange(4) < np.array(counts)[:, None]


@pytest.fixture
def outcomes() -> Outcomes:
    found = {"clean": right(4, 3, 4), "mifgsm": right(3, 1, 2), "worst": right(2, 1, 0)}
    seconds = {"clean": 1.0, "mifgsm": 2.0, "worst": 3.0}
    largest = {"clean": 0.0, "mifgsm": 0.09, "worst": 0.09}
    forwards = {"clean": 12, "mifgsm": 132, "worst": 144}
    return Outcomes(found, largest, seconds, forwards, {"clean": 0, "mifgsm": 120, "worst": 120})


def test_accuracies_and_drops_with_their_intervals(outcomes):
    rows = result_rows(outcomes, Threat("Linf", 0.1), ABOUT, {}).set_index("attack")
    assert list(rows.index) == ["clean", "mifgsm", "worst"]
    # clean 1, 3/4, 1: mean 11/12, s = sqrt(((1/12)^2 + (1/6)^2 + (1/12)^2) / 2) = sqrt(1/48)
    assert rows.accuracy["clean"] == pytest.approx(11 / 12)
    assert rows.ci95["clean"] == pytest.approx(T3 * sqrt(1 / 48) / sqrt(3))
    # attacked 3/4, 1/4, 1/2: mean 1/2, s = 1/4; drops 1/4, 1/2, 1/2: mean 5/12, s = sqrt(1/48)
    assert rows.accuracy["mifgsm"] == pytest.approx(1 / 2)
    assert rows.ci95["mifgsm"] == pytest.approx(T3 / 4 / sqrt(3))
    assert rows["drop"]["mifgsm"] == pytest.approx(5 / 12)
    assert rows.drop_ci95["mifgsm"] == pytest.approx(T3 * sqrt(1 / 48) / sqrt(3))
    # drops of the worst case 1/2, 1/2, 1: mean 2/3, s = sqrt(1/12)
    assert rows["drop"]["worst"] == pytest.approx(2 / 3)
    assert rows.drop_ci95["worst"] == pytest.approx(T3 * sqrt(1 / 12) / sqrt(3))
    assert (rows["drop"]["clean"], rows.drop_ci95["clean"]) == (0, 0)


def test_a_drop_that_is_the_same_in_every_episode_has_no_spread():
    """Were the interval of the drop not paired, it would be as wide as those of its two parts."""
    found = {"clean": right(4, 3, 2, 3), "fgsm": right(3, 2, 1, 2), "worst": right(3, 2, 1, 2)}
    none = dict.fromkeys(found, 0.0)
    rows = result_rows(Outcomes(found, none, none, none, none), Threat(), ABOUT, {}).set_index("attack")
    assert rows.ci95["clean"] == pytest.approx(T4 * sqrt(1 / 24) / 2)
    assert rows["drop"]["fgsm"] == pytest.approx(1 / 4)
    assert rows.drop_ci95["fgsm"] == 0


def test_the_columns_are_those_the_issue_lists(outcomes):
    rows = result_rows(outcomes, Threat("L2", 2.0), ABOUT, {})
    assert set(ISSUE) <= set(rows.columns)
    assert rows.threat_norm.unique() == ["L2"]
    assert rows.eps.tolist() == [0.0, 2.0, 2.0]
    assert rows.episodes.tolist() == [3, 3, 3]
    assert rows.largest.tolist() == [0.0, 0.09, 0.09]
    assert rows.seconds.tolist() == [1.0, 2.0, 3.0]
    assert rows.forwards.tolist() == [12, 132, 144]
    assert rows.backwards.tolist() == [0, 120, 120]
    for column, value in ABOUT.items():
        assert rows[column].unique() == [value]


def test_a_card_is_told_by_its_hash_and_a_stand_in_by_a_flag(outcomes):
    fits, stands_in = card("mifgsm"), card("mifgsm").fit("L2", 5)
    rows = result_rows(outcomes, Threat(), ABOUT, {"mifgsm": fits})
    assert rows["flags"].tolist() == ["", "", ""]
    assert rows.card.tolist() == ["", fits.hash, ""]
    rows = result_rows(outcomes, Threat("L2", 2.0), ABOUT, {"mifgsm": stands_in})
    assert rows["flags"].tolist() == ["", "stand-in:pgd-50", "stand-in:pgd-50"]
    assert rows.card.tolist() == ["", card("pgd-50").hash, ""]


def test_the_codes_of_the_audit_stand_behind_a_stand_in(outcomes):
    findings = [
        Finding("G02", "fail", "", 0.5, 0.05, "half"),
        Finding("S08", "warn", "mifgsm", 0.01, 0.0, "one"),
        Finding("B01", "pass", "mifgsm", 0.0, 0.0, "none"),
    ]
    rows = result_rows(outcomes, Threat("L2", 2.0), ABOUT, {"mifgsm": card("mifgsm").fit("L2", 5)}, findings)
    both = "stand-in:pgd-50,G02:fail,S08:warn"
    assert rows["flags"].tolist() == ["G02:fail", both, both]
    rows = result_rows(outcomes, Threat(), ABOUT, {}, findings, {"mifgsm": "support"})
    assert rows["flags"].tolist() == ["G02:fail", "G02:fail,S08:warn", "G02:fail"]  # no part of the worst case
    assert result_rows(outcomes, Threat(), ABOUT, {}, findings)["flags"].tolist()[1] == "G02:fail,S08:warn"


def test_a_row_says_what_its_attack_moves(outcomes):
    assert result_rows(outcomes, Threat(), ABOUT, {})["target"].tolist() == ["", "query", "query"]
    rows = result_rows(outcomes, Threat(), ABOUT, {}, targets={"mifgsm": "support"})
    assert rows["target"].tolist() == ["", "support", "query"]


def test_a_row_a_finding():
    rows = audit_rows([Finding("G02", "fail", "", 0.5, 0.05, "half")], {"learner": "maml"})
    found = {"learner": "maml", "code": "G02", "verdict": "fail", "subject": "", "evidence": 0.5, "threshold": 0.05}
    assert rows.to_dict("records") == [{**found, "text": "half"}]


def test_a_row_an_episode(outcomes):
    rows = episode_rows(outcomes, {"learner": "maml"})
    assert list(rows.columns) == ["learner", "episode", "clean", "mifgsm", "worst"]
    assert rows.episode.tolist() == [0, 1, 2]
    assert rows.clean.tolist() == [1, 0.75, 1]
    assert rows.worst.tolist() == [0.5, 0.25, 0]


def test_a_row_an_eps():
    found = {"clean": right(4, 4), "0": right(4, 2), "0.1": right(1, 1), "worst": right(1, 1)}
    rows = curve_rows(Outcomes(found), "pgd-50", {"0": 0.0, "0.1": 0.1}, {"learner": "maml"})
    assert rows.eps.tolist() == [0.0, 0.1]
    assert rows.accuracy.tolist() == [0.75, 0.25]
    assert rows.ci95.tolist() == pytest.approx([12.706204736432095 * sqrt(1 / 8) / sqrt(2), 0])
    assert rows[["learner", "attack", "episodes"]].values.tolist() == [["maml", "pgd-50", 2]] * 2


def test_a_row_a_number_of_steps_and_none_are_the_clean_images():
    found = {"clean": right(4, 3), "1": right(2, 2), "10": right(1, 0), "worst": right(1, 0)}
    rows = step_rows(Outcomes(found), "pgd-50", 0.1, (10, 0, 1), {"learner": "maml"})
    assert rows.steps.tolist() == [0, 1, 10]
    assert rows.accuracy.tolist() == [0.875, 0.5, 0.125]
    assert rows[["learner", "attack", "eps", "episodes"]].values.tolist() == [["maml", "pgd-50", 0.1, 2]] * 3


def test_versions_are_those_installed():
    assert versions() == {name: version(name) for name in ("robustmeta", "torch", "torchattacks")}

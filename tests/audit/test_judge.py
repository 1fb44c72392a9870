"""Verdicts on outcomes whose answer is worked out by hand."""

from typing import Any

import numpy as np
import pytest

from robustmeta.attacks.base import Threat, Traits
from robustmeta.audit import Finding, judge
from robustmeta.outcomes import Outcomes

THREAT = Threat("Linf", 0.1)
FGSM, PGD = Traits(loss="ce", steps=1), Traits(loss="ce", steps=20)
MARGIN, SQUARE = Traits(loss="margin", steps=20), Traits(knowledge="black-box", loss="margin", steps=500)


def rows(*fooled: range, episodes: int = 10, queries: int = 20) -> np.ndarray:
    """Outcomes `[10, 20]` that are right but for some of the 200 queries."""
    right = np.ones(episodes * queries, dtype=bool)
    for part in fooled:
        right[part.start : part.stop] = False
    return right.reshape(episodes, queries)


def judged(
    right: dict[str, np.ndarray], traits: dict[str, Traits], evidence: dict[str, Any] | None = None, **settings: Any
) -> dict[tuple[str, str], Finding]:
    right = {"clean": rows(), **right}
    right["worst"] = np.logical_and.reduce(list(right.values()))
    arrays = {key: np.asarray(value) for key, value in (evidence or {}).items()}
    sizes = settings.pop("largest", dict.fromkeys(right, 0.1))
    errors, forwards = settings.pop("errors", {}), settings.pop("forwards", {})
    outcomes = Outcomes(right, largest=sizes, forwards=forwards, evidence=arrays, errors=errors)
    return {(found.code, found.subject): found for found in judge(outcomes, traits, THREAT, ways=5, **settings)}


def test_without_evidence_there_is_no_finding() -> None:
    assert {code for code, _ in judged({"pgd": rows(range(50))}, {"pgd": PGD})} == {"B05", "B08", "R01"}


@pytest.mark.parametrize(("alone", "verdict"), [(0, "pass"), (1, "pass"), (2, "pass"), (3, "fail")])
def test_one_step_beyond_iterated_is_counted_by_query(alone, verdict) -> None:
    both = {"fgsm": rows(range(10), range(100, 100 + alone)), "pgd": rows(range(60)), "square": rows(range(190))}
    found = judged(both, {"fgsm": FGSM, "pgd": PGD, "square": SQUARE})["S07", "fgsm"]
    assert found.verdict == verdict
    assert found.text.startswith(f"{alone} of 200 ")


def test_an_attack_that_does_not_say_what_it_is_is_not_taken_for_one_step() -> None:
    right = {"own": rows(range(90)), "pgd": rows(range(60)), "fgsm": rows(range(60))}
    assert ("S07", "own") not in judged(right, {"own": Traits(), "pgd": PGD, "fgsm": FGSM})
    climbing_another_loss = {"own": Traits(steps=20), "pgd": Traits(steps=20), "fgsm": FGSM}
    assert ("S07", "fgsm") not in judged(right, climbing_another_loss)


@pytest.mark.parametrize(("alone", "verdict"), [(0, "pass"), (1, "warn"), (3, "fail")])
@pytest.mark.parametrize(("knowledge", "code"), [("black-box", "S10"), ("transfer", "S12")])
def test_attacks_without_gradients_are_held_against_the_union_of_those_with(alone, verdict, knowledge, code) -> None:
    right = {"own": rows(range(30), range(80, 80 + alone)), "fgsm": rows(range(15, 30)), "pgd": rows(range(20))}
    traits = {"own": Traits(knowledge=knowledge, steps=50), "fgsm": FGSM, "pgd": PGD}
    assert judged(right, traits)[code, "own"].verdict == verdict


@pytest.mark.parametrize(("by_margin", "verdict"), [(70, "pass"), (72, "warn"), (20, "pass")])
def test_a_margin_attack_five_points_below_cross_entropy_warns_on_its_rows(by_margin, verdict) -> None:
    right = {"fgsm": rows(), "weak": rows(range(9)), "pgd": rows(range(60)), "margin": rows(range(by_margin))}
    found = judged(right, {"fgsm": FGSM, "weak": PGD, "pgd": PGD, "margin": MARGIN})
    assert found["G03", "pgd"].verdict == found["G03", "weak"].verdict == verdict
    assert ("G03", "fgsm") not in found


def test_right_under_attack_but_wrong_without_is_a_failure_for_queries_only() -> None:
    right = {"clean": rows(range(5)), "pgd": rows(range(4)), "poison": rows(range(3))}
    found = judged(right, {"pgd": PGD, "poison": Traits(target="support")})
    assert found["B05", "pgd"].verdict == "fail"
    assert found["B05", "pgd"].text.startswith("1 queries")
    assert ("B05", "poison") not in found


@pytest.mark.parametrize(
    ("evidence", "code", "verdict"),
    [
        ({"B01/pgd": [0.0, 1.05e-6]}, "B01", "pass"),
        ({"B01/pgd": [0.0, 2e-6]}, "B01", "fail"),
        ({"B02/pgd": [0, 0]}, "B02", "pass"),
        ({"B02/pgd": [0, 1]}, "B02", "fail"),
        ({"B03/pgd": [0, 1]}, "B03", "fail"),
        ({"B06/pgd": [False, True]}, "B06", "fail"),
        ({"S08/pgd": [0, 0]}, "S08", "pass"),
        ({"S08/pgd": [1, 1]}, "S08", "warn"),
        ({"S08/pgd": [1, 2]}, "S08", "fail"),
        ({"B07": [1, 2, 3]}, "B07", "pass"),
        ({"B07": [1, 2, 1]}, "B07", "fail"),
        ({"G05": [True, True]}, "G05", "fail"),
        ({"G05": [True, False]}, "G05", "pass"),
        ({"G06": [0, 2e-4]}, "G06", "fail"),
        ({"G07": [0, 2e-4]}, "G07", "fail"),
        ({"G08/eval": [0, 5e-5], "G08/train": [0, 2e-4]}, "G08", "fail"),
        ({"G09": [False, True]}, "G09", "warn"),
    ],
)
def test_limits(evidence, code, verdict) -> None:
    found = judged({"pgd": rows(range(60))}, {"pgd": PGD}, evidence)
    assert found[code, "pgd" if any("pgd" in key for key in evidence) else ""].verdict == verdict


def test_a_declared_transductive_classifier_is_warned_of() -> None:
    evidence = {"G07": [0.3], "B03/pgd": [4], "S08/pgd": [9]}
    found = judged({"pgd": rows(range(60))}, {"pgd": PGD}, evidence, inductive=False)
    assert [found[key].verdict for key in (("G07", ""), ("B03", "pgd"), ("S08", "pgd"))] == ["warn"] * 3


def test_a_noisy_classifier_is_compared_no_further() -> None:
    few = np.ones((2, 20))
    evidence = {"G06": [1.0], "G07": [1.0], "G08/eval": [1.0], "B03/pgd": [4], "S08/pgd": [9]}
    evidence |= {"G10/measured": -few, "G10/promised": few, "G10/rounding": 0 * few}
    found = judged({"pgd": rows()}, {"pgd": PGD}, evidence)
    assert not {code for code, _ in found} & {"G07", "G08", "G10", "B03", "S08"}
    assert "G07" in found["G06", ""].text


def test_gradients_are_judged_on_right_queries_only() -> None:
    clean = rows(range(15))  # of the first 40 queries, 25 are right
    for zero, verdict in ((range(15), "pass"), (range(16), "warn"), (range(17), "fail")):
        evidence = {"G01": ~rows(zero, episodes=2), "G02/gap": 10 + 100 * ~rows(zero, episodes=2)}
        found = judged({"clean": clean, "pgd": clean}, {"pgd": PGD}, evidence)
        assert found["G01", ""].verdict == verdict
        assert found["G01", ""].text.startswith(f"{len(zero) - 15} of 25 ")
        assert found["G02", ""].verdict == "pass"


def test_the_cross_entropy_may_lose_its_gradient_nowhere() -> None:
    evidence = {"G02/gap": np.full((2, 20), 30.0), "G02": ~rows(range(2), episodes=2)}
    assert judged({"pgd": rows()}, {"pgd": PGD}, evidence)["G02", ""].verdict == "warn"
    evidence["G02/gap"] = np.full((2, 20), 81.0)
    assert judged({"pgd": rows()}, {"pgd": PGD}, evidence)["G02", ""].verdict == "fail"


@pytest.mark.parametrize(
    ("ratio", "idle", "verdict"),
    [
        (1, 0, "pass"),
        (0.34, 0, "pass"),
        (0.3, 0, "fail"),
        (2.9, 0, "pass"),
        (3.1, 0, "fail"),
        (-1, 0, "fail"),
        (1, 2, "pass"),
        (1, 3, "warn"),
        (1, 39, "fail"),
    ],
)
def test_a_step_along_the_gradient_gives_what_it_promises(ratio, idle, verdict) -> None:
    measured = np.where(~rows(range(idle), episodes=2), 0.0, ratio)
    evidence = {"G10/measured": measured, "G10/promised": np.ones((2, 20)), "G10/rounding": np.full((2, 20), 1e-3)}
    assert judged({"pgd": rows()}, {"pgd": PGD}, evidence)["G10", ""].verdict == verdict
    evidence["G10/rounding"] = np.full((2, 20), 9.0)  # all of it could be rounding
    assert ("G10", "") not in judged({"pgd": rows()}, {"pgd": PGD}, evidence)


def test_where_queries_depend_on_each_other_tasks_are_judged_as_a_whole() -> None:
    measured = np.tile([2.0, 0.0], (2, 10))
    evidence = {"G10/measured": measured, "G10/promised": np.ones((2, 20)), "G10/rounding": np.zeros((2, 20))}
    assert judged({"pgd": rows()}, {"pgd": PGD}, evidence)["G10", ""].verdict == "warn"
    evidence["G07"] = [0.5, 0.5]
    assert judged({"pgd": rows()}, {"pgd": PGD}, evidence, inductive=False)["G10", ""].verdict == "pass"


@pytest.mark.parametrize(
    ("tried", "forwards", "largest", "verdict"),
    [
        (None, 0, 0.0, "fail"),
        (None, 60, 0.0, "pass"),
        (0.0, 60, 0.0, "fail"),
        (0.1, 60, 0.0, "pass"),
        (0, 0, 0.1, "pass"),
    ],
)
def test_an_attack_that_tried_nothing_is_told_from_one_that_found_nothing(tried, forwards, largest, verdict) -> None:
    evidence = {} if tried is None else {"B08/pgd": [tried, tried]}
    sizes = {"clean": 0.0, "pgd": largest, "worst": largest}
    found = judged({"pgd": rows()}, {"pgd": PGD}, evidence, forwards={"pgd": forwards}, largest=sizes)
    assert found["B08", "pgd"].verdict == verdict
    raised = judged(
        {"pgd": rows()}, {"pgd": PGD}, {"B04/pgd": [True]}, largest=sizes, errors={"B04/pgd": "KeyError: 7"}
    )
    assert ("B08", "pgd") not in raised
    assert "KeyError: 7" in raised["B04", "pgd"].text


@pytest.mark.parametrize(
    ("clean", "worst", "verdict"),
    [
        (range(160), range(160), "fail"),
        (range(155), range(162), "fail"),
        (range(100), range(160), "pass"),
        (range(0), range(200), "pass"),
    ],
)
def test_guessing_is_clean_and_worst_at_chance(clean, worst, verdict) -> None:
    shuffled = np.random.default_rng(0).permutation(200)  # so that episodes are alike
    right = {
        "clean": rows(clean).ravel()[shuffled].reshape(10, 20),
        "pgd": rows(worst).ravel()[shuffled].reshape(10, 20),
    }
    assert judged(right, {"pgd": PGD})["R01", ""].verdict == verdict


def test_two_episodes_of_a_good_learner_are_no_guessing_however_wide_their_interval() -> None:
    few = {"clean": rows(range(8), episodes=2), "pgd": rows(range(12), episodes=2)}
    assert judged(few, {"pgd": PGD})["R01", ""].verdict == "pass"

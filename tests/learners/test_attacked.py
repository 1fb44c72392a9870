"""Every learner under an attack on queries and one on support and queries, with the audit looking on."""

import pytest

from robustmeta.attacks.base import Threat
from robustmeta.attacks.projected_gradient import PGD
from robustmeta.attacks.support.joint import Joint
from robustmeta.evaluation import evaluate
from robustmeta.learners import LEARNERS

THREAT = Threat("Linf", 0.05)
ATTACKS = {"pgd": PGD(0.05, steps=3), "joint": Joint(THREAT, steps=2)}


@pytest.mark.parametrize("name", sorted(LEARNERS))
def test_every_kind_of_attack_runs_on_it_and_no_check_of_the_classifier_fails(learner, episodes, name) -> None:
    norm = "group" if name in ("transfer", "finetune") else "support"
    made = learner(name, norm).eval()
    rows = evaluate(made, episodes(queries=2), ATTACKS, 2)
    findings = rows.attrs["findings"]
    assert rows["learner"].unique().tolist() == [name]
    assert [found for found in findings if found.code == "B04" and found.verdict != "pass"] == []
    # Whether so few queries of an untrained learner are robust says nothing; that it is attacked as scored does.
    faults = {found.code for found in findings if found.verdict == "fail" and found.code[0] in "BG"}
    assert faults == set(), [found for found in findings if found.verdict == "fail"]
    drawn = {found.verdict for found in findings if found.code == "R02" and not found.subject}
    assert drawn == ({"warn"} if name in ("abml", "versa") else {"pass"})

"""R02: classifiers that average over draws are told, and what is attacked stands under other draws."""

import numpy as np
import pytest
import torch
from torch import Tensor

from robustmeta.attacks.base import Threat, Traits
from robustmeta.attacks.projected_gradient import PGD
from robustmeta.audit import judge
from robustmeta.evaluation import evaluate
from robustmeta.learners import Classifier, Learner
from robustmeta.outcomes import Outcomes

ATTACKS = {"pgd": PGD(0.05, steps=5)}


class Averaged(Classifier):
    """Says that it averages over three draws; under others than the first its answers are `the same` or `wrong`."""

    samples = 3

    def __init__(self, inner: Classifier, seed: int = 0, other: str = "the same") -> None:
        super().__init__()
        self.inner, self.ways, self.seed, self.other = inner, inner.ways, seed, other

    def forward(self, query_x: Tensor) -> Tensor:
        logits = self.inner(query_x)
        if self.seed and self.other == "wrong":
            return logits.roll(1, -1)
        return logits

    def detach(self) -> Classifier:
        return Averaged(self.inner.detach(), self.seed, self.other)

    def select(self, tasks) -> Classifier:
        return Averaged(self.inner.select(tasks), self.seed, self.other)

    def resampled(self, seed: int) -> Classifier:
        assert seed
        return Averaged(self.inner, seed, self.other)


class Drawing(Learner):
    def __init__(self, learner: Learner, other: str) -> None:
        super().__init__()
        self.learner, self.other = learner, other

    def adapt(self, support_x: Tensor, support_y: Tensor) -> Classifier:
        return Averaged(self.learner.adapt(support_x, support_y), other=self.other)


def found(made: Learner, episodes) -> dict[str, object]:
    rows = evaluate(made, episodes(), ATTACKS, 4, threat=Threat("Linf", 0.05))
    return {finding.subject: finding for finding in rows.attrs["findings"] if finding.code == "R02"}


def test_a_learner_without_draws_passes(honest, episodes) -> None:
    findings = found(honest("protonet"), episodes)
    assert [findings[subject].verdict for subject in findings] == ["pass"]
    assert findings[""].text == "no random number takes part in the classifiers"


def test_one_with_draws_is_told_and_its_attacks_are_asked_again(honest, episodes) -> None:
    findings = found(Drawing(honest("protonet"), "the same"), episodes)
    assert findings[""].verdict == "warn"
    assert findings[""].text.startswith("logits are an average over 3 random draws")
    assert (findings["pgd"].verdict, findings["pgd"].evidence) == ("pass", 0)


def test_one_whose_scored_draws_are_its_luckiest_fails(honest, episodes) -> None:
    findings = found(Drawing(honest("protonet-aq"), "wrong"), episodes)
    assert findings["pgd"].verdict == "fail"
    assert "under fresh draws accuracy is" in findings["pgd"].text


def test_versa_is_told_and_not_failed(learner, episodes) -> None:
    torch.manual_seed(0)
    findings = found(learner("versa", "group", log_variance=-6.0), episodes)
    assert findings[""].text.startswith("logits are an average over 3 random draws")
    assert findings["pgd"].verdict == "pass"


@pytest.mark.parametrize(("lost", "verdict"), [(-0.5, "pass"), (0.05, "pass"), (0.051, "fail")])
def test_five_points_may_be_lost(lost, verdict) -> None:
    right = {name: np.ones((2, 4), dtype=bool) for name in ("clean", "pgd", "worst")}
    evidence = {"R02": np.array([5, 5]), "R02/pgd": np.array([lost, lost])}
    outcomes = Outcomes(right, dict.fromkeys(right, 0.1), evidence=evidence)
    findings = judge(outcomes, {"pgd": Traits()}, Threat("Linf", 0.1), 5)
    (judged,) = (finding for finding in findings if (finding.code, finding.subject) == ("R02", "pgd"))
    assert judged.verdict == verdict
    assert judged.text == f"under fresh draws accuracy is {abs(lost):.3f} {'lower' if lost > 0 else 'higher'}"

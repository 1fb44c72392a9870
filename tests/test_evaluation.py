"""Evaluation: chunks, interruptions, and the table it makes."""

import numpy as np
import pytest
import torch

from robustmeta.attacks.base import Threat
from robustmeta.attacks.card import card, names
from robustmeta.attacks.projected_gradient import FGSM, PGD
from robustmeta.errors import RobustMetaError
from robustmeta.evaluation import evaluate, measure
from robustmeta.interval import mean_interval
from robustmeta.learners import Learner
from robustmeta.outcomes import Outcomes

ATTACKS = {"fgsm": FGSM(0.02), "pgd": PGD(0.02, steps=4), "margin": PGD(0.2, 4, "L2", loss="margin", until_fooled=True)}


def test_more_budget_is_never_kinder_and_nothing_beats_clean(learner, episodes) -> None:
    attacks = {f"{eps:g}": PGD(eps, steps=5) for eps in (0.0, 0.02, 0.1, 0.3)}
    outcomes = measure(learner("protonet", "running"), episodes(), attacks, 12)
    accuracy = [outcomes.right[name].mean() for name in attacks]
    assert accuracy == sorted(accuracy, reverse=True)
    assert accuracy[-1] < 0.1 < accuracy[0] == outcomes.right["clean"].mean()
    for name, attack in attacks.items():
        assert outcomes.largest[name] == pytest.approx(attack.threat.eps, abs=1e-6)
        assert (outcomes.right["worst"] <= outcomes.right[name]).all()
        assert (outcomes.right[name] <= outcomes.right["clean"]).all()


def test_evaluation_leaves_the_learner_and_the_random_numbers_as_they_were(learner, episodes) -> None:
    made = learner("maml", "running").train()
    before, random = {k: v.clone() for k, v in made.state_dict().items()}, torch.get_rng_state()
    measure(made, episodes(), ATTACKS, 2)
    assert all(torch.equal(value, before[key]) for key, value in made.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in made.parameters())
    assert torch.equal(torch.get_rng_state(), random)
    assert not made.training


def test_a_killed_evaluation_goes_on_to_the_same_outcomes(learner, episodes, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("robustmeta.evaluation.CHUNK", 10 * 9 + 5)  # room for ten tasks of nine queries, not eleven
    made, attacks = learner("protonet", "running"), {"pgd": PGD(0.05, steps=2)}
    seen: list[int] = []
    whole = measure(made, episodes(), attacks, 23, seed=1, report=seen.append)
    assert seen == [0, 10, 20, 23]

    def killed(done: int) -> None:
        if done >= 10 * killed.after:
            raise InterruptedError

    path = tmp_path / "progress" / "partial.npz"
    for killed.after in (1, 2):  # a second kill, of the run that went on
        with pytest.raises(InterruptedError):
            measure(made, episodes(), attacks, 23, seed=1, partial=path, report=killed)
        assert Outcomes.load(path, ["pgd"]).episodes == 10 * killed.after
    resumed: list[int] = []
    outcomes = measure(made, episodes(), attacks, 23, seed=1, partial=path, report=resumed.append)
    assert resumed == [20, 23]
    assert list(outcomes.right) == list(whole.right)
    assert all(np.array_equal(outcomes.right[name], rows) for name, rows in whole.right.items())
    assert outcomes.largest == whole.largest

    again = measure(Learner(), episodes(), attacks, 23, partial=path)  # finished: no learner is asked
    assert np.array_equal(again.right["pgd"], whole.right["pgd"])


def test_a_partial_file_of_other_attacks_or_more_episodes_is_refused(learner, episodes, tmp_path) -> None:
    path = tmp_path / "partial.npz"
    measure(learner(), episodes(), {"fgsm": FGSM(0.1)}, 3, partial=path)
    content = path.read_bytes()
    with pytest.raises(RobustMetaError, match=r"partial.npz holds outcomes of other attacks; choose another folder"):
        measure(learner(), episodes(), {"pgd": PGD(0.1, 1)}, 3, partial=path)
    with pytest.raises(RobustMetaError, match=r"partial.npz holds 3 episodes, more than the 2 asked for"):
        measure(learner(), episodes(), {"fgsm": FGSM(0.1)}, 2, partial=path)
    assert path.read_bytes() == content
    path.write_bytes(content[:200])
    with pytest.raises(RobustMetaError, match=r"partial.npz is damaged; delete it to evaluate again"):
        measure(learner(), episodes(), {"fgsm": FGSM(0.1)}, 3, partial=path)


def test_the_table_of_cards_says_what_was_measured(learner, episodes) -> None:
    made, threat = learner("protonet-aq", "running"), Threat("Linf", 0.03)
    table = evaluate(made, episodes(seed=4), ["fgsm", "pgd-7"], 12, threat=threat)
    outcomes = measure(made, episodes(seed=4), {n: card(n).build(threat) for n in ("fgsm", "pgd-7")}, 12, seed=4)
    assert table["attack"].tolist() == ["clean", "fgsm", "pgd-7", "worst"]
    assert table["eps"].tolist() == [0.0, 0.03, 0.03, 0.03]
    for _, row in table.iterrows():
        accuracy, ci95 = mean_interval(outcomes.right[row["attack"]].mean(1))
        assert (row["accuracy"], row["ci95"]) == (accuracy, ci95)
    about = {"learner": "protonet", "defense": "aq", "backbone": "conv4-4", "norm_policy": "running",
             "dataset": "patterns", "split": "train", "ways": 3, "shots": 2, "queries": 3, "episodes": 12, "seed": 4,
             "threat_norm": "Linf", "flags": ""}  # fmt: skip
    for column, value in about.items():
        assert (table[column] == value).all(), column
    assert table["card"].tolist() == ["", card("fgsm").hash, card("pgd-7").hash, ""]


def test_attacks_of_ones_own_bring_their_threat_into_the_table(learner, episodes) -> None:
    made, mine = learner(), PGD(0.02, 1)
    table = evaluate(made, episodes(), {"mine": mine, "yours": FGSM(0.02)}, 2)
    assert table["eps"].tolist() == [0.0, 0.02, 0.02, 0.02]
    assert table["threat_norm"].unique().tolist() == ["Linf"]
    with pytest.raises(RobustMetaError, match=r"'yours' is held to Linf eps 0.03, the evaluation to Linf eps 0.02"):
        evaluate(made, episodes(), {"mine": mine, "yours": FGSM(0.03)}, 2)
    with pytest.raises(RobustMetaError, match=r"'mine' is held to Linf eps 0.02, the evaluation to L2 eps 0.02"):
        evaluate(made, episodes(), {"mine": mine}, 2, threat=Threat("L2", 0.02))
    with pytest.raises(RobustMetaError, match=r"'mine' is <function .*; it must be one that has a threat"):
        evaluate(made, episodes(), {"mine": lambda classifier, images, labels, seeds=None: images}, 2)


def test_what_cannot_be_evaluated_is_refused(learner, episodes) -> None:
    with pytest.raises(RobustMetaError, match="1 episodes were asked for; an interval needs at least 2"):
        evaluate(learner(), episodes(), "quick", 1)
    with pytest.raises(RobustMetaError, match="unknown attack or suite 'pgd-5'; did you mean 'pgd-50'"):
        evaluate(learner(), episodes(), "pgd-5", 2)
    with pytest.raises(RobustMetaError, match="unknown audit 'fulll'; did you mean 'full'"):
        evaluate(learner(), episodes(), "quick", 2, audit="fulll")
    with pytest.raises(RobustMetaError, match=r"eps is 128 in L2, in pixel units from 0 to 1; images of 1x16x16"):
        evaluate(learner(), episodes(), "quick", 2, threat=Threat("L2", 128))


def test_an_attack_on_the_support_from_python_is_labelled_so(learner, episodes) -> None:
    threat = Threat("Linf", 0.05)
    table = evaluate(learner(), episodes(), {"mine": card("poison-20").build(threat), "pgd": PGD(0.05, 2)}, 2)
    assert dict(zip(table["attack"], table["target"], strict=True)) == {
        "clean": "", "mine": "support", "pgd": "query", "worst": "query",
    }  # fmt: skip


SLOW = (
    "square-1000", "square-5000", "spsa",
    "torchattacks-apgd-dlr-100", "torchattacks-square-1000", "torchattacks-square-5000",
)  # fmt: skip
"""Of kin to cards that are run; told of apart."""


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_no_shipped_card_fails_a_check_on_what_attacks_do(learner, episodes, norm) -> None:
    made, threat = learner("protonet", "running"), Threat(norm, {"Linf": 0.1, "L2": 1.5}[norm])
    every = [card(name) for name in names() if name not in SLOW and card(name).fewest_ways <= 3]
    fitting = [
        found.name for found in every if norm in found.norm and found.channels is None and found.fewest_ways <= 3
    ]
    assert len(fitting) > 12
    table = evaluate(made, episodes(queries=2), fitting, 2, threat=threat, twin=learner("protonet", "running", seed=1))
    failed = [found for found in table.attrs["findings"] if found.code[0] == "B" and found.verdict == "fail"]
    assert not failed
    assert len(table) == len(fitting) + 2

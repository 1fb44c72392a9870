"""Evaluation on a classifier whose answers are known, and its independence of order, chunks and interruptions."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from robustmeta.attacks.base import Threat
from robustmeta.attacks.card import card, names
from robustmeta.attacks.projected_gradient import FGSM, PGD
from robustmeta.episodes import EpisodeBatch
from robustmeta.errors import RobustMetaError
from robustmeta.evaluation import attack_episodes, evaluate, measure, task_seed
from robustmeta.interval import mean_interval
from robustmeta.learners import Classifier, Learner
from robustmeta.outcomes import Outcomes

WHOLE_RANGE = Threat("Linf", 1.0)


class Reader(Classifier):
    """Reads one of three labels from the first pixel: 0, 1/2 and 1 mean 0, 1 and 2."""

    ways = 3

    def forward(self, query_x: Tensor) -> Tensor:
        return -(2 * query_x[..., 0, 0, 0, None] - torch.arange(3.0)).square()

    def detach(self) -> "Reader":
        return self


class Reading(Learner):
    def adapt(self, support_x: Tensor, support_y: Tensor) -> Reader:
        return Reader()


@dataclass
class Write:
    """Writes a value into the first pixel of some queries."""

    value: float
    of: slice
    threat: Threat = field(default_factory=lambda: WHOLE_RANGE)

    def __call__(self, classifier, images, labels, seeds=None) -> Tensor:
        moved = images.clone()
        moved[:, self.of, :, 0, 0] = self.value
        return moved


@pytest.fixture
def readable() -> EpisodeBatch:
    """Two tasks of six queries that read 0 1 2 0 1 2; of the second task the first two queries are labelled wrongly."""
    labels = torch.tensor([[0, 1, 2, 0, 1, 2]] * 2)
    images = (labels / 2)[..., None, None, None].expand(2, 6, 1, 2, 2).contiguous()
    wrong = torch.tensor([[0, 1, 2, 0, 1, 2], [1, 0, 2, 0, 1, 2]])
    return EpisodeBatch(images[:, :3], labels[:, :3], images, wrong, (0, 1))


def right(outcomes: Outcomes, name: str) -> list[list[int]]:
    return outcomes.right[name].astype(int).tolist()


def test_the_worst_case_is_taken_query_by_query(readable) -> None:
    attacks = {"early": Write(1.0, slice(0, 3)), "late": Write(0.0, slice(3, 6)), "good": Write(0.5, slice(0, 1))}
    outcomes = attack_episodes(Reading(), readable, attacks, 0)
    assert list(outcomes.right) == ["clean", "early", "late", "good", "worst"]
    assert right(outcomes, "clean") == [[1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1]]
    assert right(outcomes, "early") == [[0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1]]
    assert right(outcomes, "late") == [[1, 1, 1, 1, 0, 0], [0, 0, 1, 1, 0, 0]]
    # In the second task `good` moves query 0 to what its label says; an attack may not make a query right.
    assert right(outcomes, "good") == [[0, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1]]
    assert right(outcomes, "worst") == [[0, 0, 1, 1, 0, 0], [0, 0, 1, 1, 0, 0]]


def test_the_caller_measures_the_perturbation_and_adds_up_the_time(readable) -> None:
    attacks = {"half": Write(0.5, slice(0, 3)), "bound": Write(1.0, slice(0, 6), Threat("Linf", 0.125))}
    outcomes = attack_episodes(Reading(), readable, attacks, 0)
    assert outcomes.largest == {"clean": 0.0, "half": 0.5, "bound": 0.125, "worst": 0.5}
    assert right(outcomes, "bound") == right(outcomes, "clean")
    spent = {name: seconds for name, seconds in outcomes.seconds.items() if name != "worst"}
    assert outcomes.seconds["worst"] == pytest.approx(sum(spent.values()))


@pytest.fixture
def doubled(episodes) -> Callable[..., EpisodeBatch]:
    """Makes tasks in float64, where the last digits that batching changes decide nothing."""

    def make(indices) -> EpisodeBatch:
        batch = episodes().batch(indices)
        return replace(batch, support_x=batch.support_x.double(), query_x=batch.query_x.double())

    return make


ATTACKS = {"fgsm": FGSM(0.02), "pgd": PGD(0.02, steps=4), "margin": PGD(0.2, 4, "L2", loss="margin", until_fooled=True)}


@pytest.mark.parametrize("name", ["protonet", "maml", "protonet-aq"])
@pytest.mark.parametrize("norm", ["running", "support", "group", "transductive"])
def test_rows_do_not_depend_on_the_order_or_company_of_episodes(learner, doubled, name, norm) -> None:
    settings = {"inner_lr": 0.3, "steps": 6} if name == "maml" else {}
    made = learner(name, norm, **settings).double()
    whole = attack_episodes(made, doubled(range(5)), ATTACKS, seed=3)
    if (name, norm) != ("maml", "running"):  # which, untrained, answers every query alike
        assert 0 < whole.right["worst"].mean() < whole.right["clean"].mean()
    for order in ([4, 2, 0, 1, 3], [3]):
        other = attack_episodes(made, doubled(order), ATTACKS, seed=3)
        for attack, rows in whole.right.items():
            assert np.array_equal(other.right[attack], rows[order])
    parts = [attack_episodes(made, doubled(part), ATTACKS, seed=3) for part in ([0, 1], [2, 3, 4])]
    together = parts[0].extended(parts[1])
    assert all(np.array_equal(together.right[attack], rows) for attack, rows in whole.right.items())
    for attack in ("fgsm", "pgd"):  # `margin` moves a fooled query on while another task's still stands
        assert together.largest[attack] == pytest.approx(whole.largest[attack])


def test_a_row_does_not_depend_on_the_attacks_beside_it(learner, episodes) -> None:
    made, batch = learner(), episodes().batch(range(4))
    whole = attack_episodes(made, batch, ATTACKS, seed=3)
    alone = attack_episodes(made, batch, {"pgd": ATTACKS["pgd"]}, seed=3)
    assert np.array_equal(alone.right["pgd"], whole.right["pgd"])
    assert alone.largest["pgd"] == whole.largest["pgd"]


def test_the_seed_of_a_stream_is_the_same_forever() -> None:
    assert task_seed(0, "pgd-20", 17) == 18901577
    assert len({task_seed(s, a, i) for s in (0, 1) for a in ("pgd-20", "pgd-50") for i in range(50)}) == 200


@pytest.mark.parametrize("threat", [Threat("Linf", 0.0), Threat("L2", 0.0)])
@pytest.mark.parametrize("norm", ["running", "transductive"])
def test_without_a_budget_every_attack_of_the_engine_scores_exactly_clean(learner, episodes, threat, norm) -> None:
    cards = [card(name) for name in names()]
    attacks = {found.name: found.build(threat) for found in cards if found.engine == "projected_gradient"}
    assert len(attacks) >= 6
    for name in ("protonet", "maml"):
        outcomes = attack_episodes(learner(name, norm), episodes().batch(range(2)), attacks, 0)
        for attack in (*attacks, "worst"):
            assert np.array_equal(outcomes.right[attack], outcomes.right["clean"])
            assert outcomes.largest[attack] == 0
        assert outcomes.right["clean"].any()


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


def test_batches_made_by_hand_are_numbered_as_they_stand(learner, episodes) -> None:
    batch = episodes().batch(range(3))
    unnumbered = attack_episodes(learner(), replace(batch, index=()), ATTACKS, 1)
    assert np.array_equal(unnumbered.right["pgd"], attack_episodes(learner(), batch, ATTACKS, 1).right["pgd"])


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

    again = measure(Reading(), episodes(), attacks, 23, partial=path)  # finished: no learner is asked
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


def test_what_cannot_be_evaluated_is_refused(learner, episodes) -> None:
    with pytest.raises(RobustMetaError, match="1 episodes were asked for; an interval needs at least 2"):
        evaluate(learner(), episodes(), "quick", 1)
    with pytest.raises(RobustMetaError, match="unknown attack or suite 'pgd-5'; did you mean 'pgd-50'"):
        evaluate(learner(), episodes(), "pgd-5", 2)

"""Scoring on a classifier whose answers are known, and its independence of order and company."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from robustmeta.attacks.apgd import AutoPGD
from robustmeta.attacks.base import Threat, Traits
from robustmeta.attacks.card import card, names
from robustmeta.attacks.projected_gradient import FGSM, PGD
from robustmeta.attacks.square import Square
from robustmeta.batch import EpisodeBatch
from robustmeta.errors import RobustMetaError
from robustmeta.learners import Classifier, Learner
from robustmeta.outcomes import Outcomes
from robustmeta.scoring import attack_episodes, task_seed

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


def test_batches_made_by_hand_are_numbered_as_they_stand(learner, episodes) -> None:
    batch = episodes().batch(range(3))
    unnumbered = attack_episodes(learner(), replace(batch, index=()), ATTACKS, 1)
    assert np.array_equal(unnumbered.right["pgd"], attack_episodes(learner(), batch, ATTACKS, 1).right["pgd"])


@dataclass
class Counting:
    """`Write`, keeping the number of queries of each call."""

    value: float
    of: slice
    threat: Threat = field(default_factory=lambda: WHOLE_RANGE)
    met: list[tuple[int, int]] = field(default_factory=list)

    def __call__(self, classifier, images, labels, seeds=None) -> Tensor:
        self.met.append(images.shape[:2])
        return Write(self.value, self.of)(classifier, images, labels, seeds)


class Selecting(Reader):
    def select(self, tasks) -> "Selecting":
        return self


class Leaning(Selecting):
    """As if the queries depended on each other."""

    inductive = False


class Adapting(Learner):
    def __init__(self, made: Classifier) -> None:
        super().__init__()
        self.made = made

    def adapt(self, support_x: Tensor, support_y: Tensor) -> Classifier:
        return self.made


def test_in_a_suite_on_survivors_each_attack_meets_what_those_before_it_left(readable) -> None:
    first, second = Counting(1.0, slice(0, 2)), Counting(0.0, slice(0, 1))
    outcomes = attack_episodes(
        Adapting(Selecting()), readable, {"first": first, "second": second}, 0, survivors_only=True
    )
    # Clean 6 and 4 right. `first` writes 2 on the first two met: of labels 0 1 two fall, of labels 2 0 one falls.
    assert first.met == [(1, 6), (1, 4)]
    assert right(outcomes, "first") == [[0, 0, 1, 1, 1, 1], [0, 0, 1, 0, 1, 1]]
    # `second` writes 0 on the first met, whose label is 2 in both tasks.
    assert second.met == [(1, 4), (1, 3)]
    assert right(outcomes, "second") == [[0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 1, 1]]
    assert right(outcomes, "worst") == right(outcomes, "second")


def test_queries_that_depend_on_each_other_are_never_parted(readable) -> None:
    first, second = Counting(1.0, slice(0, 2)), Counting(0.0, slice(5, 6))
    outcomes = attack_episodes(
        Adapting(Leaning()), readable, {"first": first, "second": second}, 0, survivors_only=True
    )
    assert first.met == second.met == [(2, 6)]
    assert right(outcomes, "second") == [[0, 0, 1, 1, 1, 0], [0, 0, 1, 1, 1, 0]]  # what both left


@dataclass
class Leaving(Counting):
    """Counts, too, and says that it leaves fooled queries alone; keeps the labels it met."""

    until_fooled: bool = True
    labels: list[list[list[int]]] = field(default_factory=list)

    def __call__(self, classifier, images, labels, seeds=None) -> Tensor:
        self.labels.append(labels.tolist())
        return super().__call__(classifier, images, labels, seeds)


def test_an_attack_that_leaves_fooled_queries_alone_meets_all_tasks_at_once(readable) -> None:
    first, second, third = Leaving(1.0, slice(0, 2)), Leaving(0.0, slice(0, 3)), Leaving(1.0, slice(0, 2))
    attacks = {"first": first, "second": second, "third": third}
    outcomes = attack_episodes(Adapting(Selecting()), readable, attacks, 0, survivors_only=True)
    assert first.met == second.met == [(2, 6)]
    assert first.labels == [
        readable.query_y.tolist()
    ]  # wrong from the start, queries 0 and 1 of the second task are so
    assert second.labels == [[[1, 2, 2, 0, 1, 2], [1, 0, 2, 0, 1, 2]]]  # 0 and 1 of the first are lost
    assert right(outcomes, "first") == [[0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1]]
    assert right(outcomes, "second") == right(outcomes, "worst") == [[0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1]]
    assert outcomes.largest["second"] == 1.0
    assert outcomes.largest["third"] == 0.0  # the lost ones count as not moved


def test_survivors_end_as_they_would_without_and_in_any_company(learner, doubled) -> None:
    attacks = {
        "pgd": PGD(0.006, 2, until_fooled=True),
        "apgd": AutoPGD(Threat("Linf", 0.02), 6, "dlr"),
        "square": Square(Threat("Linf", 0.03), 30),
    }
    for name, settings in (("protonet", {}), ("maml", {"inner_lr": 0.3, "steps": 6})):
        made = learner(name, "support", **settings).double()
        whole = attack_episodes(made, doubled(range(3)), attacks, seed=3)
        assert 0 < whole.right["worst"].mean() < whole.right["pgd"].mean()
        left = attack_episodes(made, doubled(range(3)), attacks, seed=3, survivors_only=True)
        assert np.array_equal(left.right["worst"], whole.right["worst"])
        standing = np.logical_and.accumulate([whole.right[attack] for attack in attacks])
        assert all(np.array_equal(left.right[attack], rows) for attack, rows in zip(attacks, standing, strict=True))
        if name == "protonet":  # MAML's tasks stay of one size, and in one of them all stand
            assert all(left.forwards[attack] < whole.forwards[attack] for attack in ("apgd", "square"))
        probed = attack_episodes(made, doubled(range(3)), attacks, seed=3, survivors_only=True, probed=True)
        assert all(np.array_equal(probed.right[attack], rows) for attack, rows in left.right.items())
        assert not any(probed.evidence[f"S08/{attack}"].any() for attack in attacks)
        for order in ([2, 0], [1]):
            other = attack_episodes(made, doubled(order), attacks, seed=3, survivors_only=True)
            assert all(np.array_equal(other.right[attack], rows[order]) for attack, rows in left.right.items())


@dataclass
class Raising:
    threat: Threat = field(default_factory=lambda: WHOLE_RANGE)
    error: type[BaseException] = RuntimeError

    def __call__(self, classifier, images, labels, seeds=None) -> Tensor:
        raise self.error("no such layer\nat all")


def test_an_attack_that_raises_moved_nothing_and_the_others_go_on(readable) -> None:
    outcomes = attack_episodes(Reading(), readable, {"broken": Raising(), "late": Write(0.0, slice(3, 6))}, 0)
    assert right(outcomes, "broken") == right(outcomes, "clean")
    assert right(outcomes, "late") == right(outcomes, "worst") == [[1, 1, 1, 1, 0, 0], [0, 0, 1, 1, 0, 0]]
    assert outcomes.evidence["B04/broken"].tolist() == [True, True]
    assert outcomes.evidence["B04/late"].tolist() == [False, False]
    assert outcomes.errors == {"B04/broken": "RuntimeError: no such layer"}


def test_no_number_is_no_answer(readable) -> None:
    class Broken(Reader):
        def forward(self, query_x: Tensor) -> Tensor:
            return torch.where(query_x[..., :1, 0, 0] == 0.25, torch.nan, super().forward(query_x))

    outcomes = attack_episodes(Adapting(Broken()), readable, {"to nowhere": Write(0.25, slice(0, 1))}, 0)
    assert right(outcomes, "to nowhere") == [[0, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1]]


@pytest.mark.parametrize("error", [RobustMetaError, MemoryError, KeyboardInterrupt])
def test_what_is_no_fault_of_the_attack_ends_the_evaluation(readable, error) -> None:
    with pytest.raises(error):
        attack_episodes(Reading(), readable, {"broken": Raising(error=error)}, 0)


@dataclass
class Swapping:
    """A support attack that turns the support of label 0 into that of label 2 and notes the queries it knew."""

    threat: Threat = field(default_factory=lambda: WHOLE_RANGE)
    traits: Traits = field(default_factory=lambda: Traits("support"))
    then: None = None
    known: list[Tensor] = field(default_factory=list)

    def place(self, known, seeds=None):
        self.known.append(known.query_x[:, :, 0, 0, 0])
        return known.support_x, known.support_y == 0

    def __call__(self, learner, placed, mask, seeds=None) -> Tensor:
        moved = placed.support_x.clone()
        moved[mask] = 1.0
        return moved


class Nearest(Learner):
    """The label of the support image whose first pixel is nearest."""

    def adapt(self, support_x: Tensor, support_y: Tensor) -> Classifier:
        pixels = support_x[:, :, 0, 0, 0]
        prototypes = torch.stack([pixels[support_y == label].view(len(pixels), -1).mean(1) for label in range(3)], 1)
        return Pixels(prototypes)


class Pixels(Classifier):
    ways = 3

    def __init__(self, prototypes: Tensor) -> None:
        super().__init__()
        self.prototypes = prototypes

    def forward(self, query_x: Tensor) -> Tensor:
        return -(query_x[..., 0, 0, 0, None] - self.prototypes[:, None]).abs()

    def detach(self) -> "Pixels":
        return self


def test_a_poisoned_support_is_judged_on_queries_it_was_made_without_and_is_no_part_of_the_worst_case(readable) -> None:
    batch = replace(readable, query_y=readable.support_y.repeat(1, 2))
    poison = Swapping()
    outcomes = attack_episodes(Nearest(), batch, {"poison": poison, "late": Write(0.0, slice(4, 5))}, 0)
    # Labels 0 and 2 now both stand at 1: what reads 0 is nearest to 1/2, what reads 1 ties and is called 0.
    assert right(outcomes, "poison") == [[0, 1, 0, 0, 1, 0]] * 2
    assert right(outcomes, "worst") == right(outcomes, "late") == [[1, 1, 1, 1, 0, 1]] * 2
    assert outcomes.largest["poison"] == 1
    halves = [known.tolist() for known in poison.known]
    assert halves == [[[0, 0.5, 1]] * 2] * 2  # three of the six each time, once those and once the others
    assert outcomes.evidence["B01/poison"].tolist() == [0, 0]


def test_with_attacks_on_the_support_alone_there_is_no_worst_case(readable) -> None:
    batch = replace(readable, query_y=readable.support_y.repeat(1, 2))
    assert list(attack_episodes(Nearest(), batch, {"poison": Swapping()}, 0).right) == ["clean", "poison"]


def test_costs_are_counted_in_images(readable) -> None:
    attacks = {"pgd": PGD(0.1, 4, random_start=False), "write": Write(1.0, slice(0, 3))}
    outcomes = attack_episodes(Reading(), readable, attacks, 0)
    assert outcomes.forwards == {"clean": 12, "pgd": 60, "write": 0, "worst": 72}
    assert outcomes.backwards == {"clean": 0, "pgd": 48, "write": 0, "worst": 48}


def test_probes_look_at_what_they_are_asked_to_and_change_no_outcome(learner, episodes) -> None:
    batch = episodes().batch(range(2))
    plain = attack_episodes(learner(), batch, ATTACKS, 3)
    probed = attack_episodes(learner(), batch, ATTACKS, 3, probed=True)
    assert all(np.array_equal(plain.right[name], rows) for name, rows in probed.right.items())
    assert plain.forwards == probed.forwards
    assert {"G01", "B03/pgd", "S08/pgd"} <= {key.partition("/")[0] if key[0] == "G" else key for key in probed.evidence}
    assert not any(key.startswith(("G0", "B03", "S08")) for key in plain.evidence)

"""A task to be looked at: what it shows is what the table counts."""

import numpy as np
import pytest
import torch

from robustmeta.attacks.base import Threat, craft
from robustmeta.attacks.card import card
from robustmeta.attacks.projected_gradient import PGD
from robustmeta.errors import RobustMetaError
from robustmeta.exhibit import QUERIES, Exhibit, exhibit, hardest
from robustmeta.outcomes import Outcomes
from robustmeta.scoring import attack_episodes, task_seed

ATTACK = PGD(0.1, 5, loss="margin")


def first_of_each_class(labels: torch.Tensor) -> list[int]:
    return [int((labels == label).nonzero()[0]) for label in labels.unique()]


@pytest.mark.parametrize("name", ["protonet", "maml", "versa"])
def test_shows_what_the_table_counts(learner, episodes, name) -> None:
    made, tasks = learner(name), episodes(ways=3, shots=2, queries=2)
    seen = exhibit(made, tasks[0], "pgd", ATTACK, seed=7)
    counted = attack_episodes(made, tasks[0], {"pgd": ATTACK}, 7).right
    at = first_of_each_class(tasks[0].query_y[0])
    assert seen.labels.tolist() == [0, 1, 2]
    right = seen.before == seen.labels
    np.testing.assert_array_equal(right, counted["clean"][0, at])
    np.testing.assert_array_equal(right & (seen.after == seen.labels), counted["pgd"][0, at])
    np.testing.assert_array_equal(seen.clean, tasks[0].query_x[0, at])
    np.testing.assert_array_equal(seen.support, tasks[0].support_x[0, first_of_each_class(tasks[0].support_y[0])])
    assert np.abs(seen.moved - seen.clean).max() == pytest.approx(0.1, abs=1e-6)
    classifier = made.adapt(tasks[0].support_x, tasks[0].support_y).detach()
    moved = craft(ATTACK, classifier, tasks[0].query_x, tasks[0].query_y, [task_seed(7, "pgd", 0)])
    np.testing.assert_array_equal(seen.moved, moved[0, at])


def test_predictions_come_with_their_probability(learner, episodes) -> None:
    made, batch = learner("protonet"), episodes()[0]
    seen = exhibit(made, batch, "pgd", ATTACK, seed=0)
    at = first_of_each_class(batch.query_y[0])
    logits = made.adapt(batch.support_x, batch.support_y)(batch.query_x)[0, at].detach().double().numpy()
    odds = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(seen.sure_before, odds.max(1) / odds.sum(1), rtol=1e-5)
    assert seen.before.tolist() == logits.argmax(1).tolist()
    moved = torch.from_numpy(seen.moved)[None]
    after = made.adapt(batch.support_x, batch.support_y)(moved)[0].softmax(-1).detach()
    np.testing.assert_allclose(seen.sure_after, after.max(-1).values, rtol=1e-4)
    assert seen.after.tolist() == after.argmax(-1).tolist()


def test_no_more_queries_than_a_page_holds(learner, episodes) -> None:
    seen = exhibit(learner("protonet"), episodes(ways=7, queries=1)[0], "pgd", ATTACK, seed=0)
    assert len(seen.support) == 7
    assert len(seen.clean) == len(seen.moved) == len(seen.after) == QUERIES


def test_an_attack_by_transfer_and_one_that_raises(learner, episodes) -> None:
    made, batch = learner("protonet"), episodes()[0]
    transfer = card("transfer-pgd-50").build(Threat("Linf", 0.1), learner("protonet", seed=1))
    assert np.abs(exhibit(made, batch, "t", transfer, seed=0).moved - batch.query_x[0, 0].numpy()).max() > 0

    class Raising:
        threat = Threat("Linf", 0.1)

        def __call__(self, *arguments: object) -> torch.Tensor:
            raise IndexError("no such class")

    seen = exhibit(made, batch, "broken", Raising(), seed=0)
    np.testing.assert_array_equal(seen.moved, seen.clean)


def test_the_attack_that_took_most_of_the_first_task() -> None:
    def rows(*first: int) -> np.ndarray:
        return np.array([first, (1, 0, 0, 0)], dtype=bool)

    right = {"clean": np.ones((2, 4), dtype=bool), "a": rows(1, 1, 0, 0), "b": rows(0, 0, 0, 1), "c": rows(0, 0, 0, 1)}
    assert hardest(Outcomes(right), ["a", "b", "c"]) == "b"
    assert hardest(Outcomes(right), ["a", "c", "b"]) == "c"
    right["c"] = np.array([(0, 0, 0, 1), (0, 0, 0, 0)], dtype=bool)  # which takes more elsewhere
    assert hardest(Outcomes(right), ["a", "b", "c"]) == "c"
    right["d"] = np.array([(1, 0, 0, 1), (0, 0, 0, 0)], dtype=bool)
    right["b"] = np.array([(0, 0, 0, 1), (1, 1, 1, 1)], dtype=bool)  # which takes more here, and less in all
    assert hardest(Outcomes(right), ["b", "d"]) == "b"
    # Where each meets what is left, the first took two, the second one of what stood.
    left = {"clean": np.ones((1, 3), dtype=bool), "a": np.array([[1, 0, 0]], bool), "b": np.array([[0, 0, 0]], bool)}
    assert hardest(Outcomes(left), ["a", "b"], survivors_only=True) == "a"
    assert hardest(Outcomes(left), []) is None


def test_is_kept_whole_and_read_back(learner, episodes, tmp_path) -> None:
    seen = exhibit(learner("protonet"), episodes()[0], "pgd", ATTACK, seed=0)
    seen.save(tmp_path / "kept.npz")
    again = Exhibit.load(tmp_path / "kept.npz")
    assert again.attack == "pgd"
    for name in ("support", "clean", "moved", "labels", "before", "sure_before", "after", "sure_after"):
        np.testing.assert_array_equal(getattr(again, name), getattr(seen, name))
    (tmp_path / "kept.npz").write_bytes((tmp_path / "kept.npz").read_bytes()[:200])
    with pytest.raises(RobustMetaError, match="is damaged; delete it"):
        Exhibit.load(tmp_path / "kept.npz")


def test_damaged_in_any_place_is_told_in_one_line(learner, episodes, tmp_path) -> None:
    exhibit(learner("protonet"), episodes()[0], "pgd", ATTACK, seed=0).save(tmp_path / "kept.npz")
    whole, told = (tmp_path / "kept.npz").read_bytes(), 0
    for at in np.random.default_rng(0).integers(0, len(whole) - 1, 150):
        (tmp_path / "kept.npz").write_bytes(whole[:at] + bytes([whole[at] ^ 8, whole[at + 1] ^ 1]) + whole[at + 2 :])
        try:
            Exhibit.load(tmp_path / "kept.npz")
        except RobustMetaError as error:
            told += str(error).endswith("kept.npz is damaged; delete it to attack the task again")
    assert told > 100
    np.savez(tmp_path / "kept.npz", attack=np.array("pgd"), clean=np.zeros(3))
    with pytest.raises(RobustMetaError, match="is damaged; delete it"):
        Exhibit.load(tmp_path / "kept.npz")

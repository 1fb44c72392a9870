"""Outcomes joined and kept, and files that are damaged or of something else."""

import numpy as np
import pytest

from robustmeta.errors import RobustMetaError
from robustmeta.outcomes import Outcomes

NAMES = ("clean", "pgd/20", "worst")


def made(seed: int, episodes: int) -> Outcomes:
    generator = np.random.default_rng(seed)
    right = {name: generator.random((episodes, 4)) < 0.5 for name in NAMES}
    cost = dict.fromkeys(NAMES, 10 * seed)
    evidence = {"B01/pgd/20": np.full(episodes, 0.5 * seed), "B07": np.arange(episodes) + 100 * seed}
    evidence |= {"G01": np.full(episodes, 0.25)} if seed == 1 else {}  # looked at in the first episodes only
    errors = {"B04/pgd/20": f"RuntimeError: number {seed}"}
    seconds = {name: float(seed) for name in NAMES}
    return Outcomes(right, dict.fromkeys(NAMES, 0.1 * seed), seconds, cost, dict(cost), evidence, errors)


def test_joining_appends_episodes_adds_times_and_keeps_the_largest():
    first, second = made(1, 2), made(2, 3)
    for joined in (first.extended(second), Outcomes().extended(first).extended(second)):
        assert joined.episodes == 5
        assert list(joined.right) == list(NAMES)
        for name in NAMES:
            assert np.array_equal(joined.right[name][:2], first.right[name])
            assert np.array_equal(joined.right[name][2:], second.right[name])
            assert joined.seconds[name] == 3
            assert joined.largest[name] == 0.2
            assert (joined.forwards[name], joined.backwards[name]) == (30, 30)
        assert joined.evidence["B01/pgd/20"].tolist() == [0.5, 0.5, 1, 1, 1]
        assert joined.evidence["B07"].tolist() == [100, 101, 200, 201, 202]
        assert joined.evidence["G01"].tolist() == [0.25, 0.25]
        assert joined.errors == {"B04/pgd/20": "RuntimeError: number 1"}
    assert (first.episodes, second.episodes, Outcomes().episodes) == (2, 3, 0)


def test_what_is_saved_is_read_back(tmp_path):
    outcomes = made(1, 5)
    outcomes.save(tmp_path / "deep" / "partial.npz")
    back = Outcomes.load(tmp_path / "deep" / "partial.npz", ("pgd/20",))
    assert list(back.right) == list(NAMES)
    for name in NAMES:
        assert back.right[name].dtype == bool
        assert np.array_equal(back.right[name], outcomes.right[name])
    for part in ("seconds", "largest", "forwards", "backwards", "errors"):
        assert getattr(back, part) == getattr(outcomes, part)
    assert back.evidence.keys() == outcomes.evidence.keys()
    assert all(np.array_equal(back.evidence[key], values) for key, values in outcomes.evidence.items())


def test_without_an_attack_on_queries_there_is_no_worst_case(tmp_path):
    outcomes = made(1, 2)
    for part in (outcomes.right, outcomes.seconds, outcomes.largest, outcomes.forwards, outcomes.backwards):
        del part["worst"]
    outcomes.save(tmp_path / "partial.npz")
    assert list(Outcomes.load(tmp_path / "partial.npz", ("pgd/20",)).right) == ["clean", "pgd/20"]


def test_a_file_from_before_costs_were_counted_is_refused(tmp_path):
    outcomes = made(1, 2)
    outcomes.forwards.clear()
    outcomes.save(tmp_path / "partial.npz")
    with pytest.raises(RobustMetaError, match=r"partial.npz was written by an older robustmeta; delete it"):
        Outcomes.load(tmp_path / "partial.npz", ("pgd/20",))


@pytest.mark.parametrize("attacks", [(), ("pgd/20", "fgsm"), ("fgsm",)])
def test_outcomes_of_other_attacks_are_refused(tmp_path, attacks):
    made(1, 2).save(tmp_path / "partial.npz")
    with pytest.raises(RobustMetaError, match=r"partial.npz holds outcomes of other attacks; choose another folder"):
        Outcomes.load(tmp_path / "partial.npz", attacks)


def damaged(tmp_path):
    made(1, 5).save(tmp_path / "partial.npz")
    whole = (tmp_path / "partial.npz").read_bytes()
    yield from (whole[:size] for size in (0, 1, 20, 100, len(whole) // 2, len(whole) - 1))
    generator = np.random.default_rng(0)
    for _ in range(100):  # of which a byte or three changed may also leave the content as it was
        flipped = bytearray(whole)
        for at in generator.integers(0, len(whole), 3):
            flipped[at] ^= 1 << generator.integers(8)
        yield bytes(flipped)
    yield from (b"no archive", b"PK\x03\x04")


def test_a_damaged_file_is_an_error_of_one_line_and_nothing_else(tmp_path):
    messages = []
    for content in damaged(tmp_path):
        (tmp_path / "partial.npz").write_bytes(content)
        try:
            Outcomes.load(tmp_path / "partial.npz", ("pgd/20",))
        except RobustMetaError as error:
            messages.append(str(error))
    assert len(messages) > 80
    assert all("partial.npz" in message and "\n" not in message for message in messages)


@pytest.mark.parametrize("foreign", [np.zeros(3), np.array({"a": 1}, dtype=object)])
def test_an_array_that_is_no_archive_is_refused(tmp_path, foreign):
    with (tmp_path / "partial.npz").open("wb") as file:
        np.save(file, foreign, allow_pickle=True)
    with pytest.raises(RobustMetaError, match=r"partial.npz is damaged; delete it to evaluate again"):
        Outcomes.load(tmp_path / "partial.npz", ("pgd/20",))


def test_an_archive_of_something_else_is_refused(tmp_path):
    np.savez(tmp_path / "partial.npz", weights=np.zeros(3))
    with pytest.raises(RobustMetaError, match=r"partial.npz is damaged"):
        Outcomes.load(tmp_path / "partial.npz", ("pgd/20",))

"""Order and arithmetic of interleaved timing, by hand."""

from collections.abc import Callable

import pytest

from benchmarks.rounds import interleaved, interval, interval_of_sums, ratio, ratio_of_sums


def test_each_round_runs_all_and_begins_with_another() -> None:
    order: list[str] = []

    def run(name: str) -> Callable[[], float]:
        def once() -> float:
            order.append(name)
            return float(len(order))

        return once

    times = interleaved({name: run(name) for name in "abc"}, rounds=4)
    assert "".join(order) == "abc" + "bca" + "cab" + "abc"
    assert times["b"] == [2, 4, 9, 11]


def test_no_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        interleaved({}, 0)


def test_the_ratio_is_the_median_over_rounds_not_of_medians() -> None:
    # Ratios 4, 1, 3; the medians' would be 4/2.
    assert ratio([4, 2, 9], [1, 2, 3]) == 3
    low, high = interval([4, 2, 9], [1, 2, 3])
    assert (low, high) == (1, 4)
    assert interval([2, 4], [1, 2]) == (2, 2)


def test_the_ratio_of_sums_weighs_rounds_by_their_work() -> None:
    assert ratio_of_sums([10, 2], [1, 2]) == 4
    low, high = interval_of_sums([10, 2], [1, 2])
    assert (low, high) == (1, 10)

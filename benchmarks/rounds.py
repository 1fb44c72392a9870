"""Interleaved timing: every round runs every contender once, so that a slow minute of the machine meets them all."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np


def interleaved(runs: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """What each run returns (seconds), round by round; each round begins with another contender.

    Raises `ValueError` for fewer rounds than one.
    """
    if rounds < 1:
        raise ValueError(f"{rounds} rounds were asked for; at least 1 is needed")
    names, times = list(runs), {name: [] for name in runs}
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            times[name].append(runs[name]())
    return times


def ratio(times: Sequence[float], ours: Sequence[float]) -> float:
    """The median over rounds of a contender's time over ours in the same round."""
    return float(np.median(np.asarray(times) / np.asarray(ours)))


def interval(times: Sequence[float], ours: Sequence[float], draws: int = 2000, seed: int = 0) -> tuple[float, float]:
    """A 95% bootstrap interval of `ratio` over rounds."""
    ratios = np.asarray(times) / np.asarray(ours)
    drawn = np.random.default_rng(seed).choice(ratios, (draws, len(ratios)))
    low, high = np.quantile(np.median(drawn, axis=1), [0.025, 0.975])
    return float(low), float(high)


def ratio_of_sums(times: Sequence[float], ours: Sequence[float]) -> float:
    """All of a contender's time over all of ours: for rounds that are different work, as episodes are."""
    return float(np.sum(times) / np.sum(ours))


def interval_of_sums(
    times: Sequence[float], ours: Sequence[float], draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """A 95% bootstrap interval of `ratio_of_sums` over rounds."""
    pairs = np.stack([times, ours])
    drawn = np.random.default_rng(seed).integers(len(times), size=(draws, len(times)))
    top, bottom = pairs[:, drawn].sum(-1)
    low, high = np.quantile(top / bottom, [0.025, 0.975])
    return float(low), float(high)

"""B03, B05, B07, R01: whether the numbers hang together."""

from collections.abc import Iterator

import numpy as np

from robustmeta.audit.case import CHECKS, Case
from robustmeta.audit.finding import Finding, graded
from robustmeta.interval import mean_interval

NEAR_CHANCE = 0.05
"""Accuracies this near chance are taken for guessing at most, however wide the interval of few episodes is."""


@CHECKS.register("B03")
def scored_again(case: Case) -> Iterator[Finding]:
    """Attacked images were classified otherwise when scored again in another order, rounding apart."""
    if case.noisy:
        return
    for name, differing in case.of_attacks("B03"):
        text = f"{differing.sum():.0f} queries came out otherwise when scored again in reverse order"
        limits: dict[str, float] = {"fail": 0} if case.inductive else {"warn": 0}
        yield graded("B03", name, differing.sum(), text, **limits)


@CHECKS.register("B05")
def never_above_clean(case: Case) -> Iterator[Finding]:
    """A query that is wrong without an attack counts as right under one."""
    for name in case.on_queries:
        gained = (case.outcomes.right[name] & ~case.clean).sum()
        yield graded("B05", name, gained, f"{gained} queries right under attack that are wrong without", fail=0)


@CHECKS.register("B07")
def distinct_episodes(case: Case) -> Iterator[Finding]:
    """Episodes are repeated, which makes the intervals too narrow."""
    prints = case.seen("B07")
    if prints is not None:
        repeated = len(prints) - len(np.unique(prints))
        yield graded("B07", "", repeated, f"{repeated} of {len(prints)} episodes are repetitions", fail=0)


@CHECKS.register("R01")
def better_than_guessing(case: Case) -> Iterator[Finding]:
    """Clean and worst-case accuracy are both those of guessing: such a learner withstands every attack."""
    if "worst" not in case.outcomes.right:
        return
    chance, guessing, said = 1 / case.ways, [], []
    for name in ("clean", "worst"):
        mean, half_width = mean_interval(case.outcomes.right[name].mean(1))
        near = min(float(np.nan_to_num(half_width, nan=NEAR_CHANCE)), NEAR_CHANCE)
        guessing.append(abs(mean - chance) <= near + 1e-9)
        said.append(f"{name} {mean:.3f}")
    yield graded("R01", "", float(all(guessing)), f"{' and '.join(said)}; guessing gives {chance:.3f}", fail=0)

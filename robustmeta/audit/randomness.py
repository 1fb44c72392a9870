"""R02: whether random numbers took part in the classifiers, and whether other ones would have answered otherwise."""

import math
from collections.abc import Iterator

from robustmeta.audit.case import CHECKS, Case
from robustmeta.audit.finding import Finding, graded

FRESH = 0.05
"""Accuracy that attacked images may lose under draws that the attack has not met, beyond two standard errors."""


@CHECKS.register("R02")
def no_random_draws(case: Case) -> Iterator[Finding]:
    """Logits are an average over random draws; or attacked images fool other draws more than those scored."""
    samples = case.seen("R02")
    if samples is None:
        return
    number = samples.max()
    text = f"logits are an average over {number:.0f} random draws, the same in the attack as in the scoring"
    yield graded("R02", "", number, text if number else "no random number takes part in the classifiers", warn=0)
    for name, lost in case.of_attacks("R02"):
        change = f"{abs(lost.mean()):.3f} {'lower' if lost.mean() > 0 else 'higher'}"
        surely = lost.mean() - 2 * lost.std() / math.sqrt(lost.size)
        yield graded("R02", name, surely, f"under fresh draws accuracy is {change}", fail=FRESH)

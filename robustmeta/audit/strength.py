"""G03, S07, S08, S10, S12: whether the attacks of a suite were as strong as they can be, by one another's measure."""

from collections.abc import Iterator, Sequence

import numpy as np

from robustmeta.audit.case import CHECKS, Case
from robustmeta.audit.finding import Finding, counted, graded

DISAGREE = 0.05
"""Points of accuracy by which losses may differ: Croce & Hein (2020) see such gaps where cross-entropy saturates."""

MISSED = 0.01
"""Share of queries that a weaker attack may fool where a stronger one failed, by chance of the start."""

GRADIENT_FREE = 0.002
"""The same for attacks without gradients, as AutoAttack's authors find Square to add to honest models."""

SILENT = 0.05
"""Share of queries that an attack may fool and lose again; those that return their last iterate lose some."""


@CHECKS.register("G03")
def losses_agree(case: Case) -> Iterator[Finding]:
    """An attack on the margin gets well below the attacks on cross-entropy, which then say nothing."""
    by_loss = {loss: _iterated(case, loss) for loss in ("ce", "margin")}
    if not all(by_loss.values()):
        return
    reached = {loss: min(_accuracy(case, name) for name in names) for loss, names in by_loss.items()}
    short = reached["ce"] - reached["margin"]
    text = f"best cross-entropy {reached['ce']:.3f}, best margin {reached['margin']:.3f}"
    for name in by_loss["ce"]:
        yield graded("G03", name, short, text, warn=DISAGREE)


@CHECKS.register("S07")
def iterated_beats_one_step(case: Case) -> Iterator[Finding]:
    """One step fools queries that no iterated attack does."""
    # What climbs a loss of its own need not climb the one that fools; and an attack that says nothing of itself
    # passes for such a one of one step.
    climbing = [name for name in _white_box(case) if case.traits[name].loss != "other"]
    if not any(case.traits[name].steps > 1 for name in climbing):
        return
    iterated = _iterated(case)
    for name in climbing:
        if case.traits[name].steps == 1:
            yield _beyond(case, "S07", name, iterated, "queries fooled that no iterated attack fools", fail=MISSED)


@CHECKS.register("S08")
def no_silent_success(case: Case) -> Iterator[Finding]:
    """An attack met images inside the threat that fool the classifier, and returned ones that do not."""
    if case.noisy:
        return
    for name, lost in case.of_attacks("S08"):
        total = len(lost) * case.clean.shape[1]
        what = "queries fooled on the way, but not by what was returned"
        found = counted("S08", name, int(lost.sum()), total, what, warn=0, fail=SILENT)
        if found.verdict == "fail" and not case.inductive:  # iterates of different steps are scored together there
            found = graded("S08", name, found.evidence, found.text, warn=0)
        yield found


@CHECKS.register("S10")
def white_box_beats_black_box(case: Case) -> Iterator[Finding]:
    """An attack that sees only logits fools queries that no attack with gradients does."""
    yield from _without_gradients(case, "S10", "black-box")


@CHECKS.register("S12")
def white_box_beats_transfer(case: Case) -> Iterator[Finding]:
    """Images crafted on another classifier fool queries that no attack with gradients does."""
    yield from _without_gradients(case, "S12", "transfer")


def _without_gradients(case: Case, code: str, knowledge: str) -> Iterator[Finding]:
    if not _iterated(case):
        return
    for name in case.on_queries:
        if case.traits[name].knowledge == knowledge:
            what = "queries fooled that no white-box attack fools"
            yield _beyond(case, code, name, _white_box(case), what, warn=GRADIENT_FREE, fail=MISSED)


def _beyond(
    case: Case, code: str, name: str, others: Sequence[str], what: str, *, warn: float | None = None, fail: float
) -> Finding:
    """How many queries an attack fools that none of the others does."""
    union = np.logical_or.reduce([case.fooled(other) for other in others])
    alone = int((case.fooled(name) & ~union).sum())
    return counted(code, name, alone, union.size, what, warn=warn, fail=fail)


def _white_box(case: Case) -> list[str]:
    return [name for name in case.on_queries if case.traits[name].knowledge == "white-box"]


def _iterated(case: Case, loss: str | None = None) -> list[str]:
    wanted = [name for name in _white_box(case) if case.traits[name].steps > 1]
    return [name for name in wanted if loss in (None, case.traits[name].loss)]


def _accuracy(case: Case, name: str) -> float:
    return float(case.outcomes.right[name].mean())

"""The checks that always run, on the evidence of an evaluation."""

from collections.abc import Mapping
from dataclasses import replace

from robustmeta.attacks.base import Threat, Traits
from robustmeta.audit import bookkeeping, budget, gradients, purity, randomness, strength  # noqa: F401 - they register checks
from robustmeta.audit.case import CHECKS, Case
from robustmeta.audit.finding import CODES, Finding
from robustmeta.outcomes import Outcomes


def judge(
    outcomes: Outcomes, traits: Mapping[str, Traits], threat: Threat, ways: int, inductive: bool = True
) -> list[Finding]:
    """What all checks that always run say of an evaluation, in the order of `CODES`.

    traits: of each attack, by name. ways: of the tasks. inductive: what the classifiers say of themselves.
    A check whose evidence is missing says nothing, which is no pass.
    """
    case = Case(outcomes, traits, threat, ways, inductive)
    repeats = case.seen("G06")
    if repeats is not None and repeats.max() > purity.SAME:
        case = replace(case, noisy=True)
    return [found for code in CODES if code in CHECKS for found in CHECKS[code](case)]

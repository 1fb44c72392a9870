"""The checks on demand: a few episodes attacked in ways that show whether an attack was at its end."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from robustmeta.attacks.base import Attack, Threat, traits_of
from robustmeta.audit import exhaustion, rivals, sweep
from robustmeta.audit.finding import CODES, Finding
from robustmeta.audit.inquiry import Inquiry
from robustmeta.audit.trial import Trial
from robustmeta.episodes import Episodes
from robustmeta.learners.base import Learner

AUDITED = 375
"""Queries of the full audit, in whole episodes: 5 of the usual tasks. A point of accuracy is about four of them."""

# What gradients find comes first, and then what is held against it.
FULL = {
    "S01": sweep.full_range,
    "S02": sweep.monotone,
    "S04": exhaustion.exhausted,  # and S06 and S17
    "S09": rivals.noise,
    "S10": rivals.black_box,
    "S12": rivals.transfer,
    "S13": exhaustion.undefended_falls,
    "S14": exhaustion.planted_found,
}


def full_audit(
    learner: Learner,
    tasks: Episodes,
    attacks: Mapping[str, Any],
    threat: Threat,
    *,
    twin: Learner | None = None,
    seed: int = 0,
    report: Callable[[str], None] | None = None,
) -> list[Finding]:
    """What the checks on demand say of a learner on its first episodes, in the order of `CODES`.

    attacks: those of the evaluation, by name; the ones on queries that use gradients are looked at. twin: the
    undefended learner, for transfer. seed: of the attacks' random streams. report: called with each check's code
    before it runs.
    A check that needs what is not there, as a twin, says nothing.
    """
    episodes = math.ceil(AUDITED / (tasks.ways * tasks.queries))
    trial = Trial(learner, tasks, episodes, seed)
    other = Trial(twin, tasks, episodes, seed) if twin is not None else None
    gradients = {name: attack for name, attack in attacks.items() if _with_gradients(attack)}
    inquiry = Inquiry(trial, other, gradients, threat, tasks.ways, learner.defense)
    found: list[Finding] = []
    for code, check in FULL.items():
        if report:
            report(code)
        found += check(inquiry)
    order = list(CODES)
    return sorted(found, key=lambda finding: order.index(finding.code))


def _with_gradients(attack: Attack) -> bool:
    return (traits_of(attack).target, traits_of(attack).knowledge) == ("query", "white-box")

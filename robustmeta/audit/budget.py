"""B01, B02, B04, B06, B08: what each attack returned, and what it did besides."""

from collections.abc import Iterator

from robustmeta.audit.case import CHECKS, Case
from robustmeta.audit.finding import Finding, graded
from robustmeta.audit.watched import SLACK


@CHECKS.register("B01")
def inside_the_ball(case: Case) -> Iterator[Finding]:
    """An attack returned images beyond eps; they were pulled back before they were scored."""
    for name, overshoot in case.of_attacks("B01"):
        beyond = overshoot.max()
        text = f"returned images up to {beyond:.2g} beyond eps {case.threat.eps:g}"
        yield graded("B01", name, beyond, text, fail=case.threat.eps * SLACK + SLACK)


@CHECKS.register("B02")
def inside_the_range(case: Case) -> Iterator[Finding]:
    """An attack returned images outside [0, 1], NaN or infinite."""
    for name, outside in case.of_attacks("B02"):
        text = f"{outside.sum():.0f} images outside [0, 1], NaN or infinite"
        yield graded("B02", name, outside.sum(), text, fail=0)


@CHECKS.register("B04")
def without_exceptions(case: Case) -> Iterator[Finding]:
    """An attack raised an exception, and counts as one that moved nothing there."""
    yield from _told(case, "B04", "raised")


@CHECKS.register("B06")
def without_side_effects(case: Case) -> Iterator[Finding]:
    """An attack left random numbers, modes, buffers, gradients or weights other than it found them."""
    yield from _told(case, "B06", "changed something")


@CHECKS.register("B08")
def that_move(case: Case) -> Iterator[Finding]:
    """An attack moved nothing although queries stayed right.

    Attacks that return only what fools, as APGD, FAB and Square, move nothing either where nothing is to be fooled: it
    is a failure if the attack also asked about no image but the clean ones, and otherwise no more than a pass.
    """
    for name in case.on_queries:
        tried, raised, outside = (case.seen(f"{code}/{name}") for code in ("B08", "B04", "B02"))
        largest = case.outcomes.largest[name]
        spoilt = any(found is not None and found.any() for found in (raised, outside))  # B04 or B02 tells why
        if spoilt or case.threat.eps == 0 or not case.outcomes.right[name].any():
            continue
        asked = case.outcomes.forwards.get(name, 0) > 0
        if tried is not None and case.outcomes.right[name][: len(tried)].any():
            asked = tried.max() > 0
        idle = largest == 0 and not asked
        text = (
            "the largest perturbation is 0, and none was tried" if idle else f"the largest perturbation: {largest:.4g}"
        )
        yield graded("B08", name, float(idle), text, fail=0)


def _told(case: Case, code: str, did: str) -> Iterator[Finding]:
    """On how many episodes an attack did what it should not, and the first words there are of it."""
    for name, found in case.of_attacks(code):
        text = f"{did} on {found.sum():.0f} of {len(found)} episodes"
        said = case.outcomes.errors.get(f"{code}/{name}")
        yield graded(code, name, found.sum(), f"{text}: {said}" if said else text, fail=0)

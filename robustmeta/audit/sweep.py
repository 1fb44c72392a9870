"""S01, S02: what attacks do with other budgets."""

import math
from collections.abc import Iterator

from torch import Tensor

from robustmeta.attacks.base import Attack, Threat, traits_of
from robustmeta.audit.finding import Finding, graded
from robustmeta.audit.inquiry import Inquiry, accuracy

FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Of eps; at 0 every attack leaves clean accuracy, as its caller sees to."""

RISE, BROKEN = 0.01, 0.05
"""Accuracy that more eps may give back: chance of the start, and more than that."""

FAR = 100
"""Steps to cross the whole range."""

SURVIVES = 0.05
"""Accuracy that the whole range of images may leave: a few queries whose gradients are dead."""


def full_range(inquiry: Inquiry) -> Iterator[Finding]:
    """S01: with any image allowed, a learner that still answers above chance was not attacked at all."""
    right = inquiry.trial.right(inquiry.reference(_whole_range(inquiry), steps=FAR))
    if right is not None:
        left, chance = accuracy(right), 1 / inquiry.ways
        yield graded("S01", "", left, f"accuracy {left:.3f} where any image is allowed", warn=SURVIVES, fail=chance)


def monotone(inquiry: Inquiry) -> Iterator[Finding]:
    """S02: more eps gives an attack more, never less; one that gains nothing from any does not read it."""
    for name, attack in inquiry.attacks.items():
        if not hasattr(attack, "scaled") or attack.threat.eps == 0:
            continue
        curve = [("0", accuracy(inquiry.trial.clean))]
        for factor in _factors(attack.threat):
            right = _at(inquiry, attack, factor)
            if right is None:
                break
            curve.append((f"{factor:.3g}", accuracy(right)))
        else:
            yield _judged(inquiry, name, attack, curve)


def _judged(inquiry: Inquiry, name: str, attack: Attack, curve: list[tuple[str, float]]) -> Finding:
    text = "accuracy at multiples of eps: " + ", ".join(f"{value:.3f} at {factor}" for factor, value in curve)
    values = [value for _, value in curve]
    if len(set(values[1:])) == 1 and values[1] > 0 and _ignores_eps(inquiry, attack, values[1]):
        return graded("S02", name, 1.0, f"{text}, and the same where any image is allowed", fail=0)
    if traits_of(attack).steps == 1:  # whose step at a large eps may well go too far
        return graded("S02", name, 0.0, text, fail=0)
    rise = max(later - min(values[: at + 1]) for at, later in enumerate(values))
    return graded("S02", name, rise, text, warn=RISE, fail=BROKEN)


def _ignores_eps(inquiry: Inquiry, attack: Attack, flat: float) -> bool:
    """Whether an accuracy that is the same at small budgets is still so at the largest, where none should stand."""
    right = _at(inquiry, attack, _whole_range(inquiry).eps / attack.threat.eps)
    return right is not None and accuracy(right) == flat


def _at(inquiry: Inquiry, attack: Attack, factor: float) -> Tensor | None:
    if factor <= 1:
        return inquiry.trial.with_gradients(attack.scaled(factor))  # type: ignore[attr-defined]
    return inquiry.trial.right(attack.scaled(factor))  # type: ignore[attr-defined]


def _factors(threat: Threat) -> list[float]:
    largest = math.inf if threat.norm == "L2" else (1 - 1e-9) / threat.eps  # a hair less, as 1 may round above 1
    return sorted({min(factor, largest) for factor in FACTORS})


def _whole_range(inquiry: Inquiry) -> Threat:
    images = inquiry.trial.parts[0].batch.query_x
    return Threat(inquiry.threat.norm, 1 - 1e-9 if inquiry.threat.norm == "Linf" else math.sqrt(images[0, 0].numel()))

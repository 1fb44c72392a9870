"""S04, S06, S13, S14, S17: whether attacks with gradients are at their end."""

from collections.abc import Iterator

import torch
from torch import Tensor

from robustmeta.attacks.ascent import unit
from robustmeta.attacks.base import uniform
from robustmeta.attacks.projected_gradient import margin
from robustmeta.audit.finding import Finding, counted, graded
from robustmeta.audit.inquiry import STEPS, Inquiry, accuracy
from robustmeta.audit.trial import Part
from robustmeta.draws import redrawn

POINT = 0.01
"""Accuracy that more steps or restarts may take away from a converged attack (Carlini et al., 2019)."""

RESTARTS = 5

FOUND, MUCH_FOUND = 0.01, 0.05
"""Share of queries that more work than the suite's may fool besides: as of steps, and as of losses that disagree."""

UNDEFENDED = 0.1
"""Accuracy above which an undefended learner shows that the attack or the budget is too weak to tell."""

CORNERS = 64
"""Random points of the ball among which the planted one is the best: what noise finds, a gradient must."""

LOST, MANY_LOST = 0.01, 0.1
"""Share of planted examples that an attack may miss; the test of Zimmermann et al. (2022) asks for nearly all."""


def exhausted(inquiry: Inquiry) -> Iterator[Finding]:
    """S04, S06, S17: more steps or restarts take accuracy away, from the reference attack or from the suite."""
    trial = inquiry.trial
    for attack in inquiry.attacks.values():
        if not hasattr(attack, "scaled"):  # the others have been run, at fractions of eps too
            trial.with_gradients(attack)
    suite = trial.fooled
    once = trial.with_gradients(inquiry.reference())
    longer = trial.with_gradients(inquiry.reference(steps=2 * STEPS))
    often = trial.with_gradients(inquiry.reference(restarts=RESTARTS))
    if once is None or longer is None or often is None:
        return
    before, after, last = accuracy(once), accuracy(longer), accuracy(often)
    text = f"accuracy {before:.3f} after {STEPS} steps"
    yield graded("S04", "", before - after, f"{text}, {after:.3f} after {2 * STEPS}", warn=POINT)
    yield graded("S06", "", before - last, f"{text} from one start, {last:.3f} from {RESTARTS}", warn=POINT)
    if inquiry.attacks:
        found = int((trial.fooled & ~suite).sum())
        what = f"queries fooled by {STEPS} or {2 * STEPS} steps, or {RESTARTS} starts, that the suite did not fool"
        yield counted("S17", "", found, suite.numel(), what, warn=FOUND, fail=MUCH_FOUND)


def undefended_falls(inquiry: Inquiry) -> Iterator[Finding]:
    """S13: a learner without a defense withstands all attacks with gradients together."""
    if inquiry.defense == "natural":
        left = accuracy(inquiry.trial.clean & ~inquiry.trial.fooled)
        yield graded("S13", "", left, f"an undefended learner keeps accuracy {left:.3f}", warn=UNDEFENDED)


def planted_found(inquiry: Inquiry) -> Iterator[Finding]:
    """S14: where one of 64 random points is made adversarial, an attack with gradients finds such a point too."""
    trial = inquiry.trial
    try:
        found = trial.over(lambda part: _found(inquiry, part))
    except RuntimeError:  # no gradients to attack with, as G01 tells
        return
    lost = int((trial.clean & ~found).sum())
    what = "planted adversarial examples not found"
    yield counted("S14", "", lost, int(trial.clean.sum()), what, warn=LOST, fail=MANY_LOST)


@torch.no_grad()
def _found(inquiry: Inquiry, part: Part) -> Tensor:
    """Whether the attack exceeds the margin half-way between the best two of the random points, `[T, Q]`."""
    images, labels, threat = part.batch.query_x, part.batch.query_y, inquiry.threat
    drawn = []
    for index in range(CORNERS):
        direction = uniform(images, redrawn(part.seeds, index)) - 0.5
        direction = direction.sign() if threat.norm == "Linf" else unit(direction)
        drawn.append(margin(part.classifier(threat.project(images + threat.eps * direction, images)), labels))
    planted = torch.stack(drawn).topk(2, dim=0).values.mean(0)
    attack = inquiry.reference(random_start=False, until_fooled=False)
    return margin(part.classifier(inquiry.trial.moved(attack, part)), labels) > planted

"""G01, G02, G10: whether there are gradients, of a size that floats can hold, and whether they tell the truth."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from robustmeta.attacks.projected_gradient import cross_entropy, margin
from robustmeta.audit.case import CHECKS, Case
from robustmeta.audit.finding import Finding, counted, graded, worst
from robustmeta.audit.purity import SAME, difference
from robustmeta.learners.base import Classifier

SOME = 0.05
"""Share of queries that may lack a gradient before it is more than a few dead units; auto-attack warns at any."""

SATURATED = 80.0
"""Gap of the top two logits at which a float32 softmax leaves nothing: exp(-87) is the least normal number."""

STEP = 1e-3
"""Step of the finite difference, in pixel units: below it rounding rules, above it the kinks of ReLU and pooling."""

AGREE = 3.0
"""Factor by which the median finite difference may miss the derivative; honest Omniglot learners have 0.78 to 0.97."""

NONE_OF_IT = 0.1
"""A ratio below which nothing came of the step that the gradient promised; honest learners stay above 0.3."""


def ask_gradients(classifier: Classifier, images: Tensor, labels: Tensor, logits: Tensor) -> dict[str, Tensor]:
    """Evidence `[T, Q]` of G01, G02 and G10, and `[T]` of G08: margins of images `[T, Q, C, H, W]` and their slopes.

    logits: `[T, Q, ways]`, as scored.
    """
    top = logits.topk(2, -1).values
    evidence = {"G02/gap": top[..., 0] - top[..., 1]}
    try:
        with torch.enable_grad():
            x = images.detach().clone().requires_grad_()
            attacked = classifier(x)
            slope, ce_slope = (
                torch.autograd.grad(loss(attacked, labels).sum(), x, retain_graph=True)[0].flatten(2)
                for loss in (margin, cross_entropy)
            )
    except (RuntimeError, TypeError):  # no graph from logits to images: they do not require a gradient, or use none
        return evidence | {"G01": torch.ones_like(labels, dtype=torch.bool)}
    flat = slope.abs().amax(-1) == 0
    unfit = flat | ~slope.isfinite().all(-1)
    evidence |= {
        "G01": unfit,
        "G02": (ce_slope.abs().amax(-1) == 0) & ~unfit,
        "G08/graph": difference(logits, attacked),
    }
    step = STEP * slope.sign().view_as(images)
    with torch.no_grad():
        ahead, behind = ((images + sign * step).clamp(0, 1) for sign in (1, -1))
        evidence["G10/measured"] = margin(classifier(ahead), labels) - margin(classifier(behind), labels)
    evidence["G10/promised"] = ((ahead - behind).flatten(2) * slope).sum(-1)
    evidence["G10/rounding"] = 32 * torch.finfo(logits.dtype).eps * logits.abs().amax(-1)
    return evidence


@CHECKS.register("G01")
def gradients_there(case: Case) -> Iterator[Finding]:
    """The margin of right queries has an input gradient of zero, not a number, or none at all."""
    found = case.seen("G01")
    if found is not None:
        right = case.clean[: len(found)]
        what = "right queries without a gradient of the margin"
        yield counted("G01", "", int(found[right].sum()), int(right.sum()), what, warn=0, fail=SOME)


@CHECKS.register("G02")
def logits_in_scale(case: Case) -> Iterator[Finding]:
    """Logits so large that the cross-entropy of float32 has no gradient left."""
    gaps, lost = case.seen("G02/gap"), case.seen("G02")
    if gaps is None or not case.clean[: len(gaps)].any():
        return
    right = case.clean[: len(gaps)]
    median = float(np.median(gaps[right]))
    judged = [graded("G02", "", median, f"median gap of the top two logits {median:.3g}", fail=SATURATED)]
    if lost is not None:
        what = "right queries whose cross-entropy has no gradient where the margin has one"
        few = counted("G02", "", int(lost[right].sum()), int(right.sum()), what, warn=0, fail=SOME)
        judged += [few] if few.verdict != "pass" else []
    yield worst(judged)


@CHECKS.register("G10")
def gradients_true(case: Case) -> Iterator[Finding]:
    """A small step along the gradient does not change the margin as the gradient promises."""
    ratios = _ratios(case)
    if ratios is None or not len(ratios):
        return
    median = float(np.median(ratios))
    idle = int((ratios < NONE_OF_IT).sum())
    text = f"a step along it gives {median:.2g} of what the gradient promises; nothing in {idle} of {len(ratios)}"
    off = AGREE * 2 if median <= 0 else max(median, 1 / median)
    judged = [graded("G10", "", off, text, fail=AGREE)]
    few = counted("G10", "", idle, len(ratios), "", warn=SOME, fail=1.0)
    if few.verdict != "pass":
        judged.append(Finding("G10", few.verdict, "", few.evidence, few.threshold, text))
    yield worst(judged)


def _ratios(case: Case) -> np.ndarray | None:
    """Measured over promised, of right queries; of whole tasks where queries depend on each other."""
    parts = [case.seen(f"G10/{part}") for part in ("measured", "promised", "rounding")]
    if case.noisy or any(part is None for part in parts):
        return None
    measured, promised, rounding = (part.astype(np.float64) for part in parts if part is not None)
    company = case.seen("G07")
    if company is not None and company.max() > SAME:
        measured, promised, rounding = (part.sum(1) for part in (measured, promised, rounding))
        judged = np.ones(len(measured), dtype=bool)
    else:
        judged = case.clean[: len(measured)]
    judged = judged & (np.maximum(np.abs(measured), promised) > rounding) & (promised > 0)
    ratios: np.ndarray = measured[judged] / promised[judged]
    return ratios

"""G05 to G09: whether logits are logits, and a function of the one image they are of."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robustmeta.attacks.base import ENDING
from robustmeta.audit.case import CHECKS, Case
from robustmeta.audit.finding import Finding, graded, worst
from robustmeta.learners.base import Classifier

SAME = 1e-4
"""Relative L2 difference of logits that rounding explains; auto-attack asks the same of repeated outputs."""

REPEATS = 5
"""Forward passes of one input, as in auto-attack."""

ALONE = 4
"""Queries classified by themselves, spread over the batch, which is in the order of the classes."""

WAYS_TO_ASK = {
    "graph": "with gradients on",
    "detach": "after detach()",
    "eval": "after eval()",
    "train": "after train()",
}


@torch.no_grad()
def ask_again(classifier: Classifier, images: Tensor, logits: Tensor) -> dict[str, Tensor]:
    """Evidence `[T]` of G05 to G08: ask for the logits `[T, Q, ways]` of images `[T, Q, C, H, W]` in other ways."""
    probabilities = (logits >= 0).flatten(1).all(1) & ((logits.sum(-1) - 1).abs() <= SAME).all(1)
    repeats = torch.stack([difference(logits, classifier(images)) for _ in range(REPEATS - 1)])
    evidence = {"G05": probabilities, "G06": repeats.amax(0)}
    number = images.shape[1]
    # The queries stand in the order of their classes: one that leans on its place gives itself away in another.
    company = [difference(logits, _asked(lambda: classifier(images.flip(1)).flip(1)))]
    for column in sorted({round(at) for at in np.linspace(0, number - 1, ALONE)}):
        one = slice(column, column + 1)
        company.append(difference(logits[:, one], _asked(lambda one=one: classifier(images[:, one]))))  # type: ignore[misc]
    evidence["G07"] = torch.stack(company).amax(0)
    evidence["G08/detach"] = difference(logits, _asked(lambda: classifier.detach()(images)))
    for mode in ("eval", "train"):
        getattr(classifier, mode)()
        evidence[f"G08/{mode}"] = difference(logits, _asked(lambda mode=mode: _task_by_task(classifier, images, mode)))  # type: ignore[misc]
    return evidence


def difference(logits: Tensor, other: Tensor | None) -> Tensor:
    """||other - logits|| / ||logits|| of each task `[T]`; infinite where there is no other, or no number."""
    if other is None or other.shape != logits.shape:
        return logits.new_full((len(logits),), torch.inf, dtype=torch.float64)
    logits, other = logits.detach().double().flatten(1), other.detach().double().flatten(1)
    found = (other - logits).norm(dim=1) / logits.norm(dim=1).clamp_min(1e-12)
    return torch.where(found.isnan(), torch.inf, found)


@contextmanager
def backward_calls() -> Iterator[list[None]]:
    """Within it, each gradient that is computed by any route through Python adds an item to the list."""
    calls: list[None] = []
    # Every public route runs through the engine's one door; where a version of torch has none, watch the routes.
    doors = [name for name in ("_engine_run_backward",) if hasattr(torch.autograd, name)] or ["grad", "backward"]
    originals = {name: getattr(torch.autograd, name) for name in doors}

    def counting(original: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            calls.append(None)
            return original(*args, **kwargs)

        return run

    try:
        for name, original in originals.items():
            setattr(torch.autograd, name, counting(original))
        yield calls
    finally:
        for name, original in originals.items():
            setattr(torch.autograd, name, original)


@CHECKS.register("G05")
def logits_not_probabilities(case: Case) -> Iterator[Finding]:
    """The classifier returns probabilities, on which the losses of attacks saturate."""
    found = case.seen("G05")
    if found is not None:
        text = "all rows are probabilities" if found.all() else "rows are no probabilities"
        yield graded("G05", "", float(found.all()), text, fail=0)


@CHECKS.register("G06")
def same_input_same_logits(case: Case) -> Iterator[Finding]:
    """Logits of the same images differ from call to call."""
    found = case.seen("G06")
    if found is not None:
        text = f"{REPEATS} passes differ by {found.max():.2g} of the logits' norm"
        not_judged = "; G07, G08, G10, B03 and S08 cannot be judged" if case.noisy else ""
        yield graded("G06", "", found.max(), text + not_judged, fail=SAME)


@CHECKS.register("G07")
def queries_by_themselves(case: Case) -> Iterator[Finding]:
    """The logits of a query depend on the queries beside it, or on its place among them."""
    found = case.seen("G07")
    if found is not None and not case.noisy:
        text = f"alone or in another order, a query's logits differ by {found.max():.2g} of their norm"
        declared = "" if case.inductive else " (declared transductive)"
        limits: dict[str, float] = {"fail": SAME} if case.inductive else {"warn": SAME}
        yield graded("G07", "", found.max(), text + declared, **limits)


@CHECKS.register("G08")
def attacked_as_scored(case: Case) -> Iterator[Finding]:
    """The classifier an attack sees is another than the one that is scored."""
    if case.noisy:
        return
    found = []
    for way, said in WAYS_TO_ASK.items():
        seen = case.seen(f"G08/{way}")
        if seen is not None:
            text = f"{said}, logits differ by {seen.max():.2g} of their norm"
            found.append(graded("G08", "", seen.max(), text, fail=SAME))
    if found:
        yield worst(found)


@CHECKS.register("G09")
def no_adaptation_in_scoring(case: Case) -> Iterator[Finding]:
    """The classifier computes gradients while it classifies, so that it adapts to the images it is shown."""
    found = case.seen("G09")
    if found is not None:
        text = "computes gradients while it classifies" if found.any() else "computes no gradients while it classifies"
        yield graded("G09", "", float(found.any()), text, warn=0)


def _task_by_task(classifier: Classifier, images: Tensor, mode: str) -> Tensor:
    tasks = [getattr(classifier.task(index), mode)() for index in range(len(images))]
    return torch.stack([task(x) for task, x in zip(tasks, images, strict=True)])


def _asked(ask: Callable[[], Tensor]) -> Tensor | None:
    """What `ask` gives, or None where it raises: a classifier that cannot be asked so is not the same there."""
    try:
        return ask()
    except ENDING:
        raise
    except Exception:  # whatever a user's own classifier raises
        return None

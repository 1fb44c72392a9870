"""Episodes, smoothed: which queries stay right whatever moves them inside a radius."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from robustmeta.attacks.base import Threat
from robustmeta.batch import EpisodeBatch
from robustmeta.certification.base import CERTIFICATES, Certificate
from robustmeta.certification.smoothing import Smoothing
from robustmeta.draws import Draws
from robustmeta.episodes import Episodes
from robustmeta.errors import RobustMetaError
from robustmeta.evaluation import about_learner, in_chunks
from robustmeta.learners.base import Classifier, Learner, right_of
from robustmeta.outcomes import Outcomes
from robustmeta.ranks import ALONE, Ranks
from robustmeta.rows import result_rows
from robustmeta.schema import Source, make
from robustmeta.scoring import task_seed

TARGET = "certified"
"""What the rows have for a target: no attack moved anything, so they take no part in the worst case."""


def certify(
    learner: Learner,
    tasks: Episodes,
    episodes: int = 100,
    *,
    sigma: float = 0.25,
    radii: Sequence[float] = (0.25, 0.5),
    samples: int = 1000,
    selection: int = 100,
    alpha: float = 0.001,
    certificate: str = "majority",
    seed: int | None = None,
) -> pd.DataFrame:
    """Certified accuracy of a learner's smoothed classifiers on the first `episodes` tasks, abstentions as errors.

    The settings are those of `Smoothing`; seed: of the noise, by default that of `tasks`. The noise is not clipped,
    and the support is neither moved nor smoothed. Every query costs `selection` + `samples` forward passes.
    Returns the rows of `certified_rows`. Noise is what most learners have not seen: train with it.
    Raises `RobustMetaError` for settings out of range, fewer than 2 episodes, and learners that cannot be certified.
    """
    given = {"sigma": sigma, "samples": samples, "selection": selection, "alpha": alpha, "certificate": certificate}
    if not isinstance(radii, Sequence):
        raise RobustMetaError(f"certify: radii is {radii!r}; it must be a list, as (0.25, 0.5)")
    smoothing = make(Smoothing, {**given, "radii": list(radii)}, Source("certify", {}))
    if episodes < 2:
        raise RobustMetaError(f"{episodes} episodes were asked for; an interval needs at least 2")
    outcomes = measure_certified(learner, tasks, smoothing, episodes, seed=tasks.seed if seed is None else seed)
    return certified_rows(outcomes, smoothing, about_learner(learner, tasks, None))


def measure_certified(
    learner: Learner,
    tasks: Episodes,
    smoothing: Smoothing,
    number: int,
    *,
    seed: int = 0,
    partial: str | Path | None = None,
    report: Callable[[int], None] | None = None,
    ranks: Ranks = ALONE,
) -> Outcomes:
    """The certified outcomes of episodes 0 to number-1; partial, report and ranks: as in `measure`."""
    return in_chunks(
        lambda chunk: certify_episodes(learner, tasks.batch(chunk), smoothing, seed),
        tasks,
        tuple(smoothing.radius_of),
        number,
        partial=partial,
        report=report,
        ranks=ranks,
    )


def certify_episodes(learner: Learner, batch: EpisodeBatch, smoothing: Smoothing, seed: int) -> Outcomes:
    """Adapt to the clean support, then certify each query of a batch.

    `right` has `clean`, the classifier itself without noise, `smoothed`, the smoothed one, and each radius r: the
    queries whose smoothed answer is right and holds for every difference of length r or less. `evidence` has `radius`
    `[episodes, Q]`, 0 where it abstained, and `predicted`. One sampling serves all rows, each of which states the
    whole cost.

    The noise of a task hangs on (seed, episode) alone: it is the same for all learners, and a row does not depend on
    the tasks beside it but for the rounding of floating point. Classifiers with `samples` drew their random numbers
    when they were adapted: what is certified is the fixed classifier that the draws made.

    Raises `RobustMetaError` for transductive classifiers: noise on one query would move the answer to another.
    """
    learner.eval()
    begun = time.perf_counter()
    classifier = learner.adapt(batch.support_x, batch.support_y).detach()
    certificate = certificate_of(classifier, smoothing)
    clean = right_of(classifier, batch.query_x, batch.query_y)
    adapted = time.perf_counter()
    seeds = [task_seed(seed, "certify", index) for index in batch.index or range(batch.tasks)]
    predicted, radius = smoothed(certificate, batch.query_x, smoothing, seeds)
    rows, images = ("clean", *smoothing.radius_of), clean.numel()
    right = {name: (predicted == batch.query_y) & (radius > r) for name, r in smoothing.radius_of.items()}
    spent, passed = time.perf_counter() - adapted, images * (smoothing.selection + smoothing.samples)
    return Outcomes(
        {name: found.cpu().numpy() for name, found in {"clean": clean, **right}.items()},
        dict.fromkeys(rows, float("nan")),
        {**dict.fromkeys(rows, spent), "clean": adapted - begun},
        {**dict.fromkeys(rows, passed), "clean": images},
        dict.fromkeys(rows, 0),
        {"radius": radius.cpu().numpy(), "predicted": predicted.cpu().numpy()},
    )


def certificate_of(classifier: Classifier, smoothing: Smoothing) -> Certificate:
    """What certifies a classifier; raises `RobustMetaError` for classifiers that cannot be certified so."""
    if not classifier.inductive:
        raise RobustMetaError(
            "these classifiers are transductive, so that a query's answer hangs on the queries beside it and cannot be "
            "certified by itself; take the norm policy running, support or group"
        )
    return CERTIFICATES[smoothing.certificate](classifier)


@torch.no_grad()
def smoothed(
    certificate: Certificate, query_x: Tensor, smoothing: Smoothing, seeds: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """The smoothed predictions of queries `[T, Q, C, H, W]` and their certified radii, both `[T, Q]`; 0 to abstain.

    The first `selection` draws choose the class, the `samples` after them bound its radius. Draws are made one by one,
    so that memory holds one noisy copy of the queries.
    """
    draws = Draws(query_x, seeds)

    def scores() -> Iterator[Tensor]:
        while True:
            yield certificate.score(query_x + smoothing.sigma * draws.normal(*query_x.shape[1:]))

    stream = scores()
    chosen = next(stream)
    for score in islice(stream, smoothing.selection - 1):
        chosen = chosen + score
    guess, number = chosen.argmax(-1), smoothing.samples
    return guess, smoothing.sigma * certificate.radius(islice(stream, number), number, guess, smoothing.alpha)


def certified_rows(outcomes: Outcomes, smoothing: Smoothing, about: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of `result_rows` for `clean`, `smoothed` and each certified radius, an abstention being an error.

    `eps` is the radius, `drop` the accuracy of the classifier itself without noise minus that of the row, paired.
    Columns of their own: `abstained`, the share of queries without an answer, and the settings of the smoothing.
    """
    radius_of = smoothing.radius_of
    targets = dict.fromkeys(radius_of, TARGET)
    rows = result_rows(outcomes, Threat("L2", max(radius_of.values())), about, {}, targets=targets)
    abstained = float(np.mean(outcomes.evidence["radius"] == 0))
    settings = {key: value for key, value in asdict(smoothing).items() if key != "radii"}
    return rows.assign(
        eps=[radius_of.get(name, 0.0) for name in rows["attack"]],
        abstained=[abstained if name in radius_of else 0.0 for name in rows["attack"]],
        **settings,
    )

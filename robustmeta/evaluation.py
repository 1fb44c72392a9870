"""Episodes x attacks -> which queries stay right."""

import time
import zlib
from pathlib import Path
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from robustmeta.attacks.base import Attack, craft
from robustmeta.episodes import EpisodeBatch, Episodes
from robustmeta.learners.base import Classifier, Learner
from robustmeta.outcomes import Outcomes

CHUNK = 10
"""Episodes adapted and attacked side by side; fixed, so that an interrupted evaluation meets the same batches."""


def measure(
    learner: Learner,
    episodes: Episodes,
    attacks: Mapping[str, Attack],
    number: int,
    *,
    seed: int = 0,
    partial: str | Path | None = None,
    report: Callable[[int], None] | None = None,
) -> Outcomes:
    """The outcomes of episodes 0 to number-1 under every attack.

    partial: a file in which finished episodes are kept; if it is there already, evaluation goes on from it.
    report: called with the number of finished episodes, at the start and after each chunk.
    Raises `RobustMetaError` if the partial file is of other attacks.
    """
    outcomes = Outcomes.load(partial, tuple(attacks)) if partial is not None and Path(partial).exists() else Outcomes()
    while True:
        if report:
            report(outcomes.episodes)
        if outcomes.episodes >= number:
            return outcomes
        chunk = range(outcomes.episodes, min(outcomes.episodes + CHUNK, number))
        outcomes = outcomes.extended(attack_episodes(learner, episodes.batch(chunk), attacks, seed))
        if partial is not None:
            outcomes.save(partial)


def attack_episodes(learner: Learner, batch: EpisodeBatch, attacks: Mapping[str, Attack], seed: int) -> Outcomes:
    """Adapt once, then run every attack on the same frozen classifiers and score each query.

    The worst case is taken query by query: a query counts as right only if it is right clean and under every attack.
    Random streams hang on (seed, attack, episode), so a row does not depend on the episodes or attacks beside it.
    """
    learner.eval()
    outcomes = Outcomes()
    begun = time.perf_counter()
    classifier = learner.adapt(batch.support_x, batch.support_y).detach()
    clean = _right(classifier, batch.query_x, batch.query_y)
    _note(outcomes, "clean", clean, begun, 0.0)
    worst = clean
    for name, attack in attacks.items():
        begun = time.perf_counter()
        seeds = [task_seed(seed, name, index) for index in batch.index]
        moved = craft(attack, classifier, batch.query_x, batch.query_y, seeds)
        right = clean & _right(classifier, moved, batch.query_y)
        largest = attack.threat.size(moved - batch.query_x).max().item()
        _note(outcomes, name, right, begun, largest)
        worst = worst & right
    _note(outcomes, "worst", worst, begun, max(outcomes.largest.values()))
    outcomes.seconds["worst"] = sum(spent for name, spent in outcomes.seconds.items() if name != "worst")
    return outcomes


def _note(outcomes: Outcomes, name: str, right: Tensor, begun: float, largest: float) -> None:
    outcomes.right[name] = right.cpu().numpy()
    outcomes.seconds[name] = time.perf_counter() - begun
    outcomes.largest[name] = largest


@torch.no_grad()
def _right(classifier: Classifier, images: Tensor, labels: Tensor) -> Tensor:
    return classifier(images).argmax(-1) == labels


def task_seed(seed: int, attack: str, index: int) -> int:
    """The seed of an attack's random stream on one episode."""
    return int(np.random.SeedSequence([seed, zlib.crc32(attack.encode()), index]).generate_state(1)[0])

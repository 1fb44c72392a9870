"""Episodes x attacks -> which queries stay right."""

import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from robustmeta.attacks.base import Attack, Threat, craft
from robustmeta.attacks.card import resolve
from robustmeta.backbones import Backbone
from robustmeta.episodes import EpisodeBatch, Episodes
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import Classifier, Learner
from robustmeta.outcomes import Outcomes
from robustmeta.rows import result_rows

CHUNK = 160
"""Queries attacked side by side, in whole episodes: their activations stay in a processor's cache, which attacks
Conv4-64 1.5 times faster than 750 do. Fixed, so that an interrupted evaluation meets the same batches."""


def evaluate(
    learner: Learner,
    tasks: Episodes,
    attacks: str | Sequence[str] | Mapping[str, Attack] = "standard",
    episodes: int = 600,
    *,
    threat: Threat | None = None,
) -> pd.DataFrame:
    """Accuracy of a learner on the first `episodes` tasks, clean, under each attack, and in the worst case.

    attacks: a suite, a list of cards, or attacks of your own by name. threat: what the cards are held to, by
    default Linf, eps 0.1; attacks of your own bring theirs. The attacks' random streams hang on the seed of `tasks`.
    Returns a row an attack with 95% intervals over episodes (see `result_rows`).
    Raises `RobustMetaError` for an unknown attack, attacks of different threats, or fewer than 2 episodes.
    """
    if episodes < 2:
        raise RobustMetaError(f"{episodes} episodes were asked for; an interval needs at least 2")
    cards = {}
    if isinstance(attacks, Mapping):
        threat = _shared_threat(attacks, threat)
    else:
        threat = threat or Threat()
        cards = {card.name: card.fit(threat.norm, tasks.ways) for card in resolve(attacks)}
        attacks = {name: card.build(threat) for name, card in cards.items()}
    dataset, _, split = tasks.name.partition("/")
    about: dict[str, Any] = {
        "learner": type(learner.base).__name__.lower(),
        "defense": learner.defense,
        **_backbone(learner),
        "dataset": dataset,
        "split": split,
    }
    about |= {"ways": tasks.ways, "shots": tasks.shots, "queries": tasks.queries, "seed": tasks.seed}
    outcomes = measure(learner, tasks, attacks, episodes, seed=tasks.seed)
    return result_rows(outcomes, threat, about, cards)


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
    Raises `RobustMetaError` if the partial file is of other attacks or more episodes.
    """
    outcomes = Outcomes.load(partial, tuple(attacks)) if partial is not None and Path(partial).exists() else Outcomes()
    if outcomes.episodes > number:
        raise RobustMetaError(
            f"{partial} holds {outcomes.episodes} episodes, more than the {number} asked for; choose another file"
        )
    side_by_side = max(1, CHUNK // (episodes.ways * episodes.queries))
    while True:
        if report:
            report(outcomes.episodes)
        if outcomes.episodes >= number:
            return outcomes
        chunk = range(outcomes.episodes, min(outcomes.episodes + side_by_side, number))
        outcomes = outcomes.extended(attack_episodes(learner, episodes.batch(chunk), attacks, seed))
        if partial is not None:
            outcomes.save(partial)


def attack_episodes(learner: Learner, batch: EpisodeBatch, attacks: Mapping[str, Attack], seed: int) -> Outcomes:
    """Adapt once, then run every attack on the same frozen classifiers and score each query.

    The worst case is taken query by query: a query counts as right only if it is right clean and under every attack.
    Random streams hang on (seed, attack, episode), so a row does not depend on the episodes or attacks beside it,
    but for the rounding of floating point.
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
        seeds = [task_seed(seed, name, index) for index in batch.index or range(batch.tasks)]
        moved = craft(attack, classifier, batch.query_x, batch.query_y, seeds)
        right = clean & _right(classifier, moved, batch.query_y)
        largest = attack.threat.size(moved - batch.query_x).max().item()
        _note(outcomes, name, right, begun, largest)
        worst = worst & right
    _note(outcomes, "worst", worst, begun, max(outcomes.largest.values()))
    outcomes.seconds["worst"] = sum(spent for name, spent in outcomes.seconds.items() if name != "worst")
    return outcomes


def _shared_threat(attacks: Mapping[str, Attack], wanted: Threat | None) -> Threat:
    threats = {name: attack.threat for name, attack in attacks.items()}
    shared = wanted or next(iter(threats.values()), Threat())
    for name, threat in threats.items():
        if threat != shared:
            raise RobustMetaError(
                f"the attack {name!r} is held to {threat.norm} eps {threat.eps:g}, the evaluation to {shared.norm} eps "
                f"{shared.eps:g}; one threat holds for all attacks of a table"
            )
    return shared


def _backbone(learner: Learner) -> dict[str, str]:
    found = next((module for module in learner.modules() if isinstance(module, Backbone)), None)
    name = "-".join(filter(None, [type(found).__name__.lower(), str(getattr(found, "width", ""))]))
    return {"backbone": name, "norm_policy": found.norm} if found else {"backbone": "", "norm_policy": ""}


def _note(outcomes: Outcomes, name: str, right: Tensor, begun: float, largest: float) -> None:
    outcomes.right[name] = right.cpu().numpy()
    outcomes.seconds[name] = time.perf_counter() - begun
    outcomes.largest[name] = largest


@torch.no_grad()
def _right(classifier: Classifier, images: Tensor, labels: Tensor) -> Tensor:
    right: Tensor = classifier(images).argmax(-1) == labels
    return right


def task_seed(seed: int, attack: str, index: int) -> int:
    """The seed of an attack's random stream on one episode."""
    return int(np.random.SeedSequence([seed, zlib.crc32(attack.encode()), index]).generate_state(1)[0])

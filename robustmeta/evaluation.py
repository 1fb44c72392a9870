"""Episodes x attacks -> which queries stay right."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from robustmeta.attacks.base import Attack, Threat, is_attack, traits_of
from robustmeta.attacks.card import Suite, resolve, suite_of
from robustmeta.attacks.support.base import SupportAttack
from robustmeta.audit import PROBED, Finding, full_audit, judge
from robustmeta.backbones import Backbone
from robustmeta.episodes import Episodes
from robustmeta.errors import RobustMetaError, unknown
from robustmeta.learners.base import LEARNERS, Learner
from robustmeta.outcomes import Outcomes
from robustmeta.ranks import ALONE, Ranks
from robustmeta.rows import result_rows, suite_columns
from robustmeta.scoring import attack_episodes

AUDITS = ("always", "full")

CHUNK = 160
"""Queries attacked side by side, in whole episodes: their activations stay in a processor's cache, which attacks
Conv4-64 1.5 times faster than 750 do. Fixed, so that an interrupted evaluation meets the same batches."""


def evaluate(
    learner: Learner,
    tasks: Episodes,
    attacks: str | Sequence[str] | Mapping[str, Attack | SupportAttack] = "standard",
    episodes: int = 600,
    *,
    threat: Threat | None = None,
    twin: Learner | None = None,
    audit: str = "always",
) -> pd.DataFrame:
    """Accuracy of a learner on the first `episodes` tasks, clean, under each attack, and in the worst case.

    attacks: a suite, a list of cards, or attacks of your own by name. threat: what the cards are held to, by
    default Linf, eps 0.1; attacks of your own bring theirs. The attacks' random streams hang on the seed of `tasks`.
    twin: the undefended learner of the same backbone, for attacks by transfer. audit: `always`, the checks that are
    nearly free, or `full`, all of them (see docs/audit.md).
    The learner is left in evaluation mode.
    Returns a row an attack with 95% intervals over episodes (see `result_rows`); `flags` name the checks that warn or
    fail, and `.attrs["findings"]` holds what all of them found.
    Raises `RobustMetaError` for an unknown attack, attacks without a threat or of different ones, or fewer than 2
    episodes.
    """
    if episodes < 2:
        raise RobustMetaError(f"{episodes} episodes were asked for; an interval needs at least 2")
    if audit not in AUDITS:
        raise unknown("audit", audit, AUDITS)
    cards, suite = {}, None
    if isinstance(attacks, Mapping):
        threat = _shared_threat(attacks, threat)
    else:
        threat, suite = threat or Threat(), suite_of(attacks)
        cards = {card.name: card.fit(threat.norm, tasks.ways, tasks.image_shape[0]) for card in resolve(attacks)}
        attacks = {name: card.build(threat, twin) for name, card in cards.items()}
    threat.check(tasks.image_shape)
    outcomes = measure(
        learner, tasks, attacks, episodes, seed=tasks.seed, survivors_only=suite is not None and suite.survivors_only
    )
    findings = judged(outcomes, attacks, threat, tasks.ways)
    if audit == "full":
        findings += full_audit(learner, tasks, attacks, threat, twin=twin, seed=tasks.seed)
    about = {**about_learner(learner, tasks, suite), "audit": audit}
    targets = {name: traits_of(attack).target for name, attack in attacks.items()}
    rows = result_rows(outcomes, threat, about, cards, findings, targets)
    rows.attrs["findings"] = findings
    return rows


def judged(
    outcomes: Outcomes, attacks: Mapping[str, Attack | SupportAttack], threat: Threat, ways: int
) -> list[Finding]:
    """What the audit's checks that always run say of an evaluation's outcomes."""
    traits = {name: traits_of(attack) for name, attack in attacks.items()}
    return judge(outcomes, traits, threat, ways, inductive=bool(outcomes.evidence["inductive"].all()))


def measure(
    learner: Learner,
    episodes: Episodes,
    attacks: Mapping[str, Attack | SupportAttack],
    number: int,
    *,
    seed: int = 0,
    survivors_only: bool = False,
    probed: int = PROBED,
    partial: str | Path | None = None,
    report: Callable[[int], None] | None = None,
    ranks: Ranks = ALONE,
) -> Outcomes:
    """The outcomes of episodes 0 to number-1 under every attack.

    survivors_only: see `attack_episodes`. probed: the first episodes on which the dearer checks of the audit look.
    partial: a file in which finished episodes are kept; if it is there already, evaluation goes on from it.
    report: called with the number of finished episodes, at the start and after each chunk.
    ranks: the processes of a job that take turns at the chunks, each called alike; all return all outcomes, and the
    first alone reads and writes the partial file.
    Raises `RobustMetaError` if the partial file is of other attacks or more episodes.
    """

    def attacked(chunk: range) -> Outcomes:
        return attack_episodes(
            learner,
            episodes.batch(chunk),
            attacks,
            seed,
            survivors_only=survivors_only,
            probed=chunk.start < probed,
        )

    return in_chunks(attacked, episodes, tuple(attacks), number, partial=partial, report=report, ranks=ranks)


def in_chunks(
    score: Callable[[range], Outcomes],
    episodes: Episodes,
    names: tuple[str, ...],
    number: int,
    *,
    partial: str | Path | None = None,
    report: Callable[[int], None] | None = None,
    ranks: Ranks = ALONE,
) -> Outcomes:
    """The outcomes of episodes 0 to number-1, scored some at a time; names: of what is scored, beside `clean`.

    partial, report, ranks, and what is raised: as in `measure`.
    """

    def kept() -> Outcomes:
        return Outcomes.load(partial, names) if partial is not None and Path(partial).exists() else Outcomes()

    outcomes = ranks.shared(kept)
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
        first = outcomes.episodes + ranks.rank * side_by_side
        chunk = range(first, min(first + side_by_side, number))
        for more in ranks.gathered(score(chunk) if chunk else Outcomes()):
            if more.episodes:
                outcomes = outcomes.extended(more)
        if partial is not None and ranks.first:
            outcomes.save(partial)


def about_learner(learner: Learner, tasks: Episodes, suite: Suite | None) -> dict[str, Any]:
    """The columns that all rows of a learner on some tasks share, where no recipe says more."""
    dataset, _, split = tasks.name.partition("/")
    return {
        "learner": LEARNERS.name_of(type(learner.base)) or type(learner.base).__name__.lower(),
        "defense": learner.defense,
        **_backbone(learner),
        "dataset": dataset,
        "split": split,
        "ways": tasks.ways,
        "shots": tasks.shots,
        "queries": tasks.queries,
        "seed": tasks.seed,
        **suite_columns(suite),
    }


def _shared_threat(attacks: Mapping[str, Attack | SupportAttack], wanted: Threat | None) -> Threat:
    for name, attack in attacks.items():
        if not is_attack(attack):
            raise RobustMetaError(f"the attack {name!r} is {attack!r}; it must be one that has a threat, as PGD(0.1)")
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

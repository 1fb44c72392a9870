"""A row of a recipe, measured: attacked, followed along eps, audited; each goes on from where a killed run left it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from robustmeta.assembly import build_attacks, curve_attacks, survivors_only
from robustmeta.attacks.base import Attack
from robustmeta.attacks.card import Card
from robustmeta.attacks.support.base import SupportAttack
from robustmeta.audit import Finding, full_audit
from robustmeta.checkpoint import Checkpoint
from robustmeta.errors import RobustMetaError
from robustmeta.evaluation import judged, measure
from robustmeta.files import whole_file
from robustmeta.job import Job
from robustmeta.learners import Learner
from robustmeta.outcomes import Outcomes
from robustmeta.recipe import Recipe

Attacks = Mapping[str, Attack | SupportAttack]


@dataclass(frozen=True)
class Measured:
    """What was measured of a row: outcomes under its attacks and along its curve, the audit's findings on the former.

    cards: the card that ran under each attack's name.
    """

    attacked: Outcomes
    curve: Outcomes
    findings: list[Finding]
    cards: dict[str, Card]


def train_and_measure(job: Job) -> Measured:
    """Train the row's learner, then measure it."""
    return measured(job, job.train())


def measured(job: Job, learner: Learner, curve: bool = True) -> Measured:
    """The learner's outcomes under the row's attacks, the audit of them and, with `curve`, outcomes along the curve."""
    recipe, twin = job.recipe, _twin(job)
    attacks = build_attacks(recipe, job.source, job.cards, twin)
    settings = {"survivors_only": survivors_only(recipe)}
    attacked = _measure(job, "attack", attacks, recipe.test.episodes, (learner, twin), settings)
    findings = judged(attacked, attacks, recipe.threat, recipe.test.ways)
    if job.audit == "full":
        findings += _full_audit(job, attacks, learner, twin)
    along = Outcomes()
    if curve:
        episodes = min(recipe.curve.episodes, recipe.test.episodes)
        along = _measure(job, "curve", curve_attacks(recipe, job.source), episodes, (learner,), {"probed": 0})
    return Measured(attacked, along, findings, job.cards)


def _measure(
    job: Job,
    stage: str,
    attacks: Attacks,
    episodes: int,
    learners: tuple[Learner | None, ...],
    settings: dict[str, Any],
) -> Outcomes:
    kept = _kept(job, f"{stage}-{job.recipe.hash}-{_digest(attacks, *learners)}.npz")
    assert learners[0] is not None
    with job.bar(stage, episodes) as bar:

        def report(done: int) -> None:
            bar.update(done - bar.n)

        tasks, seed = job.test_tasks(), job.recipe.test.seed
        return measure(learners[0], tasks, attacks, episodes, seed=seed, partial=kept, report=report, **settings)


def _full_audit(job: Job, attacks: Attacks, learner: Learner, twin: Learner | None) -> list[Finding]:
    kept = _kept(job, f"audit-{job.recipe.hash}-{_digest(attacks, learner, twin)}.json")
    if kept.exists():
        return [Finding(**found) for found in json.loads(kept.read_text(encoding="utf-8"))]
    threat, seed = job.recipe.threat, job.recipe.test.seed
    findings = full_audit(learner, job.test_tasks(), attacks, threat, twin=twin, seed=seed)
    with whole_file(kept) as part:
        part.write_text(json.dumps([asdict(found) for found in findings]), encoding="utf-8")
    return findings


def _twin(job: Job) -> Learner | None:
    """The undefended twin, where an attack or the full audit asks for it and there is one."""
    path = job.twin_checkpoint
    if path is None or not job.needs_twin:
        return None
    state = Checkpoint.load(path)
    trained = Recipe.of_checkpoint(state.recipe)
    row = trained.rows[0]
    if row.defense or (row.learner, row.backbone) != (job.row.learner, job.recipe.backbone_of(job.row)):
        raise RobustMetaError(
            f"{path} holds {row.name}; the twin of {job.row.name} has the same learner and backbone, and no defense"
        )
    return job.restored(trained, state)


def _kept(job: Job, name: str) -> Path:
    return job.out / "progress" / f"{job.row.name}-{name}"


def _digest(attacks: Attacks, *learners: Learner | None) -> str:
    """Eight digits that change with any weight or setting of an attack, so that no stale outcome is gone on with."""
    seen = hashlib.sha256(repr(attacks).encode())
    for learner in filter(None, learners):
        for name, weight in learner.state_dict().items():
            seen.update(name.encode() + weight.cpu().numpy().tobytes())
    return seen.hexdigest()[:8]

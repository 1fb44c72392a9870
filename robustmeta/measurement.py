"""A row of a recipe, measured: attacked, followed along eps, audited; each goes on from where a killed run left it."""

import hashlib
import inspect
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

from robustmeta.assembly import build_attacks, curve_attacks, step_attacks, survivors_only
from robustmeta.attacks.base import Attack
from robustmeta.attacks.card import Card
from robustmeta.attacks.support.base import SupportAttack
from robustmeta.audit import FULL, Finding, full_audit
from robustmeta.certification.certify import measure_certified
from robustmeta.checkpoint import Checkpoint
from robustmeta.data import DATASETS
from robustmeta.errors import RobustMetaError
from robustmeta.evaluation import judged, measure
from robustmeta.exhibit import Exhibit, exhibit, hardest
from robustmeta.files import whole_file
from robustmeta.job import Job
from robustmeta.learners import Learner
from robustmeta.outcomes import Outcomes
from robustmeta.recipe import Recipe
from robustmeta.rows import versions
from robustmeta.scoring import on_queries

Attacks = Mapping[str, Attack | SupportAttack]

ON_CURVE = ("B01", "B02", "B04", "B06", "B08")
"""What is judged of the attacks along the curve: whether they did what attacks do."""


@dataclass(frozen=True)
class Measured:
    """What was measured of a row: outcomes under its attacks, along its curves, smoothed; the audit's findings on them.

    curve, steps: along eps and along attack steps. cards: the card that ran under each attack's name. exhibit: one task
    to be looked at, if there is an attack on queries. trained: the outer steps that the learner had done.
    """

    attacked: Outcomes
    curve: Outcomes
    steps: Outcomes
    certified: Outcomes
    findings: list[Finding]
    cards: dict[str, Card]
    exhibit: Exhibit | None = None
    trained: int = 0


def train_and_measure(job: Job) -> Measured:
    """Train the row's learner, then measure it."""
    learner = job.train()
    steps = round(learner.progress * job.recipe.training_of(job.row).steps)
    return replace(measured(job, learner), trained=steps)


def measured(job: Job, learner: Learner, curve: bool = True) -> Measured:
    """The learner's outcomes under the row's attacks, certified; the audit's findings on them.

    curve: also what is drawn and not tabled: accuracy along the recipe's curve and steps, and the exhibit.
    """
    recipe, cards = job.recipe, job.cards
    twin = _twin(job)
    own = learner if job.by_transfer and not job.row.defense else None  # an undefended learner is its own twin
    attacks = build_attacks(recipe, job.source, cards, twin or own)
    settings = {"survivors_only": survivors_only(recipe)}
    attacked = _measure(job, "attack", attacks, recipe.test.episodes, (learner, twin), settings)
    findings = judged(attacked, attacks, recipe.threat, recipe.test.ways)
    if job.audit == "full":
        findings += job.ranks.shared(lambda: _full_audit(job, attacks, learner, twin))
    along, by_steps, exhibit = Outcomes(), Outcomes(), None
    if curve:
        channels = job.test_tasks().image_shape[0]
        along, faults = _followed(
            job, "curve", curve_attacks(recipe, job.source, channels), recipe.curve.episodes, learner
        )
        findings += [replace(found, subject=f"the curve at eps {found.subject}") for found in faults]
        if recipe.steps is not None:
            at_steps = step_attacks(recipe, job.source, channels)
            by_steps, faults = _followed(job, "steps", at_steps, recipe.steps.episodes, learner)
            findings += [replace(found, subject=f"the curve at {found.subject} steps") for found in faults]
        exhibit = job.ranks.shared(lambda: _exhibit(job, attacked, attacks, (learner, twin), settings))
    return Measured(attacked, along, by_steps, _certified(job, learner), findings, cards, exhibit)


def _certified(job: Job, learner: Learner) -> Outcomes:
    """Empty where the recipe asks for no certificate."""
    smoothing, test = job.recipe.certify, job.recipe.test
    if smoothing is None:
        return Outcomes()
    number = min(smoothing.episodes, test.episodes)
    kept = _kept(job, "certify", {}, (learner,), asdict(smoothing))
    with job.bar("certify", number) as bar:
        return measure_certified(
            learner, job.test_tasks(), smoothing, number,
            seed=test.seed, partial=kept, report=lambda done: bar.update(done - bar.n), ranks=job.ranks,
        )  # fmt: skip


def _followed(
    job: Job, stage: str, attacks: Attacks, episodes: int, learner: Learner
) -> tuple[Outcomes, list[Finding]]:
    """Outcomes along a curve, where accuracies are drawn and not flagged, and what went wrong there."""
    number = min(episodes, job.recipe.test.episodes)
    outcomes = _measure(job, stage, attacks, number, (learner, None), {"probed": 0})
    findings = judged(outcomes, attacks, job.recipe.threat, job.recipe.test.ways)
    return outcomes, [found for found in findings if found.code in ON_CURVE and found.verdict != "pass"]


def _exhibit(
    job: Job, attacked: Outcomes, attacks: Attacks, learners: tuple[Learner, Learner | None], settings: dict[str, Any]
) -> Exhibit | None:
    """The first test task under the attack that took most of its queries; None where no attack is on queries."""
    chosen = hardest(attacked, [name for name in attacks if on_queries(attacks[name])], **settings)
    if chosen is None:
        return None
    kept = _kept(job, "exhibit", {chosen: attacks[chosen]}, learners, settings)
    if kept.exists():
        return Exhibit.load(kept)
    made = exhibit(learners[0], job.test_tasks()[0], chosen, cast(Attack, attacks[chosen]), job.recipe.test.seed)
    made.save(kept)
    return made


def _measure(
    job: Job,
    stage: str,
    attacks: Attacks,
    episodes: int,
    learners: tuple[Learner, Learner | None],
    settings: dict[str, Any],
) -> Outcomes:
    kept = _kept(job, stage, attacks, learners, settings)
    with job.bar(stage, episodes) as bar:

        def report(done: int) -> None:
            bar.update(done - bar.n)

        tasks, seed = job.test_tasks(), job.recipe.test.seed
        return measure(
            learners[0], tasks, attacks, episodes, seed=seed, partial=kept, report=report, ranks=job.ranks, **settings
        )


def _full_audit(job: Job, attacks: Attacks, learner: Learner, twin: Learner | None) -> list[Finding]:
    kept = _kept(job, "audit", attacks, (learner, twin), {}, suffix=".json")
    if kept.exists():
        return [Finding(**found) for found in json.loads(kept.read_text(encoding="utf-8"))]
    threat, seed = job.recipe.threat, job.recipe.test.seed
    with job.bar("audit", len(FULL)) as bar:
        findings = full_audit(
            learner, job.test_tasks(), attacks, threat, twin=twin, seed=seed, report=lambda code: bar.update()
        )
    with whole_file(kept) as part:
        part.write_text(json.dumps([asdict(found) for found in findings]), encoding="utf-8")
    return findings


def _twin(job: Job) -> Learner | None:
    """The undefended twin, where an attack or the full audit asks for it and there is one."""
    path = job.twin_checkpoint
    if path is None or not job.needs_twin:
        return None
    state = job.ranks.shared(lambda: Checkpoint.load(path))
    trained = Recipe.of_checkpoint(state.recipe)
    row = trained.rows[0]
    if row.defense or (row.learner, row.backbone) != (job.row.learner, job.recipe.backbone_of(job.row)):
        raise RobustMetaError(
            f"{path} holds {row.name}; the twin of {job.row.name} has the same learner and backbone, and no defense"
        )
    return job.restored(trained, state)


def _kept(
    job: Job,
    stage: str,
    attacks: Attacks,
    learners: Sequence[Learner | None],
    settings: Mapping[str, Any],
    suffix: str = ".npz",
) -> Path:
    """The file of what a stage has measured so far, whose name changes with all that the numbers hang on."""
    if not DATASETS.is_fixed(job.recipe.tested_on["name"]):
        settings = {**settings, "images": job.test_tasks().data.digest}
    name = f"{job.row.name}-{stage}-{job.recipe.hash}-{_digest(attacks, learners, settings)}{suffix}"
    return job.out / "progress" / name


def _own_source(kind: type) -> str:
    """The source of the file that a class of one's own is from; empty for what ships, whose version tells."""
    if kind.__module__.partition(".")[0] in ("robustmeta", "torch", "torchattacks"):
        return ""
    try:
        return inspect.getsource(sys.modules[kind.__module__])
    except (OSError, TypeError, KeyError):  # as of a class made in a session
        return ""


def _digest(attacks: Attacks, learners: Sequence[Learner | None], settings: Mapping[str, Any]) -> str:
    """Eight digits that change with any weight, setting, version or own code, so that nothing stale is gone on with."""
    seen = hashlib.sha256(repr((attacks, settings, versions())).encode())
    modules = (module for learner in filter(None, learners) for module in learner.modules())
    kinds = {type(part) for part in (*attacks.values(), *modules)}
    for source in sorted({_own_source(kind) for kind in kinds}):
        seen.update(source.encode())
    for learner in filter(None, learners):
        for name, weight in learner.state_dict().items():
            seen.update(name.encode() + weight.cpu().numpy().tobytes())
    return seen.hexdigest()[:8]

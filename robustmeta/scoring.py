"""A few episodes under every attack: adapt once, attack the frozen classifiers, score each query."""

import hashlib
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from robustmeta.attacks.base import ENDING, Attack, Crafted, EpisodeAttack, bound_to, craft, held, traits_of
from robustmeta.attacks.meter import Meter, Metered, MeteredLearner
from robustmeta.attacks.support.base import CraftedSupport, SupportAttack, craft_support, folds, with_columns
from robustmeta.audit import Snapshot, Watched, probe, tied
from robustmeta.batch import EpisodeBatch
from robustmeta.learners.base import Classifier, Learner, right_of
from robustmeta.outcomes import Outcomes

Made = TypeVar("Made")


def attack_episodes(
    learner: Learner,
    batch: EpisodeBatch,
    attacks: Mapping[str, Attack | SupportAttack],
    seed: int,
    *,
    survivors_only: bool = False,
    probed: bool = False,
) -> Outcomes:
    """Adapt once, then run every attack on the same frozen classifiers and score each query.

    Attacks on queries: a query counts as right only if it is right clean too; `worst` counts it only if it is right
    under all of them. Attacks on the support are judged after a new adaptation, each query under a support poisoned
    without it, and take no part in `worst`.
    survivors_only: each attack on queries meets only those that all before it left right, and its row counts the ones
    it leaves; transductive classifiers, whose queries depend on each other, meet all.
    probed: also ask the classifiers and attacks what the audit wants to know, at some cost.
    Random streams hang on (seed, attack, episode), so a row does not depend on the episodes or attacks beside it,
    but for the rounding of floating point. With `survivors_only` this holds for attacks that leave a query alone once
    it is fooled (`until_fooled`): they do to a query what they would do without. Others run task by task on what is
    left, so that what they draw for a query hangs on its place among those that stand.

    An attack that raises an exception counts as one that moved nothing, which the audit says; only a
    `RobustMetaError` and a lack of memory end the evaluation.
    """
    learner.eval()
    scored = _Scored(learner, batch, seed, survivors_only, probed)
    scored.clean()
    for name, attack in attacks.items():
        if on_queries(attack):
            scored.under_query_attack(name, cast(Attack, attack))
        else:
            scored.under_support_attack(name, cast(SupportAttack, attack))
    if any(map(on_queries, attacks.values())):
        scored.worst([name for name, attack in attacks.items() if on_queries(attack)])
    return scored.outcomes


def on_queries(attack: object) -> bool:
    """Whether an attack moves the queries alone, so that it takes part in the worst case."""
    return traits_of(attack).target == "query"


def task_seed(seed: int, attack: str, index: int) -> int:
    """The seed of an attack's random stream on one episode."""
    return int(np.random.SeedSequence([seed, zlib.crc32(attack.encode()), index]).generate_state(1)[0])


@dataclass
class _Scored:
    """The outcomes of a batch, as its attacks are run one after another."""

    learner: Learner
    batch: EpisodeBatch
    seed: int
    survivors_only: bool
    probed: bool
    outcomes: Outcomes = field(default_factory=Outcomes)

    def clean(self) -> None:
        begun, batch = time.perf_counter(), self.batch
        self.classifier = self.learner.adapt(batch.support_x, batch.support_y).detach()
        self.right = right_of(self.classifier, batch.query_x, batch.query_y)
        self.standing = self.right
        self._note("clean", self.right, begun, Meter(forwards=self.right.numel()), largest=0.0)
        self._saw("B07", [_fingerprint(batch, task) for task in range(batch.tasks)])
        self._saw("inductive", [self.classifier.inductive] * batch.tasks)
        self._saw("R02", [self.classifier.samples] * batch.tasks)
        if self.probed:
            self.outcomes.evidence |= probe(self.classifier, batch)

    def under_query_attack(self, name: str, attack: Attack) -> None:
        begun, meter, batch = time.perf_counter(), Meter(), self.batch
        watched = Watched(self.classifier, batch.query_x, batch.query_y, attack.threat) if self.probed else None
        classifier, seeds = Metered(watched or self.classifier, meter), self._seeds(name)
        parted = self.survivors_only and self.classifier.inductive and not isinstance(attack, EpisodeAttack)

        def run() -> Crafted:
            bound = bound_to(attack, batch, meter)
            if parted:
                on_left = self._together if getattr(attack, "until_fooled", False) else self._task_by_task
                return held(attack.threat, on_left(bound, classifier, seeds), batch.query_x)
            return held(attack.threat, bound(classifier, batch.query_x, batch.query_y, seeds), batch.query_x)

        crafted = self._guarded(name, run) or held(attack.threat, batch.query_x, batch.query_x)
        self._saw_crafted(name, crafted)
        right = self.right & right_of(self.classifier, crafted.images, batch.query_y)
        if watched is not None:
            met = right & self.standing if parted else right
            self._saw(f"S08/{name}", (watched.fooled & met).sum(1))
            self._saw(f"B03/{name}", self._rescored_otherwise(crafted.images))
            self._saw(f"B08/{name}", watched.tried)
            if self.classifier.samples:
                self._saw(f"R02/{name}", self._lost_afresh(crafted.images))
        self.standing = self.standing & right
        largest = attack.threat.size(crafted.images - batch.query_x).max().item()
        self._note(name, self.standing if self.survivors_only else right, begun, meter, largest)

    def under_support_attack(self, name: str, attack: SupportAttack) -> None:
        begun, meter, batch = time.perf_counter(), Meter(), self.batch
        learner = MeteredLearner(self.learner, meter)
        right, largest = torch.zeros_like(self.right), 0.0
        for known, judged in _both_ways(folds(batch.query_y)):
            run = partial(craft_support, attack, learner, with_columns(batch, known), self._seeds(name))
            crafted = self._guarded(name, run) or _unmoved(attack, batch)
            self._saw_crafted(name, crafted)
            classifier = self.learner.adapt(crafted.images, batch.support_y).detach()
            held_out = with_columns(batch, judged)
            queries = held_out.query_x
            if attack.then is not None:
                queries = craft(attack.then, Metered(classifier, meter), queries, held_out.query_y, self._seeds(name))
            right.scatter_(1, judged, right_of(classifier, queries, held_out.query_y))
            largest = max(largest, attack.threat.size(crafted.images - crafted.base).max().item())
        self._note(name, right, begun, meter, largest)

    def worst(self, attacks: Sequence[str]) -> None:
        outcomes, together = self.outcomes, ("clean", *attacks)
        outcomes.right["worst"] = np.logical_and.reduce([outcomes.right[name] for name in together])
        outcomes.largest["worst"] = max(outcomes.largest[name] for name in attacks)
        outcomes.seconds["worst"] = sum(outcomes.seconds[name] for name in together)
        outcomes.forwards["worst"] = sum(outcomes.forwards[name] for name in together)
        outcomes.backwards["worst"] = sum(outcomes.backwards[name] for name in together)

    def _together(self, attack: Attack, classifier: Classifier, seeds: Sequence[int]) -> Tensor:
        """The queries `[T, Q, C, H, W]`, those still standing attacked by one that leaves fooled queries alone.

        The others have labels that the classifier does not give them, so that they count as fooled, most of them at the
        first look; what becomes of them is not kept.
        """
        batch, standing = self.batch, self.standing
        if not standing.any():
            return batch.query_x
        lost = self.right & ~standing
        labels = torch.where(lost, (batch.query_y + 1) % self.classifier.ways, batch.query_y)
        moved = attack(classifier, batch.query_x, labels, seeds).detach()
        return torch.where(standing[..., None, None, None], moved, batch.query_x)

    def _task_by_task(self, attack: Attack, classifier: Classifier, seeds: Sequence[int]) -> Tensor:
        """The queries `[T, Q, C, H, W]`, those still standing attacked."""
        batch, moved = self.batch, self.batch.query_x.clone()
        for task in self.standing.any(1).nonzero()[:, 0].tolist():
            left = self.standing[task]
            one = classifier.select([task])
            moved[task, left] = attack(
                one, batch.query_x[task, left][None], batch.query_y[task, left][None], seeds[task : task + 1]
            )[0].detach()
        return moved

    def _guarded(self, name: str, run: Callable[[], Made]) -> Made | None:
        """What `run` makes, or None if it raised; notes that, and whether it left something changed behind it."""
        snapshot, made, error = Snapshot(self.learner, self.classifier), None, ""
        try:
            with torch.enable_grad():
                made = run()
        except ENDING:
            raise
        except Exception as raised:  # whatever an attack raises is a finding about that attack
            error = f"{type(raised).__name__}: {raised}".splitlines()[0]
        changed = snapshot.changed()
        for code, found in (("B04", error), ("B06", changed)):
            self._saw(f"{code}/{name}", [bool(found)] * self.batch.tasks)
            if found:
                self.outcomes.errors.setdefault(f"{code}/{name}", found)
        return made

    def _saw_crafted(self, name: str, crafted: Crafted) -> None:
        self._saw(f"B01/{name}", crafted.overshoot)
        self._saw(f"B02/{name}", crafted.outside)

    def _saw(self, key: str, values: Tensor | Sequence[float]) -> None:
        """Note evidence of each task; of two looks at the same tasks the larger value stays."""
        found = np.asarray(values.cpu() if isinstance(values, Tensor) else values)
        evidence = self.outcomes.evidence
        evidence[key] = np.maximum(evidence[key], found) if key in evidence else found

    @torch.no_grad()
    def _rescored_otherwise(self, images: Tensor) -> Tensor:
        """The number of each task's queries `[T]` that are classified otherwise in reverse order; ties apart."""
        logits, again = self.classifier(images), self.classifier(images.flip(1)).flip(1)
        otherwise: Tensor = (logits.argmax(-1) != again.argmax(-1)) & ~tied(logits)
        return otherwise.sum(1)

    @torch.no_grad()
    def _lost_afresh(self, images: Tensor) -> Tensor:
        """What share `[T]` of the images are no longer right under other draws, net of those that only then are."""
        # Of all images: those right without an attack were picked by the scored draws, and do worse under any other.
        other = self.classifier.resampled(task_seed(self.seed, "fresh draws", 0))
        scored, afresh = (right_of(made, images, self.batch.query_y).double() for made in (self.classifier, other))
        return scored.mean(1) - afresh.mean(1)

    def _seeds(self, name: str) -> list[int]:
        return [task_seed(self.seed, name, index) for index in self.batch.index or range(self.batch.tasks)]

    def _note(self, name: str, right: Tensor, begun: float, meter: Meter, largest: float) -> None:
        outcomes = self.outcomes
        outcomes.right[name] = right.cpu().numpy()
        outcomes.largest[name] = largest
        outcomes.seconds[name] = time.perf_counter() - begun
        outcomes.forwards[name], outcomes.backwards[name] = meter.forwards, meter.backwards


def _both_ways(halves: tuple[Tensor, Tensor]) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    first, second = halves
    return (first, second), (second, first)


def _unmoved(attack: SupportAttack, batch: EpisodeBatch) -> CraftedSupport:
    """The support as it is, for an attack that raised."""
    support, none = batch.support_x, torch.zeros(batch.tasks, device=batch.support_x.device)
    return CraftedSupport(support, none, none, support, torch.ones_like(batch.support_y, dtype=torch.bool))


def _fingerprint(batch: EpisodeBatch, task: int) -> int:
    """64 bits of a hash of one task's images and labels."""
    seen = hashlib.blake2b(digest_size=8)
    for part in (batch.support_x, batch.support_y, batch.query_x, batch.query_y):
        seen.update(part[task].cpu().numpy().tobytes())
    return int.from_bytes(seen.digest(), "big", signed=True)

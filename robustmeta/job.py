"""One row of a recipe: train its learner, then evaluate it; both go on from where a killed run left them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from robustmeta.assembly import build_attacks, build_learner, curve_attacks, episodes_of
from robustmeta.attacks.base import Attack
from robustmeta.attacks.projected_gradient import ProjectedGradient
from robustmeta.checkpoint import Checkpoint
from robustmeta.episodes import Episodes
from robustmeta.evaluation import measure
from robustmeta.learners import Learner
from robustmeta.outcomes import Outcomes
from robustmeta.recipe import Recipe, Row
from robustmeta.schema import Source, guarded
from robustmeta.training import accuracy_of, train


@dataclass(frozen=True)
class Job:
    """A row of a recipe to be run in `out`, by this process or another.

    root: the data root, or None for the default. device: `cpu` or `cuda`. position: of its progress bar.
    save_every: seconds between checkpoints. threads: of torch in this process.
    """

    recipe: Recipe
    source: Source
    row: Row
    out: Path
    root: Path | None = None
    device: str = "cpu"
    position: int = 0
    save_every: float = 20.0
    threads: int = 1

    @property
    def checkpoint(self) -> Path:
        """Where the trained learner is kept."""
        return self.out / "checkpoints" / f"{self.row.name}.pt"

    def check(self) -> None:
        """Raise the `RobustMetaError` that training or evaluation would end in, before either has begun."""
        build_attacks(self.recipe, self.source)
        curve_attacks(self.recipe, self.source)
        episodes, _ = self._training_tasks()
        self._test_tasks()
        learner = build_learner(self.recipe, self.row, episodes.image_shape, self.source).eval()
        batch = episodes[0]
        at = ("rows", str(self.recipe.rows.index(self.row)), "learner")
        guarded(partial(learner.adapt, batch.support_x.cpu(), batch.support_y.cpu()), self.source, at)

    def train(self) -> Learner:
        """The row's learner, trained; a finished checkpoint is only loaded."""
        prepare_process(self.threads)
        recipe, training = self.recipe, self.recipe.training_of(self.row)
        episodes, glance = self._training_tasks()
        attack = ProjectedGradient(recipe.threat, steps=5)
        learner = build_learner(recipe, self.row, episodes.image_shape, self.source).to(self.device)
        with self._bar("train", training.steps) as bar:

            def report(step: int, measures: dict[str, float]) -> None:
                bar.update(step - bar.n)
                shown = {name: f"{value:.3f}" for name, value in measures.items() if name != "step"}
                bar.set_postfix(shown, refresh=False)

            train(
                learner,
                episodes,
                training.steps,
                tasks=training.tasks,
                lr=training.lr,
                schedule=training.schedule,
                clip=training.clip,
                checkpoint=self.checkpoint,
                save_every=self.save_every,
                recipe=recipe.made_by(self.row),
                validation=lambda learner: accuracy_of(learner, glance, attack),
                report=report,
            )
        return learner.eval()

    def restored(self, trained: Recipe, state: Checkpoint) -> Learner:
        """The learner of a checkpoint that the recipe `trained` made.

        Raises `RobustMetaError` if the weights do not fit.
        """
        prepare_process(self.threads)
        learner = build_learner(trained, trained.rows[0], self._test_tasks().image_shape, self.source)
        state.restore(learner, self.source.name)
        return learner.to(self.device).eval()

    def attack(self, learner: Learner) -> Outcomes:
        """The learner's outcomes under the recipe's attacks."""
        return self._measure("attack", learner, build_attacks(self.recipe, self.source), self.recipe.test.episodes)

    def curve(self, learner: Learner) -> Outcomes:
        """The learner's outcomes along the recipe's curve over eps."""
        episodes = min(self.recipe.curve.episodes, self.recipe.test.episodes)
        return self._measure("curve", learner, curve_attacks(self.recipe, self.source), episodes)

    def run(self) -> tuple[Outcomes, Outcomes]:
        """Train, then measure both."""
        learner = self.train()
        return self.attack(learner), self.curve(learner)

    def _measure(self, stage: str, learner: Learner, attacks: Mapping[str, Attack], episodes: int) -> Outcomes:
        kept = self.out / "progress" / f"{self.row.name}-{stage}-{self.recipe.hash}-{_digest(learner, attacks)}.npz"
        with self._bar(stage, episodes) as bar:

            def report(done: int) -> None:
                bar.update(done - bar.n)

            seed = self.recipe.test.seed
            return measure(learner, self._test_tasks(), attacks, episodes, seed=seed, partial=kept, report=report)

    def train_only(self) -> None:
        """Train, and leave the checkpoint."""
        self.train()

    def _training_tasks(self) -> tuple[Episodes, Episodes]:
        recipe, training = self.recipe, self.recipe.training_of(self.row)
        at = ("rows", str(recipe.rows.index(self.row)), "training") if self.row.training else ("training",)
        sizes = {"ways": training.ways, "shots": training.shots}
        episodes = episodes_of(
            recipe, self.source, "train", self.root, self.device, at,
            **sizes, queries=training.queries, seed=training.seed,
        )  # fmt: skip
        glance = episodes_of(recipe, self.source, "val", self.root, self.device, at, **sizes, queries=5, seed=0)
        return episodes, glance

    def _test_tasks(self) -> Episodes:
        task = self.recipe.test
        return episodes_of(
            self.recipe, self.source, task.split, self.root, self.device, ("test",),
            ways=task.ways, shots=task.shots, queries=task.queries, seed=task.seed,
        )  # fmt: skip

    def _bar(self, stage: str, total: int) -> Any:
        label = f"{self.row.name} {stage}"
        return tqdm(total=total, desc=f"{label:<24}", position=self.position, leave=False, disable=None, ncols=110)


def _digest(learner: Learner, attacks: Mapping[str, Attack]) -> str:
    """Eight digits that change with any weight or setting of an attack, so that no stale outcome is gone on with."""
    seen = hashlib.sha256(repr(attacks).encode())
    for name, weight in learner.state_dict().items():
        seen.update(name.encode() + weight.cpu().numpy().tobytes())
    return seen.hexdigest()[:8]


def prepare_process(threads: int) -> None:
    """Set torch's threads, one being faster than two on one task; and flush denormals, which are ten times slower."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)

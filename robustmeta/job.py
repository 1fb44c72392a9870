"""One row of a recipe and how it is run: its tasks, its cards, its training, which goes on from where it was killed."""

import math
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from robustmeta.assembly import (
    build_attacks,
    build_learner,
    check_unseen,
    curve_attacks,
    episodes_of,
    evaluation_episodes,
    step_attacks,
    suite_cards,
)
from robustmeta.attacks.card import Card
from robustmeta.attacks.projected_gradient import ProjectedGradient
from robustmeta.certification.certify import certificate_of
from robustmeta.checkpoint import Checkpoint
from robustmeta.episodes import Episodes
from robustmeta.errors import RobustMetaError
from robustmeta.learners import Learner
from robustmeta.process import prepare_process
from robustmeta.ranks import ALONE, Ranks
from robustmeta.recipe import Recipe, Row
from robustmeta.schema import Source, guarded
from robustmeta.training import accuracy_of, train


@dataclass(frozen=True)
class Job:
    """A row of a recipe to be run in `out`, by this process or another, or by several together.

    root: the data root, or None for the default. device: `cpu` or `cuda`. position: of its progress bar.
    save_every: seconds between checkpoints. threads: of torch in this process. audit: `always` or `full`.
    workers: threads that share the chunks of a training step. ranks: the processes that run the job together.
    twin: the checkpoint of the row's undefended twin; by default that of the recipe's row, if it has one.
    image_shape: (C, H, W) of what the learner was trained on, where that is known without its data.
    checkpoints: the folder of trained learners; None for that of the run.
    until: the share of the row's outer steps to stop training at for now.
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
    audit: str = "always"
    twin: Path | None = None
    workers: int = 1
    ranks: Ranks = ALONE
    image_shape: tuple[int, int, int] | None = None
    checkpoints: Path | None = None
    until: float = 1.0

    @property
    def checkpoint(self) -> Path:
        """Where the trained learner is kept."""
        return (self.checkpoints or self.out / "checkpoints") / f"{self.row.name}.pt"

    def check(self) -> None:
        """Raise the `RobustMetaError` that training or evaluation would end in, before either has begun."""
        if not 0 < self.until <= 1:
            raise RobustMetaError(f"until is {self.until:g}; it is a share of the outer steps, above 0 and up to 1")
        self.ranks.shared(self._check)  # one after the other, for data are downloaded or made once, and then read
        if not self.ranks.first:
            self._check()

    def _check(self) -> None:
        self.check_attacks()
        episodes, _ = self.training_tasks()
        learner = build_learner(
            self.recipe, self.row, episodes.image_shape, self.source, lambda: len(episodes.counts)
        ).eval()
        batch = episodes[0]
        at = ("rows", str(self.recipe.rows.index(self.row)), "learner")
        classifier = guarded(partial(learner.adapt, batch.support_x.cpu(), batch.support_y.cpu()), self.source, at)
        if self.row.defense:
            guarded(partial(learner.pose, batch.to("cpu")), self.source, (*at[:-1], "defense"))
        if self.recipe.certify is not None:
            certifying = partial(certificate_of, classifier, self.recipe.certify)
            guarded(certifying, self.source, ("certify",), f"the row {self.row.name!r}: ")

    def check_attacks(self) -> None:
        """Raise the `RobustMetaError` that evaluation would end in, before it has begun."""
        tasks = self.test_tasks()
        check_unseen(self.recipe, self.source, self.root, tasks)
        shape = tasks.image_shape
        guarded(partial(self.recipe.threat.check, shape), self.source, ("threat",))
        curve_attacks(self.recipe, self.source, shape[0])
        step_attacks(self.recipe, self.source, shape[0])
        if self.row.defense and self.by_transfer and self.twin_checkpoint is None:
            raise self.source.error(
                ("attacks",),
                f"an attack by transfer needs the undefended twin of {self.row.name!r}; give a row of the same learner "
                "and backbone without a defense, or its checkpoint with --twin",
            )
        build_attacks(self.recipe, self.source, self.cards, twin=Learner())

    def train(self) -> Learner:
        """The row's learner, trained as far as the job goes; its `progress` says how far that is.

        A checkpoint that is there is gone on with, or only loaded if it is as far already.
        """
        prepare_process(self.threads)
        recipe, training = self.recipe, self.recipe.training_of(self.row)
        episodes, glance = self.training_tasks()
        attack = ProjectedGradient(recipe.threat, steps=5)
        learner = build_learner(recipe, self.row, episodes.image_shape, self.source, lambda: len(episodes.counts))
        learner = learner.to(self.device)
        until = math.ceil(round(self.until * training.steps, 6))  # 11/20 of 3000 are 1650, and no float's worth more
        with self.bar("train", until) as bar:

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
                chunk=training.chunk,
                average=training.average,
                until=until,
                workers=self.workers,
                ranks=self.ranks,
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
        shape = self.test_tasks().image_shape
        classes = replace(self, recipe=trained, row=trained.rows[0])._base_classes
        learner = build_learner(trained, trained.rows[0], shape, self.source, classes)
        state.restore(learner, self.source.name)
        return learner.to(self.device).eval()

    @property
    def needs_twin(self) -> bool:
        """Whether the row is to be attacked by transfer, or audited for it, from an undefended twin."""
        return self.twin_checkpoint is not None and (self.audit == "full" or self.by_transfer)

    @cached_property
    def cards(self) -> dict[str, Card]:
        """The cards of the row's attacks, by the name its results carry."""
        return suite_cards(self.recipe, self.source, self.test_tasks().image_shape[0])

    @property
    def by_transfer(self) -> bool:
        """Whether the row is attacked by transfer."""
        return any(found.knowledge == "transfer" for found in self.cards.values())

    @property
    def twin_checkpoint(self) -> Path | None:
        """Where the row's undefended twin is kept; None for a row without one, and for one that is its own."""
        if not self.row.defense or self.twin is not None:
            return self.twin
        row = self.recipe.twin_of(self.row)
        return None if row is None else replace(self, row=row).checkpoint

    def train_only(self) -> None:
        """Train, and leave the checkpoint."""
        self.train()

    def _base_classes(self) -> int:
        return len(self.training_tasks()[0].counts)

    def training_tasks(self) -> tuple[Episodes, Episodes]:
        """The tasks the row is trained on, and those of the validation split that training glances at."""
        recipe, training = self.recipe, self.recipe.training_of(self.row)
        at = ("rows", str(recipe.rows.index(self.row)), "training") if self.row.training else ("training",)
        sizes = {"ways": training.ways, "shots": training.shots}
        episodes = episodes_of(
            recipe, self.source, "train", self.root, self.device, at,
            **sizes, queries=training.queries, seed=training.seed,
        )  # fmt: skip
        held = episodes_of(recipe, self.source, "val", self.root, "cpu", at, **sizes, queries=1, seed=0)
        queries = min(5, min(held.counts) - training.shots)  # too few images must not keep a row from being trained
        glance = episodes_of(recipe, self.source, "val", self.root, self.device, at, **sizes, queries=queries, seed=0)
        return episodes, glance

    def test_tasks(self) -> Episodes:
        """The tasks the row is evaluated on."""
        return evaluation_episodes(self.recipe, self.source, self.root, self.device, self.image_shape)

    def bar(self, stage: str, total: int) -> Any:
        """A progress bar of the row."""
        label = f"{self.row.name} {stage}"
        hidden = None if self.ranks.first else True  # None: wherever the output is no terminal
        return tqdm(total=total, desc=f"{label:<24}", position=self.position, leave=False, disable=hidden, ncols=110)

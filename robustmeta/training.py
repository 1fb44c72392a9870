"""The outer loop."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from robustmeta.attacks.base import Attack, craft
from robustmeta.checkpoint import Checkpoint
from robustmeta.episodes import EpisodeBatch, Episodes
from robustmeta.errors import RobustMetaError, unknown
from robustmeta.learners.base import Learner, right_of

SCHEDULES = ("cosine", "constant")
Report = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class Training:
    """How a learner is trained: the training tasks, and the outer loop over them.

    ways, shots, queries: of a training task. tasks: tasks an outer step. steps: outer steps.
    lr: of Adam; `schedule` takes it to zero along a half cosine, or keeps it constant.
    clip: the largest norm of the outer gradient. seed: of the initial weights and of the tasks.
    """

    ways: int = 5
    shots: int = 1
    queries: int = 15
    tasks: int = 4
    steps: int = 1000
    lr: float = 1e-3
    schedule: str = "cosine"
    clip: float = 10.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise unknown("schedule", self.schedule, SCHEDULES)
        if self.tasks < 1 or self.steps < 0:
            raise RobustMetaError(f"tasks is {self.tasks} and steps {self.steps}; they must be at least 1 and 0")
        if self.lr <= 0 or self.clip <= 0:
            raise RobustMetaError(f"lr is {self.lr:g} and clip {self.clip:g}; both must be above 0")


def train(
    learner: Learner,
    episodes: Episodes,
    steps: int = 1000,
    *,
    tasks: int = 4,
    lr: float = 1e-3,
    schedule: str = "cosine",
    clip: float = 10.0,
    checkpoint: str | Path | None = None,
    save_every: float = 20.0,
    recipe: dict[str, Any] | None = None,
    validation: Callable[[Learner], dict[str, float]] | None = None,
    report: Report | None = None,
) -> list[dict[str, float]]:
    """Minimise the learner's outer loss over tasks 0, 1, 2, ... of `episodes`, with Adam.

    checkpoint: a file to save to, every `save_every` seconds and at the end; if it is there already, training
    goes on from it and ends with the weights of a run that was never interrupted.
    recipe: plain data that must equal the checkpoint's, kept in it; by default the settings of this call.
    validation: measures to report beside the loss, some twenty times in all. report: called after each step
    with the number of steps done and the last measures.

    Returns the log: step, loss (the mean since the entry before) and the validation's measures.
    Raises `RobustMetaError` for settings that `Training` refuses, if the checkpoint belongs to another recipe or
    learner, and if the loss is not finite.
    """
    training = Training(
        episodes.ways, episodes.shots, episodes.queries, tasks, steps, lr, schedule, clip, episodes.seed
    )
    recipe = recipe or {"episodes": episodes.name, "training": asdict(training)}
    optimizer = torch.optim.Adam(learner.parameters(), lr=lr)
    state = Checkpoint(learner.state_dict(), 0, optimizer.state_dict(), torch.get_rng_state(), recipe)
    if checkpoint is not None and Path(checkpoint).exists():
        state = _resume(Checkpoint.load(checkpoint), str(checkpoint), learner, optimizer, state.recipe)

    learner.train()
    saved = time.monotonic()
    for step in range(state.step, steps):
        learner.progress = step / steps
        for group in optimizer.param_groups:
            group["lr"] = lr * (0.5 + 0.5 * math.cos(math.pi * step / steps)) if schedule == "cosine" else lr
        batch = episodes.batch(range(step * tasks, (step + 1) * tasks))
        state.losses.append(_outer_step(learner, batch, optimizer, clip, step))
        state.step = step + 1
        if state.step == steps or state.step % max(1, steps // 20) == 0:
            measures = validation(learner) if validation else {}
            state.log.append({"step": state.step, "loss": sum(state.losses) / len(state.losses), **measures})
            state.losses.clear()
        if checkpoint is not None and (state.step == steps or time.monotonic() - saved > save_every):
            state.weights, state.optimizer = learner.state_dict(), optimizer.state_dict()
            state.rng = torch.get_rng_state()
            state.save(checkpoint)
            saved = time.monotonic()
        if report:
            report(state.step, state.log[-1] if state.log else {})
    learner.progress = 1.0
    learner.eval()
    return state.log


def _outer_step(
    learner: Learner, batch: EpisodeBatch, optimizer: torch.optim.Optimizer, clip: float, step: int
) -> float:
    loss = learner.loss(batch)
    if not loss.isfinite():
        raise RobustMetaError(f"the outer loss is {loss.item()} at step {step}; lower lr or the inner learning rate")
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(learner.parameters(), clip)
    optimizer.step()
    return loss.item()


def _resume(
    state: Checkpoint, path: str, learner: Learner, optimizer: torch.optim.Optimizer, recipe: dict[str, Any]
) -> Checkpoint:
    if state.recipe != recipe:
        raise RobustMetaError(f"{path} is the checkpoint of another recipe; choose another folder, or move it away")
    state.restore(learner, path)
    optimizer.load_state_dict(state.optimizer)
    torch.set_rng_state(state.rng)
    return state


def accuracy_of(learner: Learner, episodes: Episodes, attack: Attack, tasks: int = 8) -> dict[str, float]:
    """Clean and robust accuracy on the first tasks of `episodes`: a glance during training, not a result."""
    learner.eval()
    batch = episodes.batch(range(tasks))
    classifier = learner.adapt(batch.support_x, batch.support_y)
    attacked = craft(attack, classifier, batch.query_x, batch.query_y, seeds=range(tasks))
    clean = right_of(classifier, batch.query_x, batch.query_y)
    robust = clean & right_of(classifier, attacked, batch.query_y)
    learner.train()
    return {"clean": clean.float().mean().item(), "robust": robust.float().mean().item()}

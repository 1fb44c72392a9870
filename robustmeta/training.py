"""The outer loop."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from robustmeta.attacks.base import Attack, craft
from robustmeta.averaging import averaged, lent
from robustmeta.checkpoint import Checkpoint
from robustmeta.episodes import Episodes
from robustmeta.errors import RobustMetaError, unknown
from robustmeta.learners.base import Learner, right_of
from robustmeta.outer_step import Crew
from robustmeta.ranks import ALONE, Ranks

SCHEDULES = ("cosine", "constant")
Report = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class Training:
    """How a learner is trained: the training tasks, and the outer loop over them.

    ways, shots, queries: of a training task. tasks: tasks an outer step. steps: outer steps.
    chunk: tasks a backward pass, on which the memory of a step hangs.
    lr: of Adam; `schedule` takes it to zero along a half cosine, or keeps it constant.
    clip: the largest norm of the outer gradient. seed: of the initial weights and of the tasks.
    average: the share of the steps so far over which the weights are averaged to be tested; 0 tests the last ones.

    Raises `RobustMetaError` for an unknown schedule and settings out of range.
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
    chunk: int = 2
    average: float = 0.0

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise unknown("schedule", self.schedule, SCHEDULES)
        if self.tasks < 1 or self.steps < 0:
            raise RobustMetaError(f"tasks is {self.tasks} and steps {self.steps}; they must be at least 1 and 0")
        if self.chunk < 1:
            raise RobustMetaError(f"chunk is {self.chunk}; it must be at least 1")
        if self.lr <= 0 or self.clip <= 0:
            raise RobustMetaError(f"lr is {self.lr:g} and clip {self.clip:g}; both must be above 0")
        if not 0 <= self.average <= 1:
            raise RobustMetaError(f"average is {self.average:g}; it is a share of the steps, from 0 to 1")


def train(
    learner: Learner,
    episodes: Episodes,
    steps: int = 1000,
    *,
    tasks: int = 4,
    lr: float = 1e-3,
    schedule: str = "cosine",
    clip: float = 10.0,
    chunk: int = 2,
    average: float = 0.0,
    until: int | None = None,
    workers: int = 1,
    ranks: Ranks = ALONE,
    checkpoint: str | Path | None = None,
    save_every: float = 20.0,
    recipe: dict[str, Any] | None = None,
    validation: Callable[[Learner], dict[str, float]] | None = None,
    report: Report | None = None,
) -> list[dict[str, float]]:
    """Minimise the learner's outer loss over tasks 0, 1, 2, ... of `episodes`, with Adam.

    chunk: as in `Training`; a step's tasks are met `learner.replays` times, with an update each.
    average: the weights that the learner ends with are an average, as in `Training`; 0: the last ones.
    until: the number of steps to stop at, where that is before `steps`; what is done of them is what would be done
    without it, and a later call with the same checkpoint goes on.
    workers: threads that share the chunks of a step; the weights do not hang on it, if torch runs on one thread.
    ranks: the processes of a job that share them, each called with its own copy of the learner; the weights, equal
    within rounding whatever their number, begin as the first one's, which alone writes the checkpoint.
    checkpoint: a file to save to, every `save_every` seconds and at the end; if it is there already, training
    goes on from it and ends with the weights of a run that was never interrupted.
    recipe: plain data that must equal the checkpoint's, kept in it; by default the settings of this call.
    validation: measures to report beside the loss, some twenty times in all. report: called after each step
    with the number of steps done and the last measures.

    Returns the log: step, loss (the mean since the entry before), core_seconds (what the steps so far took of this
    process's processors, without validation and saving) and the validation's measures.
    Raises `RobustMetaError` for settings that `Training` refuses, if the checkpoint belongs to another recipe or
    learner, and if the loss is not finite.
    """
    training = Training(
        episodes.ways, episodes.shots, episodes.queries, tasks, steps, lr, schedule, clip, episodes.seed, chunk,
        average,
    )  # fmt: skip
    if workers < 1:
        raise RobustMetaError(f"workers is {workers}; it must be at least 1")
    recipe = recipe or {"episodes": episodes.name, "training": asdict(training)}
    optimizer = torch.optim.Adam(learner.parameters(), lr=lr)
    state = ranks.shared(lambda: _begun(checkpoint, learner, optimizer, recipe))
    _resume(state, str(checkpoint), learner, optimizer, recipe)

    learner.train()
    saved, stop = time.monotonic(), steps if until is None else min(steps, until)
    most = math.ceil(math.ceil(tasks / chunk) / ranks.size)  # chunks a step
    with Crew(learner, min(workers, most), ranks) as crew:
        for step in range(state.step, stop):
            _set_progress(learner, step / steps)
            for group in optimizer.param_groups:
                group["lr"] = lr * (0.5 + 0.5 * math.cos(math.pi * step / steps)) if schedule == "cosine" else lr
            begun = time.process_time()
            state.losses.append(_met(crew, episodes, training, step, optimizer))
            state.step = step + 1
            if average:
                state.average = averaged(state.average, learner.state_dict(), average, state.step)
            state.core_seconds += time.process_time() - begun
            if state.step == steps or state.step % max(1, steps // 20) == 0:
                with lent(learner, state.average):
                    measures = validation(learner) if validation else {}
                loss = sum(state.losses) / len(state.losses)
                state.log.append({"step": state.step, "loss": loss, "core_seconds": state.core_seconds, **measures})
                state.losses.clear()
            late = state.step == stop or time.monotonic() - saved > save_every
            if checkpoint is not None and ranks.first and late:
                state.weights, state.optimizer = learner.state_dict(), optimizer.state_dict()
                state.rng = torch.get_rng_state()
                state.save(checkpoint)
                saved = time.monotonic()
            if report:
                report(state.step, state.log[-1] if state.log else {})
    if checkpoint is not None and ranks.first and not Path(checkpoint).exists():  # nothing was to be done
        state.save(checkpoint)
    if state.average:
        learner.load_state_dict(state.average)
    if ranks.size > 1:  # the same sums, but perhaps not the same processors
        learner.load_state_dict(ranks.shared(lambda: _on_cpu(learner.state_dict())))
    _set_progress(learner, state.step / steps if steps else 1.0)
    learner.eval()
    return state.log


def _met(crew: Crew, episodes: Episodes, training: Training, step: int, optimizer: torch.optim.Optimizer) -> float:
    """Meet the tasks of a step, as often as they are replayed, and move the weights each time; the mean loss."""
    losses = []
    for _ in range(crew.learner.replays):
        loss = crew.gradient(episodes, step, training.tasks, training.chunk)
        nn.utils.clip_grad_norm_(crew.learner.parameters(), training.clip)
        optimizer.step()
        losses.append(loss)
    return sum(losses) / len(losses)


def _set_progress(learner: Learner, progress: float) -> None:
    for module in learner.modules():
        if isinstance(module, Learner):
            module.progress = progress


def _begun(
    path: str | Path | None, learner: Learner, optimizer: torch.optim.Optimizer, recipe: dict[str, Any]
) -> Checkpoint:
    """The checkpoint to go on from: the one in the file, or that of a learner not yet trained."""
    if path is not None and Path(path).exists():
        return Checkpoint.load(path)
    return Checkpoint(_on_cpu(learner.state_dict()), 0, optimizer.state_dict(), torch.get_rng_state(), recipe)


def _on_cpu(weights: dict[str, Any]) -> dict[str, Any]:
    return {name: weight.cpu() if isinstance(weight, Tensor) else weight for name, weight in weights.items()}


def _resume(
    state: Checkpoint, path: str, learner: Learner, optimizer: torch.optim.Optimizer, recipe: dict[str, Any]
) -> None:
    if state.recipe != recipe:
        differs = ", ".join(_differences(state.recipe, recipe))
        raise RobustMetaError(
            f"{path} is the checkpoint of another recipe ({differs}); choose another folder, or move it away"
        )
    state.restore(learner, path, averaged=False)
    optimizer.load_state_dict(state.optimizer)
    torch.set_rng_state(state.rng)


def _differences(held: dict[str, Any], wanted: dict[str, Any], at: str = "") -> Iterator[str]:
    """The settings in which a checkpoint's recipe differs from the one wanted, in words."""
    for key in dict.fromkeys((*held, *wanted)):
        one, other = held.get(key), wanted.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from _differences(one, other, f"{at}{key}.")
        elif one != other:
            yield f"its {at}{key} is {one!r}, not {other!r}"


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

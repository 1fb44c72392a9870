"""Robustmeta's adversarial outer step: the trainer's own code, on given tensors."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from benchmarks.peers.base import Contender
from benchmarks.plain import plain_weights
from benchmarks.setting import Setting
from robustmeta.attacks.base import craft
from robustmeta.batch import EpisodeBatch
from robustmeta.episodes import Episodes
from robustmeta.outer_step import Crew


class Whole(Contender):
    """One loss of all tasks and one backward pass, as `chunk = tasks` has it."""

    name = "robustmeta, whole"
    note = "all tasks in one chunk"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.learner = setting.ours(self.clock)
        self.extra_forwards = int(setting.keep == "best")  # the pass that judges the last iterate
        self.crew = Crew(self.learner, self.workers)
        self.undefended = Crew(self.learner.base, self.workers)  # for queries that are attacked already

    def chunk(self, tasks: int) -> int:
        """Tasks a backward pass."""
        return self.setting.chunk or tasks

    def step(self, batch: EpisodeBatch, fed: Tensor | None = None) -> dict[str, Tensor]:
        """See `Contender.step`."""
        crew, given = (self.crew, batch) if fed is None else (self.undefended, batch.with_queries(fed))
        crew.gradient(cast(Episodes, Given(given)), 0, batch.tasks, self.chunk(batch.tasks))
        found = {name: weight.grad for name, weight in self.learner.named_parameters() if weight.grad is not None}
        named = plain_weights(found)
        prefix = "" if self.setting.learner == "maml" else "backbone."  # the plain ProtoNet is the backbone alone
        return {name.removeprefix(prefix): gradient for name, gradient in named.items()}

    def attacked(self, batch: EpisodeBatch) -> Tensor:
        """See `Contender.attacked`."""
        learner = self.learner
        classifier = learner.adapt(batch.support_x, batch.support_y).detach()
        with torch.autocast(batch.query_x.device.type, torch.bfloat16, enabled=learner.precision == "bfloat16"):
            return craft(learner.attack, classifier, batch.query_x, batch.query_y, batch.index or None)


class Workers(Whole):
    """Chunks of a task, or of the tasks that share statistics, dealt out to two threads, a torch thread each."""

    name = "robustmeta, 2 workers"
    note = "train(..., workers=2) with chunk=1"
    workers = 2

    def chunk(self, tasks: int) -> int:
        """See `Whole.chunk`."""
        return self.setting.chunk or 1


class Given:
    """Tasks that are there already, in the place of `Episodes`."""

    def __init__(self, batch: EpisodeBatch) -> None:
        self.whole = batch

    def batch(self, indices: Sequence[int]) -> EpisodeBatch:
        """Some of the tasks."""
        return part_of(self.whole, slice(indices[0], indices[-1] + 1))


def part_of(batch: EpisodeBatch, tasks: slice) -> EpisodeBatch:
    """A batch of some of the tasks."""
    tensors = (batch.support_x, batch.support_y, batch.query_x, batch.query_y)
    return EpisodeBatch(*(tensor[tasks] for tensor in tensors), index=batch.index[tasks])

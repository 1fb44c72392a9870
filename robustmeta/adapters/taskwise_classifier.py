"""The classifiers of learners that adapt to one task at a time."""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from robustmeta.adapters.state import mapped
from robustmeta.adapters.undisturbed import StandIn, in_modes, standing_in
from robustmeta.attacks.isolation import drawing_from
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import Classifier

if TYPE_CHECKING:
    from robustmeta.adapters.taskwise import TaskwiseLearner

SAME = 1e-4
"""Relative difference of logits that rounding explains, as in the audit."""


class Adapted(NamedTuple):
    """What adaptation made of one task.

    modules: those in the state. weights: of these, each beside its frozen copy; empty while they are live. seed: of the
    random numbers of the adaptation.
    """

    state: Any
    modules: list[nn.Module]
    weights: list[StandIn]
    seed: int

    def cut(self) -> "Adapted":
        """The same without a graph, the weights of its modules frozen as they are, or as they were frozen before."""
        state = mapped(lambda part: part.detach().clone(), self.state)
        weights = self.weights or copies(weight for part in self.modules for weight in part.parameters())
        return self._replace(state=state, weights=weights)


def copies(tensors: Iterable[Tensor]) -> list[StandIn]:
    """Each tensor beside a copy of it without a graph."""
    return [(tensor, tensor.detach().clone()) for tensor in tensors]


class TaskwiseClassifier(Classifier):
    """The classifiers of T tasks, asked one after another: the learner's `logits_one` on each task's own state.

    modes: of the learner's parts, as adaptation left them. weights: of the learner, frozen; empty where they are the
    live ones. buffers: as they stood; every call works on copies of them, and of whatever in the state does not train.
    """

    def __init__(
        self,
        learner: "TaskwiseLearner",
        tasks: Sequence[Adapted],
        ways: int,
        modes: list[bool],
        weights: list[StandIn],
        buffers: list[StandIn],
    ) -> None:
        super().__init__()
        self._learner = (learner,)  # in a tuple, so that its parameters are not this module's
        self._tasks, self.ways, self._modes = list(tasks), ways, modes
        self._weights, self._kept = weights, buffers

    def forward(self, query_x: Tensor) -> Tensor:
        """Logits `[T, Q, ways]` of queries `[T, Q, C, H, W]`."""
        return torch.stack([self._asked(task, images) for task, images in zip(self._tasks, query_x, strict=True)])

    def detach(self) -> "TaskwiseClassifier":
        """The same classifiers, constants but for their input."""
        weights = self._weights or copies(self._learner[0].parameters())
        return self._with([task.cut() for task in self._tasks], weights)

    def select(self, tasks: Sequence[int]) -> "TaskwiseClassifier":
        """The classifiers of some of the tasks, in the order given."""
        return self._with([self._tasks[task] for task in tasks], self._weights)

    @torch.no_grad()
    def asks_no_company(self, images: Tensor) -> bool:
        """Whether an image of `[1, N, C, H, W]` is classified alone as it is among the others; of detached ones.

        Raises `RobustMetaError` where the logits still hang on a graph.
        """
        whole = [self._learner[0], *self._tasks[0].modules]
        with in_modes(self._learner[0], self._modes):
            if any(_leans(part) for module in whole for part in module.modules()):
                return False
        with torch.enable_grad():
            together = self(images)
        if together.requires_grad:
            raise RobustMetaError(
                "what adapt returned cannot be cut off from its graph: let it return tensors, modules or containers of "
                "them, no functions, and give as module= whatever holds the parameters that logits uses"
            )
        swapped, alone = self(images.flip(1)).flip(1), self(images[:, :1])
        return near(swapped, together) and near(alone, together[:, :1])

    def _asked(self, task: Adapted, images: Tensor) -> Tensor:
        learner = self._learner[0]
        state = mapped(lambda part: part if part.requires_grad else part.clone(), task.state)
        buffers = [(buffer, buffer) for module in task.modules for buffer in module.buffers()]
        buffers = [(buffer, was.clone()) for buffer, was in [*buffers, *self._kept]]
        with ExitStack() as undisturbed:
            for module, modes in ((learner, self._modes), *((module, None) for module in task.modules)):
                undisturbed.enter_context(in_modes(module, modes))
            undisturbed.enter_context(drawing_from(task.seed + 1))
            undisturbed.enter_context(standing_in([learner, *task.modules], [*buffers, *task.weights, *self._weights]))
            logits = learner.logits_one(state, images)
        if not isinstance(logits, Tensor) or logits.shape != (len(images), self.ways):
            shape = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise RobustMetaError(
                f"the logits of {len(images)} queries in a task of {self.ways} ways are {shape}; "
                f"they must be [Q, ways] = {[len(images), self.ways]}"
            )
        found: Tensor = logits
        return found

    def _with(self, tasks: list[Adapted], weights: list[StandIn]) -> "TaskwiseClassifier":
        made = TaskwiseClassifier(self._learner[0], tasks, self.ways, self._modes, weights, self._kept)
        made.inductive = self.inductive
        return made


def _leans(part: nn.Module) -> bool:
    """Whether a layer answers an image otherwise in other company, or in another place of the batch."""
    if isinstance(part, _BatchNorm):
        return part.training or part.running_mean is None
    return isinstance(part, _DropoutNd) and part.training and part.p > 0


def near(logits: Tensor, others: Tensor) -> bool:
    """Whether logits are others but for rounding; never where there is NaN."""
    return bool((logits - others).norm() <= SAME * others.norm() + 1e-12)

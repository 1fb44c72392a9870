"""Learners that adapt to one task at a time, as other people's code does, and the classifiers that they make."""

from typing import Any

import torch
from torch import Tensor

from robustmeta.adapters.apart import stays_apart
from robustmeta.adapters.graph import check_reach
from robustmeta.adapters.state import modules_in
from robustmeta.adapters.taskwise_classifier import Adapted, TaskwiseClassifier, copies
from robustmeta.adapters.undisturbed import StandIn, in_modes, modes_of, standing_in
from robustmeta.attacks.isolation import drawing_from
from robustmeta.batch import EpisodeBatch, Queries, check_support, ways_of
from robustmeta.draws import seeds_of
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import Classifier, Learner


class TaskwiseLearner(Learner):
    """A learner that is given one task at a time; a subclass defines `adapt_one` and `logits_one`.

    Its parameters are those of the modules it registers. Both verbs run on modes, buffers and random numbers of the
    adaptation's own, and leave them as they were; the one exception is `adapt_one` in training, which may move
    buffers, as the running statistics of BatchNorm. Random numbers begin at a seed that hangs on the support
    (`seeds_of`), so that a dropout mask is the same whenever a classifier is asked about as many queries.
    """

    shared_state = (
        "adapt keeps the state of one task elsewhere than in what it returns: the logits of a task change once another "
        "is adapted; let it return all of the state that logits uses, and let logits read it from there"
    )
    """What to say of a task whose logits change once another is adapted."""

    def __init__(self) -> None:
        super().__init__()
        self._reached = False
        self._apart: set[bool] = set()
        self._probed: dict[tuple[bool, ...], bool] = {}

    def adapt_one(self, support_x: Tensor, support_y: Tensor) -> Any:
        """The state of one task from its support `[N, C, H, W]` and labels `[N]`.

        The state is made of tensors, modules, numbers, and containers or plain objects that hold such.
        """
        raise NotImplementedError(f"{type(self).__name__} must define adapt_one(support_x, support_y) -> state")

    def logits_one(self, state: Any, query_x: Tensor) -> Tensor:
        """Logits `[Q, ways]` of the queries `[Q, C, H, W]` of one task."""
        raise NotImplementedError(f"{type(self).__name__} must define logits_one(state, query_x) -> logits")

    def adapt(self, support_x: Tensor, support_y: Tensor) -> TaskwiseClassifier:
        """The classifiers of supports `[T, N, C, H, W]` with labels `[T, N]`.

        Raises `RobustMetaError` for a support that `check_support` refuses, for an adaptation that writes into the
        parameters, for a state that cannot be cut off from its graph, and for one that another task's adaptation
        changes, which is looked for once in each mode, by adapting to one task more.
        """
        check_support(support_x, support_y)
        seeds = seeds_of(support_x, self.training)
        keeps_graph = self.training or (support_x.requires_grad and torch.is_grad_enabled())
        # In evaluation the graph is to begin at the support or nowhere, and no buffer is to move.
        start = [] if self.training else [*self.own_weights(), *copies(self.buffers())]
        tasks: list[Adapted] = []
        for x, y, seed in zip(support_x if keeps_graph else support_x.detach(), support_y, seeds, strict=True):
            with drawing_from(seed), in_modes(self), standing_in([self], start), torch.enable_grad():
                task = self.adapted_one(x, y, seed)
                modes = modes_of(self)
                task = task if keeps_graph else task.cut()
                if not tasks and self.training not in self._apart and stays_apart(self, task, support_x, support_y):
                    self._apart.add(self.training)
            tasks.append(task)
        weights = [] if self.training else copies(self.parameters())
        buffers = copies(self.buffers())
        classifier = TaskwiseClassifier(self, tasks, ways_of(support_y), modes, weights, buffers)
        classifier.inductive = self._inductive(classifier, support_x[:1].detach(), tuple(modes))
        return classifier

    def pose(self, batch: EpisodeBatch) -> tuple[Classifier, Queries]:
        """The adapted classifiers and the batch itself.

        Raises `RobustMetaError` for what is no `EpisodeBatch`; and, looking once, for logits from which no gradient
        arrives at the learner's parameters, or at the images.
        """
        if not isinstance(batch, EpisodeBatch):
            raise RobustMetaError(
                f"the batch is a {type(batch).__name__}; it must be robustmeta.EpisodeBatch(support_x, support_y, "
                "query_x, query_y), images as [T, N, C, H, W], tasks first"
            )
        classifier, queries = super().pose(batch)
        if self.training and torch.is_grad_enabled() and not self._reached:
            check_reach(classifier, self, queries.query_x.detach().requires_grad_())
            self._reached = True
        return classifier, queries

    def transductive(self) -> bool:
        """Whether the code itself says that queries are classified together; what it does not say is probed."""
        return False

    def adapted_one(self, support_x: Tensor, support_y: Tensor, seed: int) -> Adapted:
        """One task adapted by `adapt_one`; raises `RobustMetaError` where that writes into the parameters."""
        before = [(parameter, parameter._version) for parameter in self.parameters()]
        state = self.adapt_one(support_x, support_y)
        if any(parameter._version != version for parameter, version in before):
            raise RobustMetaError(
                "adapt wrote into the parameters of the module, which all tasks share; let it return adapted weights "
                "of the task's own, as new tensors or in a copy of the module"
            )
        return Adapted(state, modules_in(state), [], seed)

    def own_weights(self) -> list[StandIn]:
        """The parameters beside copies that train as they do, for an adaptation that takes gradients at them."""
        return [(weight, own.requires_grad_(weight.requires_grad)) for weight, own in copies(self.parameters())]

    def _inductive(self, classifier: TaskwiseClassifier, images: Tensor, modes: tuple[bool, ...]) -> bool:
        """Whether a query is classified without regard to the others; asked once for each pattern of modes."""
        if modes not in self._probed:
            self._probed[modes] = not self.transductive() and classifier.select([0]).detach().asks_no_company(images)
        return self._probed[modes]

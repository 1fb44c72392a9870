"""What every contender is, and what those that go through tasks one by one share."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
import torchattacks
from torch import Tensor, nn

from benchmarks.clock import Clock
from benchmarks.plain import Moments, PlainClassifier
from benchmarks.setting import Setting
from robustmeta.batch import EpisodeBatch


class Contender(ABC):
    """One way to make an adversarial outer step.

    clock: the seconds spent in the attack, summed over workers. workers: threads at work side by side, each with a
    clock's share. extra_forwards: forward passes of the attack beyond one a step.
    """

    name: str
    note: str = ""
    workers: int = 1
    extra_forwards: int = 0

    def __init__(self, setting: Setting) -> None:
        self.setting, self.clock = setting, Clock()

    @abstractmethod
    def step(self, batch: EpisodeBatch, fed: Tensor | None = None) -> dict[str, Tensor]:
        """Adapt to each task, attack its queries (or take the `fed` ones), and differentiate the mean outer loss.

        Returns the meta-gradients by the names of the plain network.
        """

    @abstractmethod
    def attacked(self, batch: EpisodeBatch) -> Tensor:
        """The queries `[T, Q, C, H, W]` as the step attacks them."""


class Frozen(nn.Module):
    """An adapted network in the shape torchattacks expects, its weights constants."""

    def __init__(self, network: PlainClassifier) -> None:
        super().__init__()
        self.network, self.given = network.requires_grad_(False), None
        self.eval()

    @torch.no_grad()
    def load(self, weights: Iterable[Tensor], given: Moments | None) -> "Frozen":
        """Take the values of adapted weights, in the network's order, and the statistics to normalise with."""
        for mine, adapted in zip(self.network.parameters(), weights, strict=True):
            mine.copy_(adapted)
        self.given: Moments | None = given and [(mean.detach(), var.detach()) for mean, var in given]
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Logits `[N, ways]` of images `[N, C, H, W]`."""
        return self.network(images, self.given)


def pgd(setting: Setting, model: nn.Module) -> torchattacks.PGD:
    """torchattacks' PGD against a model of images `[N, C, H, W]`."""
    return torchattacks.PGD(
        model, eps=setting.eps, alpha=setting.step_size, steps=setting.attack_steps, random_start=setting.random_start
    )


class Adapted(NamedTuple):
    """An adapted network: its weights in the network's order, and itself as a callable with the network's arguments."""

    weights: Sequence[Tensor]
    call: Callable[..., Any]


class TaskLoop(Contender):
    """MAML as the libraries' examples have it: task by task, a backward pass each.

    A subclass says how it adapts; attack, outer loss and bookkeeping are the same for all of them.
    """

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        network = setting.plain()
        assert isinstance(network, PlainClassifier)
        self.network = network
        self.frozen = Frozen(setting.plain())

    @abstractmethod
    def adapted(self, images: Tensor, labels: Tensor) -> AbstractContextManager[Adapted]:
        """The network adapted to a support `[N, C, H, W]`, its graph kept."""

    def step(self, batch: EpisodeBatch, fed: Tensor | None = None) -> dict[str, Tensor]:
        """See `Contender.step`."""
        self.network.zero_grad()
        for task in range(batch.tasks):
            with self.adapted(batch.support_x[task], batch.support_y[task]) as adapted:
                given = adapted.call(batch.support_x[task], moments=True)
                queries = self._attack(batch, task, adapted, given) if fed is None else fed[task]
                loss = F.cross_entropy(adapted.call(queries, given), batch.query_y[task])
                (loss / batch.tasks).backward()
        return gradients_of(self.network)

    def attacked(self, batch: EpisodeBatch) -> Tensor:
        """See `Contender.attacked`."""
        made = []
        for task in range(batch.tasks):
            with self.adapted(batch.support_x[task], batch.support_y[task]) as adapted:
                given = adapted.call(batch.support_x[task], moments=True)
                made.append(self._attack(batch, task, adapted, given))
        return torch.stack(made)

    def _attack(self, batch: EpisodeBatch, task: int, adapted: Adapted, given: Moments | None) -> Tensor:
        model = self.frozen.load(adapted.weights, given)
        with self.clock:
            return pgd(self.setting, model)(batch.query_x[task], batch.query_y[task])


def gradients_of(network: nn.Module) -> dict[str, Tensor]:
    """Copies of the gradients of a network's weights, by name."""
    return {name: weight.grad.clone() for name, weight in network.named_parameters() if weight.grad is not None}

"""ProtoNet with torchattacks: no library of the four attacks it, so these are the loops a user would write."""

import copy
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.peers.base import Contender, gradients_of, pgd
from benchmarks.plain import Moments, PlainConv4, prototypes
from benchmarks.setting import Setting
from robustmeta.batch import EpisodeBatch


class Prototypes(NamedTuple):
    """Class means `[T, ways, D]` of T tasks, and the statistics their queries are normalised with."""

    means: Tensor
    given: Moments | None


class ProtoNetLoop(Contender):
    """Prototypes, attack, outer loss and backward pass, task by task.

    Under `running`, where the tasks of a chunk are normalised by the same statistics, their supports pass first, all
    together, and the backward pass comes last.
    """

    name = "plain loop"
    folded = False

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        network = setting.plain()
        assert isinstance(network, PlainConv4)
        self.network = network
        self.frozen = copy.deepcopy(network).requires_grad_(False)

    def step(self, batch: EpisodeBatch, fed: Tensor | None = None) -> dict[str, Tensor]:
        """See `Contender.step`."""
        self.network.zero_grad()
        for chunk in self._chunks(batch):
            losses = []
            for tasks, found in self._prototypes(batch, chunk):
                queries = self._attack(batch, tasks, found) if fed is None else fed[tasks]
                features = self.network(queries.flatten(0, 1), found.given).unflatten(0, queries.shape[:2])
                logits = distance_logits(features, found.means).flatten(0, 1)
                loss = F.cross_entropy(logits, batch.query_y[tasks].flatten()) * len(queries) / batch.tasks
                losses.append(loss)
            torch.stack(losses).sum().backward()
        return gradients_of(self.network)

    def attacked(self, batch: EpisodeBatch) -> Tensor:
        """See `Contender.attacked`."""
        made = [
            self._attack(batch, tasks, found)
            for chunk in self._chunks(batch)
            for tasks, found in self._prototypes(batch, chunk)
        ]
        return torch.cat(made)

    def _chunks(self, batch: EpisodeBatch) -> list[range]:
        """The tasks of each backward pass: those that share statistics, or are folded, else each by itself."""
        together = self.folded or self.setting.norm == "running"
        size = (self.setting.chunk or batch.tasks) if together else 1
        return [range(first, min(first + size, batch.tasks)) for first in range(0, batch.tasks, size)]

    def _prototypes(self, batch: EpisodeBatch, chunk: range) -> Iterator[tuple[slice, Prototypes]]:
        """The prototypes of a chunk's tasks, one by one or all together."""
        support = batch.support_x[chunk.start : chunk.stop].flatten(0, 1)
        given = self.network(support, moments=True)
        size = len(chunk) if self.folded else 1
        for first in range(chunk.start, chunk.stop, size):
            tasks = slice(first, first + size)
            images, labels = batch.support_x[tasks], batch.support_y[tasks]
            features = self.network(images.flatten(0, 1), given).unflatten(0, images.shape[:2])
            means = [prototypes(f, y, self.setting.ways) for f, y in zip(features, labels, strict=True)]
            yield tasks, Prototypes(torch.stack(means), given)

    def _attack(self, batch: EpisodeBatch, tasks: slice, found: Prototypes) -> Tensor:
        self.frozen.load_state_dict(self.network.state_dict())
        images, labels = batch.query_x[tasks], batch.query_y[tasks]
        with self.clock:
            model = Distances(self.frozen, found)
            return pgd(self.setting, model)(images.flatten(0, 1), labels.flatten()).view_as(images)


class ProtoNetFolded(ProtoNetLoop):
    """All tasks in one batch: what a careful user would write where the normalization allows it."""

    name = "plain folded"
    note = "all tasks in one batch, which only policies whose statistics are not a task's own allow"
    folded = True


class Distances(nn.Module):
    """Minus the squared distances to prototypes, in the shape torchattacks expects: `[N, C, H, W]` to `[N, ways]`."""

    def __init__(self, network: PlainConv4, found: Prototypes) -> None:
        super().__init__()
        self.network, self.means = network, found.means.detach()
        self.given = found.given and [(mean.detach(), var.detach()) for mean, var in found.given]
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Logits; the images are those of as many tasks as there are sets of prototypes, one after another."""
        features = self.network(images, self.given).unflatten(0, (len(self.means), -1))
        return distance_logits(features, self.means).flatten(0, 1)


def distance_logits(features: Tensor, means: Tensor) -> Tensor:
    """-||f - p||^2 for features `[T, N, D]` and prototypes `[T, ways, D]`."""
    return -(features[:, :, None] - means[:, None]).square().sum(-1)

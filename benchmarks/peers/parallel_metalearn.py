"""MAML by parallel-metalearn 0.5.6, which adapts all tasks at once under `torch.vmap`."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.peers.base import Contender, Frozen, gradients_of, pgd
from benchmarks.plain import PlainClassifier, write_out
from benchmarks.setting import Setting
from robustmeta.batch import EpisodeBatch


class ParallelMetalearn(Contender):
    """Its `MAML.step` on attacked queries.

    torchattacks detaches and edits its images in place, which `vmap` forbids, and `MAML.step` gives its adapted
    weights to nobody. So a user of both adapts a copy for each task with the library's `adapt_and_update` (no graph,
    which is cheap), attacks that copy, and hands the attacked queries to `step`, which adapts again, all tasks
    side by side.

    Batch normalization is written out, as in the library's own layer: the second derivative of torch's kernel is wrong
    under `vmap` (by 2% of the meta-gradient here, in float64, and not with the library's sequential backend).
    """

    name, backend = "parallel-metalearn, vmap", "vmap"
    note = "attacks task by task on copies adapted without a graph; its vmapped step adapts again"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        from metalearn.algorithms import MAML
        from metalearn.inner_optimizers.optimizers import InnerSGD
        from metalearn.loss import CategoricalAccuracy, CrossEntropy

        network = setting.plain()
        assert isinstance(network, PlainClassifier)
        if self.backend == "vmap":
            write_out(network)
        model = _Wrapped(network)
        self.library, self.network, self.frozen = MAML, network, Frozen(setting.plain())
        self.settings: dict[str, Any] = {
            "support_loss_fn": CrossEntropy(CategoricalAccuracy()),  # its default is the class, not an instance
            "inner_steps": setting.steps,
            "backend": self.backend,
            "device": torch.device(setting.device),
        }
        self.inner: type[nn.Module] = InnerSGD
        self.maml = self._maml(model)
        self.copy = self._maml(copy.deepcopy(model))

    def _maml(self, model: "_Wrapped") -> Any:
        inner = self.inner(
            model.get_fast_weights(), inner_lr=self.setting.inner_lr, max_inner_steps=self.setting.steps, learn_lr=False
        ).to(self.setting.dtype)
        for rate in inner.parameters():  # 0.4 in float32 is not 0.4 in float64
            rate.detach().fill_(self.setting.inner_lr)
        # The step updates the weights: by nothing, so that the gradients can be read and every step is the same.
        outer = torch.optim.SGD(model.parameters(), lr=0.0)
        return self.library(model=model, optimizer=outer, inner_optimizer=inner, **self.settings)

    def step(self, batch: EpisodeBatch, fed: Tensor | None = None) -> dict[str, Tensor]:
        """See `Contender.step`."""
        attacked = self.attacked(batch) if fed is None else fed
        # The queries bring their support along, whose statistics at the adapted weights they are normalised with.
        queries = {"images": attacked, "support": batch.support_x}
        tasks = (batch.support_x, {"labels": batch.support_y}, queries, {"labels": batch.query_y})
        self.maml.step(iter([tasks]), training=True)
        return gradients_of(self.network)

    def attacked(self, batch: EpisodeBatch) -> Tensor:
        """See `Contender.attacked`."""
        made = []
        for task in range(batch.tasks):
            copied = self.copy.model.network
            copied.load_state_dict(self.network.state_dict())
            self.copy.adapt_and_update(batch.support_x[task], {"labels": batch.support_y[task]})
            with torch.no_grad():
                given = copied(batch.support_x[task], moments=True)
            model = self.frozen.load(copied.parameters(), given)
            with self.clock:
                made.append(pgd(self.setting, model)(batch.query_x[task], batch.query_y[task]))
        return torch.stack(made)


class ParallelMetalearnSequential(ParallelMetalearn):
    """The same with the library's other backend, which goes through the tasks one by one."""

    name, backend = "parallel-metalearn, sequential", "sequential"
    note = "as above, its sequential step"


class _Wrapped(nn.Module):
    """The network in the shape the library asks for; it takes the place of its `MAML_Model`."""

    def __init__(self, network: PlainClassifier) -> None:
        super().__init__()
        self.network = network

    def get_fast_weights(self) -> dict[str, Tensor]:
        return dict(self.named_parameters())

    def forward(self, x: Tensor | dict[str, Tensor], **ignored: Any) -> dict[str, Tensor]:
        if isinstance(x, dict):
            return {"logits": self.network(x["images"], self.network(x["support"], moments=True))}
        return {"logits": self.network(x)}

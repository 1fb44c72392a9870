"""MAML, task by task: plain torch, higher, TorchOpt and iteryne, each as its own examples are written."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from benchmarks.peers.base import Adapted, TaskLoop
from benchmarks.setting import Setting


class PlainTorch(TaskLoop):
    """The inner loop by hand, with `torch.func.functional_call` and `torch.autograd.grad`."""

    name = "plain torch"

    @contextmanager
    def adapted(self, images: Tensor, labels: Tensor) -> Iterator[Adapted]:
        """See `TaskLoop.adapted`."""
        weights: dict[str, Tensor] = dict(self.network.named_parameters())
        for _ in range(self.setting.steps):
            loss = F.cross_entropy(functional_call(self.network, weights, (images,)), labels)
            gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
            weights = {
                name: weight - self.setting.inner_lr * gradient
                for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
            }
        yield Adapted(list(weights.values()), partial(_called, self.network, weights))


def _called(network: torch.nn.Module, weights: dict[str, Tensor], *args: Any, **settings: Any) -> Any:
    return functional_call(network, weights, args, settings)


class Higher(TaskLoop):
    """higher 0.2.1 (Grefenstette et al., 2019): `innerloop_ctx` and a differentiable `torch.optim.SGD`."""

    name = "higher"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package is older than this Python
            import higher

        self.library = higher
        self.inner = torch.optim.SGD(self.network.parameters(), lr=setting.inner_lr)

    @contextmanager
    def adapted(self, images: Tensor, labels: Tensor) -> Iterator[Adapted]:
        """See `TaskLoop.adapted`."""
        # Without copy_initial_weights=False no gradient reaches the network.
        with self.library.innerloop_ctx(self.network, self.inner, copy_initial_weights=False) as (network, inner):
            for _ in range(self.setting.steps):
                inner.step(F.cross_entropy(network(images), labels))
            yield Adapted(list(network.parameters()), network)


class TorchOpt(TaskLoop):
    """TorchOpt 0.7.3 (Ren et al., 2022): `MetaSGD` moves the network itself, which is then put back."""

    name = "torchopt"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        import torchopt

        self.library = torchopt
        self.inner = torchopt.MetaSGD(self.network, lr=setting.inner_lr)

    @contextmanager
    def adapted(self, images: Tensor, labels: Tensor) -> Iterator[Adapted]:
        """See `TaskLoop.adapted`."""
        network = self.library.extract_state_dict(self.network, by="reference")
        inner = self.library.extract_state_dict(self.inner, by="reference")
        try:
            for _ in range(self.setting.steps):
                self.inner.step(F.cross_entropy(self.network(images), labels))
            yield Adapted([weight for _, weight in self.network.named_parameters()], self.network)
        finally:
            self.library.recover_state_dict(self.network, network)
            self.library.recover_state_dict(self.inner, inner)


class Iteryne(TaskLoop):
    """iteryne 0.1.0 (2026): a `MAML` wrapper whose clones adapt by `torch.func.functional_call`."""

    name = "iteryne"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        import iteryne

        self.maml = iteryne.MAML(self.network, inner_lr=setting.inner_lr, inner_steps=setting.steps)

    @contextmanager
    def adapted(self, images: Tensor, labels: Tensor) -> Iterator[Adapted]:
        """See `TaskLoop.adapted`."""
        learner = self.maml.clone().adapt_on(F.cross_entropy, images, labels)
        yield Adapted(list(learner.params.values()), learner)

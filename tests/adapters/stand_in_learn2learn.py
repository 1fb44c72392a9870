"""A stand-in for learn2learn 0.2.0, which does not compile with this Python: its interface, written from its source.

`learn2learn/utils/__init__.py` clones a module by a new object of its class that shares all but its parameters, which
are `torch.clone`d and so hang on the originals; buffers are the originals'. `algorithms/maml.py` takes a step by
`torch.autograd.grad` at the clone's parameters, and puts p - lr g in their places.
"""

from typing import Any

import torch
from torch import Tensor, nn


def clone_module(module: nn.Module) -> nn.Module:
    """A module whose parameters are clones, in the graph of the originals; buffers are shared."""
    clone = module.__new__(type(module))
    clone.__dict__ = dict(module.__dict__)
    clone._parameters = {name: p if p is None else p.clone() for name, p in module._parameters.items()}
    clone._buffers = dict(module._buffers)
    clone._modules = {name: clone_module(part) for name, part in module._modules.items()}
    return clone


def update_module(module: nn.Module, updates: dict[Tensor, Tensor]) -> None:
    for name, parameter in module._parameters.items():
        if parameter in updates:
            module._parameters[name] = parameter + updates[parameter]
    for part in module._modules.values():
        update_module(part, updates)


class MAML(nn.Module):
    """As learn2learn's."""

    def __init__(self, model: nn.Module, lr: float, first_order: bool = False) -> None:
        super().__init__()
        self.module, self.lr, self.first_order = model, lr, first_order

    def __getattr__(self, attribute: str) -> Any:
        try:
            return super().__getattr__(attribute)
        except AttributeError:
            return getattr(self.__dict__["_modules"]["module"], attribute)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def adapt(self, loss: Tensor) -> None:
        second_order = not self.first_order
        parameters = list(self.module.parameters())
        gradients = torch.autograd.grad(loss, parameters, retain_graph=second_order, create_graph=second_order)
        update_module(self.module, {p: -self.lr * g for p, g in zip(parameters, gradients, strict=True)})

    def clone(self) -> "MAML":
        return MAML(clone_module(self.module), lr=self.lr, first_order=self.first_order)

"""Running somebody's code so that it leaves no trace: modes and tensors are as before afterwards."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


def modes_of(module: nn.Module) -> list[bool]:
    """Whether each part of a module is in training mode, in the order of `modules()`."""
    return [part.training for part in module.modules()]


@contextmanager
def in_modes(module: nn.Module, modes: Sequence[bool] | None = None) -> Iterator[None]:
    """Within it, the parts of `module` are in the given modes, or begin in their own; after it, as before."""
    before = [(part, part.training) for part in module.modules()]
    try:
        for (part, own), training in zip(before, modes or modes_of(module), strict=True):
            if own != training:
                part.training = training
        yield
    finally:
        for part, training in before:
            if part.training != training:
                part.training = training


StandIn = tuple[Tensor, Tensor]
"""A tensor that a module has registered, and the one that is to stand in its place."""


@contextmanager
def standing_in(modules: Iterable[nn.Module], given: Iterable[StandIn]) -> Iterator[None]:
    """Within it, other tensors stand in the places of some parameters and buffers, wherever in `modules` these are.

    Unlike `torch.func.functional_call`, it puts the right tensors back into a module that is there twice.
    """
    others = {id(tensor): (tensor, other) for tensor, other in given}
    parts = {id(part): part for module in modules for part in module.modules()}
    registries: list[dict[str, Any]] = [
        registry for part in parts.values() for registry in (part._parameters, part._buffers)
    ]
    places = [(registry, name, registry[name]) for registry in registries for name in registry]
    places = [(registry, name, tensor) for registry, name, tensor in places if id(tensor) in others]
    try:
        for registry, name, tensor in places:
            registry[name] = others[id(tensor)][1]
        yield
    finally:
        for registry, name, tensor in places:
            registry[name] = tensor


def called(network: nn.Module, weights: Mapping[str, Tensor], *arguments: Any) -> Any:
    """What a network answers with other weights, by name, in the places of its own."""
    own = dict(network.named_parameters())
    with standing_in([network], [(own[name], weight) for name, weight in weights.items()]):
        return network(*arguments)

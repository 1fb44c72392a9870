"""B06: whether something was left changed that nobody asked to change."""

from typing import Any

import torch
from torch import Tensor, nn

from robustmeta.attacks.random_state import RandomState

_PLACES = {"_parameters": "weights", "_buffers": "buffer", "_modules": "tensor"}


class Snapshot:
    """Some modules as they stand when this is made: weights, buffers, gradients, modes; and the random numbers.

    Tensors are found wherever a module keeps them, also in lists, tuples and mappings that it does not register.
    """

    def __init__(self, *modules: nn.Module) -> None:
        self._modules = modules
        self._random = RandomState()
        tensors, parts = _inside(modules)
        self._modes = [(name, part, part.training) for name, part in parts.items()]
        self._tensors = {
            name: (tensor, tensor.detach().clone(), _gradient(tensor), tensor.requires_grad)
            for name, tensor in tensors.items()
        }

    def changed(self) -> str:
        """What differs now, as `torch's random state` or `buffer running_mean`; empty if nothing does."""
        moved = self._random.changed()
        if moved:
            return moved
        for name, part, training in self._modes:
            if part.training != training:
                return f"the mode of {name or type(part).__name__}"
        now, _ = _inside(self._modules)
        for name, (_, before, gradient, required) in self._tensors.items():
            if name not in now:
                continue
            if not _same(now[name].detach(), before):
                return name
            if not _same(_gradient(now[name]), gradient):
                return f"a gradient in {name}"
            if now[name].requires_grad != required:
                return f"whether {name} requires a gradient"
        return ""

    @torch.no_grad()
    def restore(self) -> None:
        """Put everything back, in place."""
        self._random.restore()
        for _, part, training in self._modes:
            part.training = training
        for tensor, before, gradient, required in self._tensors.values():
            if not _same(tensor.detach(), before):
                tensor.detach().copy_(before)
            if not _same(_gradient(tensor), gradient):
                tensor.grad = gradient
            if tensor.is_leaf and tensor.requires_grad != required:
                tensor.requires_grad_(required)


def _inside(modules: tuple[nn.Module, ...]) -> tuple[dict[str, Tensor], dict[str, nn.Module]]:
    tensors: dict[str, Tensor] = {}
    parts: dict[str, nn.Module] = {}
    seen: set[int] = set()

    def walk(thing: Any, kind: str, path: tuple[str, ...]) -> None:
        if isinstance(thing, Tensor):
            tensors.setdefault(f"{kind} {'.'.join(path)}", thing)
        elif isinstance(thing, (nn.Module, dict, list, tuple)) and id(thing) not in seen:
            seen.add(id(thing))
            if isinstance(thing, nn.Module):
                parts[".".join(path)] = thing
                thing = vars(thing)
            for key, value in thing.items() if isinstance(thing, dict) else enumerate(thing):
                inner = path if key in _PLACES else (*path, str(key))
                walk(value, _PLACES.get(str(key), kind), inner)

    for module in modules:
        walk(module, "tensor", (type(module).__name__,))
    return tensors, parts


def _gradient(tensor: Tensor) -> Tensor | None:
    found = tensor.grad if tensor.is_leaf else None
    return None if found is None else found.detach().clone()


def _same(now: Tensor | None, before: Tensor | None) -> bool:
    if now is None or before is None:
        return now is before
    if now.shape != before.shape or now.dtype != before.dtype or now.device != before.device:
        return False
    return torch.equal(now, before) or bool(((now == before) | (now.isnan() & before.isnan())).all())

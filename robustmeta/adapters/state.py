"""What somebody's adaptation made, whatever it is made of: its tensors, and the modules in it."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from robustmeta.errors import RobustMetaError


def mapped(change: Callable[[Tensor], Tensor], state: Any) -> Any:
    """The state with `change` of every tensor in it, and a reference to every module, which is left as it is.

    Tensors are found in tuples, lists, dicts, and in the attributes of plain objects, of which a copy is made.
    Raises `RobustMetaError` for a state that holds itself.
    """
    with _finite():
        return tree_map(lambda leaf: _mapped(change, leaf), state)


def modules_in(state: Any) -> list[nn.Module]:
    """The modules in a state, found where `mapped` finds tensors; raises as it does."""
    found: list[nn.Module] = []
    with _finite():
        for leaf in tree_leaves(state):
            if isinstance(leaf, nn.Module):
                found.append(leaf)
            elif _holds(leaf):
                found += modules_in(dict(vars(leaf)))
    return found


@contextmanager
def _finite() -> Iterator[None]:
    try:
        yield
    except RecursionError:
        raise RobustMetaError(
            "what adapt returned refers to itself, so that its tensors cannot be found; let it return a state without "
            "loops"
        ) from None


def _mapped(change: Callable[[Tensor], Tensor], leaf: Any) -> Any:
    if isinstance(leaf, Tensor):
        return change(leaf)
    if not _holds(leaf):
        return leaf
    made = copy.copy(leaf)
    vars(made).update(mapped(change, dict(vars(leaf))))
    return made


def _holds(leaf: Any) -> bool:
    """Whether a leaf is an object with attributes of its own, rather than a tensor, a module, a class or a function."""
    return hasattr(leaf, "__dict__") and not isinstance(leaf, Tensor | nn.Module | type) and not _function(leaf)


def _function(leaf: Any) -> bool:
    return callable(leaf) and (hasattr(leaf, "__code__") or hasattr(leaf, "__func__") or hasattr(leaf, "func"))

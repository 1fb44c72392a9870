"""What somebody's adaptation made, whatever it is made of: its tensors, and the modules in it."""

import copy
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map


def mapped(change: Callable[[Tensor], Tensor], state: Any) -> Any:
    """The state with `change` of every tensor in it, and a reference to every module, which is left as it is.

    Tensors are found in tuples, lists, dicts, and in the attributes of plain objects, of which a copy is made.
    """
    return tree_map(lambda leaf: _mapped(change, leaf), state)


def modules_in(state: Any) -> list[nn.Module]:
    """The modules in a state, found where `mapped` finds tensors."""
    found: list[nn.Module] = []
    for leaf in tree_leaves(state):
        if isinstance(leaf, nn.Module):
            found.append(leaf)
        elif _holds(leaf):
            found += modules_in(dict(vars(leaf)))
    return found


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

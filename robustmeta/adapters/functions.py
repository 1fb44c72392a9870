"""A learner of two plain functions."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from torch import Tensor, nn

from robustmeta.adapters.taskwise import TaskwiseLearner
from robustmeta.errors import RobustMetaError


class Functions(TaskwiseLearner):
    """Two plain functions of one task each, as a learner.

    adapt: support `[N, C, H, W]` and labels `[N]` to a state of any kind: tensors, modules, numbers, and tuples, lists,
    dicts or plain objects of them. logits: that state and queries `[Q, C, H, W]` to logits `[Q, ways]`.
    module: what holds the parameters, so that they train and its modes and buffers are looked after; by default the
    modules that the functions see: those they are methods of, or that the object has whose methods they are, that they
    close over, or name among their globals.

    While the functions run, `module` may hold copies of its weights and buffers: they are to read them from it each
    time, not to keep them elsewhere. Queries move no buffer, so that the running statistics of BatchNorm come from the
    supports alone.

    Raises `RobustMetaError` for what cannot be called, for a module that is none, and as `TaskwiseLearner` does.
    """

    def __init__(
        self,
        adapt: Callable[[Tensor, Tensor], Any],
        logits: Callable[[Any, Tensor], Tensor],
        module: nn.Module | None = None,
    ) -> None:
        super().__init__()
        for name, function, takes in (("adapt", adapt, "support_x, support_y"), ("logits", logits, "state, query_x")):
            if not callable(function):
                raise RobustMetaError(f"{name} is {function!r}; it must be a function of ({takes})")
        if module is not None and not isinstance(module, nn.Module):
            raise RobustMetaError(f"module is a {type(module).__name__}; it must be the nn.Module with the parameters")
        self.module = nn.ModuleList(modules_seen(adapt, logits)) if module is None else module
        self._functions = adapt, logits

    def adapt_one(self, support_x: Tensor, support_y: Tensor) -> Any:
        """What `adapt` returns for a support `[N, C, H, W]` with labels `[N]`."""
        return self._functions[0](support_x, support_y)

    def logits_one(self, state: Any, query_x: Tensor) -> Tensor:
        """What `logits` returns for queries `[Q, C, H, W]`."""
        return self._functions[1](state, query_x)

    def __deepcopy__(self, memo: dict[int, Any]) -> NoReturn:
        raise RobustMetaError(
            "a learner of plain functions cannot be copied, as its functions would go on with the first one's "
            "parameters; train it with workers=1, or write it as a robustmeta.Learner"
        )


def modules_seen(*functions: Callable[..., Any]) -> list[nn.Module]:
    """The modules that functions are methods of, close over, have among their arguments, or name as globals."""
    found: dict[int, nn.Module] = {}
    for function in functions:
        for thing in _seen(function):
            if isinstance(thing, nn.Module):
                found[id(thing)] = thing
    return list(found.values())


def _seen(function: Any) -> list[Any]:
    if isinstance(function, partial):
        return [*_seen(function.func), *function.args, *function.keywords.values()]
    of = getattr(function, "__self__", None)
    things = [function, of, *([] if isinstance(of, nn.Module) else getattr(of, "__dict__", {}).values())]
    if inspect.isfunction(function) or inspect.ismethod(function):
        scope = inspect.getclosurevars(function)
        things += [*scope.nonlocals.values(), *scope.globals.values(), *(function.__defaults__ or ())]
    return things

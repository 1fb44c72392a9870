"""Which adapter fits what somebody has."""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn

from robustmeta.adapters.easyfsl import EasyFSL
from robustmeta.adapters.functions import Functions
from robustmeta.adapters.iteryne import Iteryne
from robustmeta.adapters.learn2learn import Learn2Learn
from robustmeta.adapters.linear_head import LinearHeadModule
from robustmeta.adapters.torchopt import TorchOpt
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import Learner

BY_DUCK_TYPE = (EasyFSL, Learn2Learn, Iteryne, LinearHeadModule)
"""In the order in which they are tried; a network with `inner` is `TorchOpt`'s before them."""


def learner_maker(
    learner: object,
    adapt: Callable[[Tensor, Tensor], Any] | None,
    logits: Callable[[Any, Tensor], Tensor] | None,
    module: nn.Module | None,
    inner: bool,
) -> partial[Learner]:
    """What makes a learner of what `robustify` is given, and takes the settings of the adapter.

    inner: whether an `inner=` is among them. Raises `RobustMetaError` where neither a learner nor both functions are
    given, or no adapter fits.
    """
    if learner is not None:
        if adapt is not None or logits is not None or module is not None:
            raise RobustMetaError(
                "robustify was given a learner and functions; give one, or adapt=, logits= and module="
            )
        return (
            partial(_as_it_is, learner) if isinstance(learner, Learner) else partial(_adapter(learner, inner), learner)
        )
    if adapt is None or logits is None:
        missing = "adapt" if adapt is None else "logits"
        if adapt is logits is module:
            missing = "learner"
        what = {
            "learner": "a learner, a model, or adapt= and logits= functions",
            "adapt": "adapt=, a function of (support_x, support_y) that returns the state logits= takes",
            "logits": "logits=, a function of (state, query_x) that returns logits [Q, ways]",
        }
        raise RobustMetaError(f"robustify needs {what[missing]}")
    functions: Callable[..., Learner] = Functions
    return partial(functions, adapt, logits, module)


def _as_it_is(learner: Learner) -> Learner:
    return learner


def _adapter(model: object, inner: bool) -> Callable[..., Learner]:
    """The first adapter that fits a model."""
    if isinstance(model, nn.Module) and inner:
        return TorchOpt
    adapter = next((each for each in BY_DUCK_TYPE if each.fits(model)), None)
    if adapter is None:
        looked = ", ".join(each.looks_for for each in (*BY_DUCK_TYPE, TorchOpt))
        raise RobustMetaError(
            f"robustify found no way into a {type(model).__name__}: it looked for a robustmeta.Learner, {looked}; give "
            "adapt= and logits= functions instead"
        )
    return adapter

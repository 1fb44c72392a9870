"""Robust training around what somebody already has: a learner, a model, or two plain functions."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from robustmeta.adapters import EasyFSL, Functions, Iteryne, Learn2Learn, LinearHeadModule, TorchOpt
from robustmeta.attacks.base import Attack, Threat
from robustmeta.attacks.in_training import training_attack
from robustmeta.defenses import DEFENSES
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import Learner
from robustmeta.marked_yaml import Path
from robustmeta.schema import Source, arguments, unknown_key

BY_DUCK_TYPE = (EasyFSL, Learn2Learn, Iteryne, LinearHeadModule)
"""In the order in which they are tried; a network with `inner` is `TorchOpt`'s before them."""


def robustify(
    learner: object = None,
    *,
    adapt: Callable[[Tensor, Tensor], Any] | None = None,
    logits: Callable[[Any, Tensor], Tensor] | None = None,
    module: nn.Module | None = None,
    defense: str = "aq",
    attack: str | Attack | None = "pgd-7",
    eps: float = 0.1,
    norm: str = "Linf",
    **settings: Any,
) -> Learner:
    """A defense around a learner, around somebody's model, or around two plain functions.

    In an existing loop `loss = robust.loss(batch)` then stands where the loss was, for an `EpisodeBatch`; and
    `robustmeta.evaluate(robust, ...)` attacks what it adapts.

    learner: a `Learner`; or a model that one of `robustmeta.adapters` fits: easyfsl's `process_support_set`,
    learn2learn's `clone` and `adapt`, iteryne's MAML, a network with `inner=` an optimizer of TorchOpt, or a network
    that ends in a linear layer.
    adapt, logits, module: two functions of one task each, in the place of a learner (`robustmeta.adapters.Functions`).
    defense: a name in `DEFENSES`. attack: the name of a card that is safe in training, or an attack of your own, which
    brings its threat; of no meaning to a defense that takes none. eps, norm: the threat of a card.
    settings: those of the adapter, as `steps=5`, and of the defense, as `ramp=0.3`.

    Raises `RobustMetaError` where neither a learner nor both functions are given, or no adapter fits; for an unknown
    defense or attack, an attack that is not safe in training, and an unknown setting.
    """
    made, rest = _learner(learner, adapt, logits, module, defense, settings)
    entry = DEFENSES[defense]
    takes = inspect.signature(entry).parameters
    threat = Threat(norm, eps)
    given: dict[str, Any] = {"learner": made, "threat": threat}
    if "attack" in takes and attack is not None:
        given["attack"] = training_attack(attack, threat)
    given = {name: value for name, value in given.items() if name in takes}
    return entry(**arguments(entry, rest, _Call(), (), given), **given)


def _learner(
    learner: object,
    adapt: Callable[[Tensor, Tensor], Any] | None,
    logits: Callable[[Any, Tensor], Tensor] | None,
    module: nn.Module | None,
    defense: str,
    settings: Mapping[str, Any],
) -> tuple[Learner, dict[str, Any]]:
    """What is given as a learner, and the settings it has not taken."""
    if learner is not None:
        if adapt is not None or logits is not None or module is not None:
            raise RobustMetaError(
                "robustify was given a learner and functions; give one, or adapt=, logits= and module="
            )
        return (learner, dict(settings)) if isinstance(learner, Learner) else _adapted(learner, defense, settings)
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
    return Functions(adapt, logits, module), dict(settings)


def _adapted(model: object, defense: str, settings: Mapping[str, Any]) -> tuple[Learner, dict[str, Any]]:
    """The first adapter that fits a model around it, with those of the settings that it takes; and the others."""
    adapter: Any = next((each for each in BY_DUCK_TYPE if each.fits(model)), None)
    if isinstance(model, nn.Module) and "inner" in settings:
        adapter = TorchOpt
    if adapter is None:
        looked = ", ".join(each.looks_for for each in (*BY_DUCK_TYPE, TorchOpt))
        raise RobustMetaError(
            f"robustify found no way into a {type(model).__name__}: it looked for a robustmeta.Learner, {looked}; give "
            "adapt= and logits= functions instead"
        )
    takes = list(inspect.signature(adapter).parameters)[1:]
    known = [*takes, *(name for name in inspect.signature(DEFENSES[defense]).parameters if name not in GIVEN)]
    for name in settings:
        if name not in known:
            raise RobustMetaError(f"robustify: {name} {unknown_key(name, known)}")
        if known.count(name) > 1:
            raise RobustMetaError(
                f"{name} is a setting of both {adapter.__name__} and the defense {defense!r}; "
                f"use robustify(robustmeta.adapters.{adapter.__name__}(model, {name}=...), {name}=...)"
            )
    own = {name: value for name, value in settings.items() if name in takes}
    return adapter(model, **own), {name: value for name, value in settings.items() if name not in takes}


GIVEN = ("learner", "attack", "threat")


class _Call(Source):
    """The keywords of a call to `robustify`, which stand on no line of a file."""

    def __init__(self) -> None:
        super().__init__("robustify", {})

    def error(self, path: Path, problem: str) -> RobustMetaError:
        """The error for a problem with a keyword: `robustify: keyword: problem`."""
        return RobustMetaError(": ".join([self.name, *path, problem]))

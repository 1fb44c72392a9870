"""Robust training around what somebody already has: a learner, a model, or two plain functions."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from robustmeta.adapters.choice import learner_maker
from robustmeta.attacks.base import Attack, Threat
from robustmeta.attacks.in_training import training_attack
from robustmeta.component import component
from robustmeta.defenses import DEFENSES
from robustmeta.defenses.base import has_objective
from robustmeta.learners.base import Learner
from robustmeta.marked_yaml import Path
from robustmeta.schema import Source, convert, guarded, unknown_key

CALL = Source("robustify", {})


def robustify(
    learner: object = None,
    *,
    adapt: Callable[[Tensor, Tensor], Any] | None = None,
    logits: Callable[[Any, Tensor], Tensor] | None = None,
    module: nn.Module | None = None,
    defense: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = "aq",
    attack: str | Attack | None = None,
    eps: float | str | None = None,
    norm: str | None = None,
    **settings: Any,
) -> Learner:
    """A defense around a learner, around somebody's model, or around two plain functions.

    In an existing loop `loss = robust.loss(batch)` then stands where the loss was, for an `EpisodeBatch`; and
    `robustmeta.evaluate(robust, ...)` attacks what it adapts.

    learner: a `Learner`; or a model that one of `robustmeta.adapters` fits: easyfsl's `process_support_set`,
    learn2learn's `clone` and `adapt`, iteryne's MAML, a network with `inner=` an optimizer of TorchOpt, or a network
    that ends in a linear layer.
    adapt, logits, module: two functions of one task each, in the place of a learner (`robustmeta.adapters.Functions`).
    defense: a name in `DEFENSES`; or as recipes have it, a mapping of a name, its attack and its settings, or a list of
    names and mappings, the first innermost: `[{"name": "its", "shots": 3}, {"name": "aq", "attack": "pgd-3"}, "awp"]`.
    attack: the name of a card that is safe in training, or an attack of your own, which brings its threat; by default
    `pgd-7` where a defense asks for one and has none inside it. eps, norm: the threat of a card, by default 0.1 and
    Linf; eps may be text, as `8/255`.
    settings: those of the adapter, as `steps=5`, and of a defense that is a name, as `ramp=0.3`.

    Raises `RobustMetaError` where neither a learner nor both functions are given, or no adapter fits; for an unknown
    defense or attack, an attack that is not safe in training or that the defense does not take, a threat beside an
    attack that brings its own, and an unknown setting.
    """
    make = learner_maker(learner, adapt, logits, module, "inner" in settings)
    defenses = _listed(defense)
    if not isinstance(defense, str) and attack is not None:
        raise CALL.error(("attack",), "stands beside its name in defense, as {'name': 'aq', 'attack': 'pgd-3'}")
    own = _parameters(defense) if isinstance(defense, str) else {}
    taken = _shared_out(settings, make, own)
    made = make(**{name: value for name, value in settings.items() if name in taken})
    rest = {name: value for name, value in settings.items() if name not in taken}
    if isinstance(defense, str):
        defenses = [{"name": defense, **rest, **({} if attack is None else {"attack": attack})}]
    size = 0.1 if eps is None else convert(float, eps, CALL, ("eps",))
    threat = guarded(lambda: Threat(norm or "Linf", size), CALL, ())
    at: Path = () if isinstance(defense, str) else ("defense",)
    under_it = False
    for place, each in enumerate(defenses):
        each = {**_default_attack(each["name"], made), **each}
        under_it |= isinstance(each.get("attack"), str) or "threat" in _parameters(each["name"])
        made = defended(made, each, threat, CALL, at if isinstance(defense, str | Mapping) else (*at, str(place)))
    if not under_it and (eps, norm) != (None, None):
        name, value = ("norm", norm) if eps is None else ("eps", eps)
        brings = [each["attack"].threat for each in defenses if "attack" in each]
        why = f"the attack brings its own, {brings[0]}" if brings else "no attack is made under it here"
        raise CALL.error((name,), f"is {value!r}, and {why}; leave it out")
    return made


def defended(learner: Learner, settings: Mapping[str, Any], threat: Threat, source: Source, path: Path) -> Learner:
    """A defense around a learner, as a recipe writes it: its `name`, its `attack` and its other settings.

    attack: the name of a card, made under `threat`, or an attack. Raises `RobustMetaError`, with the line of `path`,
    for an unknown name, attack or setting, and what the defense refuses.
    """
    others = {key: value for key, value in settings.items() if key != "attack"}
    given: dict[str, Any] = {"learner": learner, "threat": threat}
    if "attack" in settings:
        attack, at, name = settings["attack"], (*path, "attack"), str(settings.get("name"))
        if name in DEFENSES and "attack" not in _parameters(name):
            raise source.error(at, f"is of no use to {name}, which takes none; leave it out")
        if not isinstance(attack, str) and not callable(attack):
            raise source.error(at, f"is {attack!r}; it must be the name of an attack, as pgd-7")
        given["attack"] = guarded(partial(training_attack, attack, threat), source, at)
    made: Learner = component(DEFENSES, others, source, path, **given)
    return made


def _listed(defense: object) -> list[dict[str, Any]]:
    """The defenses as mappings, from the innermost outwards."""
    several = [defense] if isinstance(defense, str | Mapping) else defense
    if not isinstance(several, Sequence) or not several:
        raise CALL.error(("defense",), f"is {defense!r}; it must be a name, a mapping with a name, or a list of these")
    listed = [{"name": each} if isinstance(each, str) else each for each in several]
    for each in listed:
        if not isinstance(each, Mapping) or not isinstance(each.get("name"), str):
            raise CALL.error(
                ("defense",), f"has {each!r}; it must be a name, or a mapping with a name, as {{'name': 'aq'}}"
            )
    return [dict(each) for each in listed]


def _shared_out(settings: Iterable[str], make: partial[Learner], own: Mapping[str, Any]) -> list[str]:
    """Those of the settings that the adapter takes; the others are among the defense's `own`."""
    takes = list(inspect.signature(make).parameters)
    more = [name for name in own if name not in ("learner", "attack", "threat")]
    threat = [] if own and not {"attack", "threat"} & {*own} else ["eps", "norm"]
    known = [*takes, *more, "defense", *(["attack"] if "attack" in own else []), *threat]
    for name in settings:
        if name not in takes and name not in more:
            raise CALL.error((name,), unknown_key(name, known))
        if name in takes and name in more:
            adapter = make.func.__name__
            raise CALL.error(
                (name,),
                f"is a setting of both {adapter} and the defense; use "
                f"robustify(robustmeta.adapters.{adapter}(model, {name}=...), {name}=...)",
            )
    return takes


def _default_attack(name: str, learner: Learner) -> dict[str, str]:
    """PGD-7, where a defense must have an attack, or may and finds none inside it."""
    attack = _parameters(name).get("attack")
    if attack is None or (attack.default is not attack.empty and has_objective(learner)):
        return {}
    return {"attack": "pgd-7"}


def _parameters(defense: str) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(DEFENSES[defense]).parameters

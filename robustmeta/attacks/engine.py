"""The engines that attack cards name: builders of attacks, filed by the name a card's `engine` gives."""

from collections.abc import Callable
from functools import partial

from robustmeta.attacks.base import Attack
from robustmeta.registry import Registry

ENGINES: Registry[Callable[..., Attack]] = Registry("attack engine")
"""Builders `(threat, *, <the card's parameters>) -> Attack`.

The parameters of a card are checked against the builder's annotations, but for `threat` and `twin`, which are given; a
builder that takes any (`**parameters`) checks them itself. One that takes `twin` is handed the undefended learner
that the attack may use in the place of the one under attack.
"""

_FAMILY = "torchattacks"


def builder(engine: str) -> Callable[..., Attack]:
    """The builder of an engine's name, where `torchattacks.APGD` is that class through the adapter.

    Raises `RobustMetaError` for an unknown name.
    """
    family, _, method = engine.partition(".")
    if family == _FAMILY and method:
        return partial(ENGINES[f"{_FAMILY}.<Class>"], method=method)
    return ENGINES[engine]

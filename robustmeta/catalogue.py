"""What recipes can name, with one line on each."""

import inspect
from typing import Any

from robustmeta.attacks.card import card, names, suite, suites
from robustmeta.attacks.torchattacks_classes import reasons
from robustmeta.backbones import BACKBONES
from robustmeta.data import DATASETS
from robustmeta.defenses import DEFENSES
from robustmeta.learners import LEARNERS
from robustmeta.recipe_file import find, shipped
from robustmeta.registry import Registry
from robustmeta.zoo import models, standing


def catalogue(what: str) -> list[tuple[str, str]]:
    """Names and one-line descriptions of `learners | defenses | attacks | datasets | backbones | recipes | models`."""
    if what == "attacks":
        listed = [(name, card(name).summary) for name in names()]
        return listed + [(f"{name} (suite)", ", ".join(suite(name).cards)) for name in suites()]
    if what == "models":
        return [(name, standing(name)) for name in models()]
    if what == "recipes":
        return [(name, find(name)[0].summary) for name in shipped()]
    registries: dict[str, Registry[Any]] = {
        "learners": LEARNERS, "defenses": DEFENSES, "datasets": DATASETS, "backbones": BACKBONES,
    }  # fmt: skip
    registry = registries[what]
    return [(name, first_line(registry[name])) for name in registry]


def catalogue_all_attacks() -> list[tuple[str, str]]:
    """What `catalogue("attacks")` lists, and each class of torchattacks: the cards that reach it, or why it is refused.

    Of another version of torchattacks, a class without a card is reached by one of your own if it has an eps.
    """
    reached: dict[str, list[str]] = {}
    for name in names():
        reached.setdefault(card(name).engine, []).append(name)
    engines = {f"torchattacks.{method}": refused for method, refused in reasons().items()}
    return catalogue("attacks") + [
        (engine, f"refused: it {refused}" if refused else f"card {', '.join(reached.get(engine, ['of your own']))}")
        for engine, refused in engines.items()
    ]


def first_line(entry: object) -> str:
    """The first line of an object's docstring."""
    return (inspect.getdoc(entry) or "").partition("\n")[0]

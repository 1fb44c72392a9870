"""What recipes can name, with one line on each."""

import inspect
from importlib.resources import files

from robustmeta.attacks.card import card, names, suites
from robustmeta.backbones import BACKBONES
from robustmeta.data import DATASETS
from robustmeta.defenses import DEFENSES
from robustmeta.learners import LEARNERS
from robustmeta.registry import Registry


def catalogue(what: str) -> list[tuple[str, str]]:
    """Names and one-line descriptions of `learners | defenses | attacks | datasets | backbones | recipes`."""
    if what == "attacks":
        return [(name, card(name).summary) for name in names()] + [(f"{s} (suite)", line) for s, line in suites()]
    if what == "recipes":
        found = (item.name for item in files("robustmeta.recipes").iterdir() if item.name.endswith(".yaml"))
        return [(name.removesuffix(".yaml"), "") for name in sorted(found)]
    registry: Registry = {
        "learners": LEARNERS, "defenses": DEFENSES, "datasets": DATASETS, "backbones": BACKBONES,
    }[what]  # fmt: skip
    return [(name, first_line(registry[name])) for name in registry]


def first_line(entry: object) -> str:
    """The first line of an object's docstring."""
    return (inspect.getdoc(entry) or "").partition("\n")[0]

"""The files of attack cards and suites: those that ship, and a user's own; what keys they hold."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from robustmeta.attacks.base import NORMS
from robustmeta.errors import RobustMetaError, unknown
from robustmeta.marked_yaml import load_marked
from robustmeta.schema import Source, make

SUITE = "suite-"
"""What the names of the files of suites begin with."""


@dataclass(frozen=True)
class Citation:
    """Where an attack comes from."""

    authors: str
    year: int
    title: str


@dataclass(frozen=True)
class CardFile:
    """The keys of a card; `Card` says what they mean."""

    name: str
    engine: str
    version: int
    norm: tuple[str, ...]
    parameters: dict[str, Any] = field(hash=False)
    target: str
    knowledge: str
    fewest_ways: int
    safe_in_training: bool
    source: Citation
    stand_in: str | None = None
    channels: int | None = None


_RULES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "version": ("1 or more", lambda value: value >= 1),
    "norm": (f"a list of {' and '.join(NORMS)}", lambda value: len(value) > 0 and set(value) <= set(NORMS)),
    "target": ("query, support or joint", lambda value: value in ("query", "support", "joint")),
    "knowledge": (
        "white-box, black-box or transfer",
        lambda value: value in ("white-box", "black-box", "transfer"),
    ),
    "fewest_ways": ("2 or more", lambda value: value >= 2),
    "channels": ("1 or 3", lambda value: value in (None, 1, 3)),
}


def keys_of_card(data: object, file: Source) -> CardFile:
    """The keys of a card, checked, but for the parameters, which are the engine's to judge.

    Raises `RobustMetaError` with the line for a key that is missing, unknown or of a wrong value, a name that is not
    the file's, and a budget, which is the recipe's.
    """
    for path, keys in ((), data), (("parameters",), isinstance(data, Mapping) and data.get("parameters")):
        for key in ("eps", "max_epsilon"):
            if isinstance(keys, Mapping) and key in keys:
                problem = "a card has no budget: the recipe's threat gives eps, in [0, 1] pixel units; leave it out"
                raise file.error((*path, key), problem)
    keys = make(CardFile, data, file)
    for key, (wanted, right) in _RULES.items():
        if not right(value := getattr(keys, key)):
            shown = list(value) if isinstance(value, tuple) else value
            raise file.error((key,), f"is {shown!r}; it must be {wanted}")
    if keys.name != (stem := Path(file.name).stem):
        raise file.error(("name",), f"is {keys.name!r} in a file named {stem!r}; call both the same")
    return keys


def shipped() -> list[str]:
    """The names of the files that ship, without their ending."""
    files = resources.files("robustmeta.attacks.cards").iterdir()
    return sorted(Path(file.name).stem for file in files if file.name.endswith(".yaml"))


def is_path(name: str) -> bool:
    """Whether a name is the path of a user's own file."""
    return name.endswith((".yaml", ".yml"))


def read(name: str, known: Sequence[str]) -> tuple[object, Source]:
    """The data of a file that ships, by its name, or of a user's own, by its path.

    Raises `RobustMetaError` for a name that is not among the `known`, a file that cannot be read, and malformed YAML.
    """
    where = name if is_path(name) else f"attacks/{name}.yaml"
    if is_path(name):
        try:
            text = Path(name).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            problem = f"cannot read the attack card {name}: {why}; give the path of a YAML file"
            raise RobustMetaError(problem) from error
    elif name in known:
        text = (resources.files("robustmeta.attacks.cards") / f"{name}.yaml").read_text("utf-8")
    else:
        raise unknown("attack", name, known)
    data, lines = load_marked(text, where)
    return data, Source(where, lines)


def is_suite(data: object) -> bool:
    """Whether the data of a file is a suite's and not a card's."""
    return isinstance(data, Mapping) and "cards" in data

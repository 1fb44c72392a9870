"""Attack cards: what an attack's name means, in a versioned YAML file with its source; and suites of them."""

import hashlib
import inspect
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from robustmeta.attacks import apgd, noise, projected_gradient, square, torchattacks_adapter  # noqa: F401 - engines
from robustmeta.attacks.base import Attack, Threat, traits_of
from robustmeta.attacks.card_file import SUITE, CardFile, is_path, is_suite, keys_of_card, read, shipped
from robustmeta.attacks.engine import builder
from robustmeta.errors import RobustMetaError, unknown
from robustmeta.schema import Source, arguments, guarded, make


@dataclass(frozen=True)
class Card(CardFile):
    """An attack as a row of a result table names it, without its budget, which is the recipe's.

    name, version: what a table prints; a changed card gets a new version. engine: a name in `ENGINES`, as
    `projected_gradient`, or `torchattacks.<Class>`. norm: the norms it can keep to. parameters: the engine's. target:
    what it moves, `query`, `support` or `joint` (both). knowledge: `white-box`, `black-box` or `transfer`. fewest_ways:
    of the tasks it can attack. safe_in_training: whether it may craft the queries of adversarial training. source:
    authors, year, title. stand_in: the card that takes its place where norm, ways or channels do not fit. channels:
    of the images it can attack; None where any will do. file: where it was read, for errors.
    """

    file: Source = field(default=Source("", {}), compare=False, repr=False)

    @property
    def hash(self) -> str:
        """The first 12 hexadecimal digits of the SHA-256 of the card's content, whatever its layout."""
        content = {key: getattr(self, key) for key in CardFile.__dataclass_fields__}
        content["source"] = asdict(self.source)
        if self.channels is None:  # the hash of a card that does not speak of channels is that of before they were
            del content["channels"]
        return _digest(content)

    @property
    def summary(self) -> str:
        """Engine, steps or queries, knowledge and source, in a line for a list."""
        settings = ", ".join(f"{name} {value}" for name, value in self.parameters.items())
        target = "" if self.target == "query" else f"{self.target}, "
        how = f" ({settings})" if settings else ""
        return f"{self.engine}{how}; {target}{self.knowledge}; {self.source.authors} {self.source.year}"

    def build(self, threat: Threat, twin: Any = None) -> Attack:
        """The attack inside `threat`, handed the undefended `twin` learner where its engine takes one.

        Raises `RobustMetaError` for a norm it cannot have, and, with file and line, for parameters it cannot have.
        """
        if threat.norm not in self.norm:
            raise RobustMetaError(f"the attack {self.name!r} is for {' and '.join(self.norm)}, not for {threat.norm}")
        make_attack = builder(self.engine)
        given = {"twin": twin} if "twin" in inspect.signature(make_attack).parameters else {}
        try:
            attack = make_attack(threat, **self.parameters, **given)
        except RobustMetaError as error:
            raise self.file.error(self._blamed(str(error)), str(error)) from error
        for key, engines in (("target", traits_of(attack).target), ("knowledge", traits_of(attack).knowledge)):
            if getattr(self, key) != engines:
                raise self.file.error((key,), f"is {getattr(self, key)}; the engine {self.engine} is {engines}")
        if self.safe_in_training and (self.target, self.knowledge) != ("query", "white-box"):
            raise self.file.error(("safe_in_training",), "is true; only a white-box attack on queries is safe")
        ways, channels = getattr(attack, "fewest_ways", 2), getattr(attack, "channels", None)
        if self.fewest_ways < ways:
            raise self.file.error(("fewest_ways",), f"is {self.fewest_ways}; these parameters need {ways} or more")
        if channels not in (None, self.channels):
            raise self.file.error(("engine",), f"works on images of {channels} channels only; say channels: {channels}")
        return attack

    def fit(self, norm: str, ways: int, channels: int | None = None) -> "Card":
        """The card itself if it can attack tasks of `ways` classes under `norm`, else the one that stands in for it.

        channels: of the images; None where they are not known. Raises `RobustMetaError` where none does.
        """
        sees = channels is None or self.channels in (None, channels)
        if norm in self.norm and ways >= self.fewest_ways and sees:
            return self
        if self.stand_in is None:
            for_images, of_images = (
                ("", "") if sees else (f", {self.channels} channels", f", {channels} channel{'s' * (channels != 1)}")
            )
            raise RobustMetaError(
                f"the attack {self.name!r} is for {' and '.join(self.norm)}{for_images} and {self.fewest_ways} ways or "
                f"more, not for {norm}{of_images} and {ways} ways; leave it out, or give its card a stand_in"
            )
        return card(self.stand_in).fit(norm, ways, channels)

    def _blamed(self, message: str) -> tuple[str, ...]:
        """The key that an engine's message is about: the first parameter it names, or all of them, or the engine."""
        words = re.findall(r"\w+", message)
        named = next((word for word in words if word in self.parameters), None)
        if named:
            return "parameters", named
        return ("parameters",) if {"parameter", "parameters", "step"} & {*words} else ("engine",)


@dataclass(frozen=True)
class Suite:
    """Cards that are run together.

    cards: their names, or paths to a user's own. survivors_only: each attack is run only on the queries that all
    before it left standing (not on transductive learners, whose queries depend on each other).
    """

    name: str
    version: int
    purpose: str
    cards: tuple[str, ...]
    survivors_only: bool = False

    @property
    def hash(self) -> str:
        """The first 12 hexadecimal digits of the SHA-256 of the suite's content and of its cards' hashes."""
        return _digest({**asdict(self), "cards": [(made.name, made.hash) for made in map(card, self.cards)]})


def names() -> tuple[str, ...]:
    """The names of the cards that ship."""
    return tuple(name for name in shipped() if not name.startswith(SUITE))


def suites() -> tuple[str, ...]:
    """The names of the suites that ship."""
    return tuple(name.removeprefix(SUITE) for name in shipped() if name.startswith(SUITE))


def card(name_or_path: str) -> Card:
    """The card of a shipped name, or of a user's own `.yaml` file.

    Raises `RobustMetaError` for an unknown name (with the nearest), an unreadable file, and, with file and line, for
    malformed YAML, keys that are missing, unknown or of the wrong type, and an `eps`, which is the recipe's. Values
    that the engine alone can judge are judged by `build`, with file and line too.
    """
    data, file = read(name_or_path, names())
    keys = keys_of_card(data, file)
    make_attack = guarded(lambda: builder(keys.engine), file, ("engine",))
    takes = inspect.signature(make_attack).parameters.values()
    parameters = keys.parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in takes):
        parameters = arguments(make_attack, parameters, file, ("parameters",), given=("threat", "twin"))
    return Card(**{**vars(keys), "parameters": parameters}, file=file)


def suite(name_or_path: str) -> Suite:
    """The suite of a shipped name, or of a user's own `.yaml` file, whose paths to cards start from its folder.

    Raises `RobustMetaError` as `card` does, and for a suite that takes the name of a different one that ships.
    """
    if not is_path(name_or_path) and name_or_path not in suites():
        raise unknown("attack suite", name_or_path, suites())
    data, file = read(name_or_path if is_path(name_or_path) else SUITE + name_or_path, shipped())
    made = make(Suite, data, file)
    if not made.cards:
        raise file.error(("cards",), "is empty; name at least one card")
    for place, name in enumerate(made.cards):
        if not is_path(name) and name not in names():
            raise file.error(("cards", str(place)), str(unknown("attack", name, names())))
    stem = Path(file.name).stem.removeprefix(SUITE)
    if made.name != stem:
        raise file.error(("name",), f"is {made.name!r} in a file named {stem!r}; call both the same")
    folder = Path(file.name).parent
    made = replace(made, cards=tuple(str(folder / name) if is_path(name) else name for name in made.cards))
    if is_path(name_or_path) and made.name in suites() and made != suite(made.name):
        raise file.error(("name",), f"a different suite named {made.name!r} ships; rename this one")
    return made


def suite_of(spec: str | Sequence[str]) -> Suite | None:
    """The suite that a spec, as `resolve` takes it, names and nothing else; None where there is none such."""
    items = [spec] if isinstance(spec, str) else list(spec)
    if len(items) != 1 or not isinstance(items[0], str):
        return None
    return suite(items[0]) if items[0] in suites() or (is_path(items[0]) and is_suite(read(items[0], ())[0])) else None


def resolve(spec: str | Sequence[str]) -> tuple[Card, ...]:
    """The cards of a suite, a card's name, a path to a user's own card or suite, or a list of these; each card once.

    Raises `RobustMetaError` as `card` and `suite` do, for an empty list, and for two different cards of one name.
    """
    found: dict[str, Card] = {}
    for item in [spec] if isinstance(spec, str) else spec:
        if not isinstance(item, str):
            raise RobustMetaError(f"an attack is given as {item!r}; it must be a suite, a card's name or a path")
        if not is_path(item) and item not in {*names(), *suites()}:
            raise unknown("attack or suite", item, {*names(), *suites()})
        whole = suite_of(item)
        for made in map(card, whole.cards if whole else [item]):
            if found.setdefault(made.name, made) != made:
                raise made.file.error(("name",), f"there is another card named {made.name!r}; rename this one")
    if not found:
        raise RobustMetaError("no attacks are given; name a suite, as 'quick', or at least one card")
    return tuple(found.values())


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]

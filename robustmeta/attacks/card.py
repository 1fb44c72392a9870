"""Attack cards: what an attack's name means, in a versioned YAML file with its source."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any

from robustmeta.attacks.base import Attack, Threat
from robustmeta.attacks.card_schema import CARD, PROJECTED_GRADIENT, SOURCE, SUITE, checked
from robustmeta.attacks.projected_gradient import ProjectedGradient
from robustmeta.attacks.torchattacks_adapter import TorchAttack
from robustmeta.errors import RobustMetaError, unknown
from robustmeta.marked_yaml import load_marked, located

_PREFIX = "suite-"


@dataclass(frozen=True)
class Card:
    """An attack as a row of a result table names it, without its budget, which is the recipe's.

    name, version: what a table prints; a changed card gets a new version. engine: `projected_gradient` or
    `torchattacks.<Class>`. norm: the norms it can keep to. parameters: the engine's. target: `query`, the images
    it moves. knowledge: `white-box` or `black-box`. fewest_ways: of the tasks it can attack. safe_in_training:
    whether it may craft the queries of adversarial training. source: authors, year, title. stand_in: the
    card that takes its place where norm or ways do not fit. origin: file and line of the parameters.
    """

    name: str
    engine: str
    version: int
    norm: tuple[str, ...]
    parameters: Mapping[str, Any] = field(hash=False)
    target: str
    knowledge: str
    fewest_ways: int
    safe_in_training: bool
    source: Mapping[str, Any] = field(hash=False)
    stand_in: str | None = None
    origin: tuple[str, int] = field(default=("", 1), compare=False, repr=False)

    @property
    def hash(self) -> str:
        """The first 12 hexadecimal digits of the SHA-256 of the card's content, whatever its layout."""
        content = {part.name: getattr(self, part.name) for part in fields(self) if part.compare}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def summary(self) -> str:
        """Engine, steps or queries, knowledge and source, in a line for a list."""
        settings = ", ".join(f"{name} {value}" for name, value in self.parameters.items())
        return f"{self.engine} ({settings}); {self.knowledge}; {self.source['authors']} {self.source['year']}"

    def build(self, threat: Threat) -> Attack:
        """The attack inside `threat`; raises `RobustMetaError` for a norm or parameters it cannot have."""
        if threat.norm not in self.norm:
            raise RobustMetaError(f"the attack {self.name!r} is for {' and '.join(self.norm)}, not for {threat.norm}")
        if self.engine == "projected_gradient":
            settings = dict(self.parameters)
            ratio = settings.pop("step_size_over_eps", None)
            return ProjectedGradient(threat, step_size=None if ratio is None else ratio * threat.eps, **settings)
        try:
            attack = TorchAttack(self.engine.removeprefix("torchattacks."), threat, self.parameters)
        except RobustMetaError as error:
            raise located(*self.origin, str(error)) from error
        if self.fewest_ways < attack.fewest_ways:
            problem = f"fewest_ways is {self.fewest_ways}; these parameters need {attack.fewest_ways} or more"
            raise located(*self.origin, problem)
        return attack

    def fit(self, norm: str, ways: int) -> "Card":
        """The card itself if it can attack tasks of `ways` classes under `norm`, else the one that stands in for it.

        Raises `RobustMetaError` where none does.
        """
        if norm in self.norm and ways >= self.fewest_ways:
            return self
        if self.stand_in is None:
            raise RobustMetaError(
                f"the attack {self.name!r} is for {' and '.join(self.norm)} and {self.fewest_ways} ways or more, "
                f"not for {norm} and {ways} ways; leave it out, or give its card a stand_in"
            )
        return card(self.stand_in).fit(norm, ways)


def names() -> tuple[str, ...]:
    """The names of the cards that ship."""
    return tuple(name for name in _shipped() if not name.startswith(_PREFIX))


def suites() -> tuple[str, ...]:
    """The names of the suites that ship."""
    return tuple(name.removeprefix(_PREFIX) for name in _shipped() if name.startswith(_PREFIX))


def card(name_or_path: str) -> Card:
    """The card of a shipped name, or of a user's own `.yaml` file.

    Raises `RobustMetaError` for an unknown name (with the nearest), an unreadable file, and, with file and line,
    for malformed YAML and keys that are missing, unknown or of the wrong type.
    """
    text, source = _read(name_or_path, names())
    data, lines = load_marked(text, source)
    content = checked(data, lines, source, CARD, optional=("stand_in",))
    engine, parameters = content["engine"], content["parameters"]
    if engine == "projected_gradient":
        optional = PROJECTED_GRADIENT.keys() - {"steps"}
        checked(parameters, lines, source, PROJECTED_GRADIENT, under="parameters", optional=optional)
    checked(content["source"], lines, source, SOURCE, under="source")
    made = Card(**{**content, "norm": tuple(content["norm"])}, origin=(source, lines["parameters",]))
    if made.name != Path(source).stem:
        problem = f"the card is named {made.name!r} in a file of another name; call both the same"
        raise located(source, lines["name",], problem)
    return made


def suite(name: str) -> tuple[str, ...]:
    """The names of the cards in a suite that ships; raises `RobustMetaError` for an unknown one."""
    if name not in suites():
        raise unknown("attack suite", name, suites())
    text, source = _read(_PREFIX + name, _shipped())
    data, lines = load_marked(text, source)
    return tuple(checked(data, lines, source, SUITE)["cards"])


def resolve(spec: str | Sequence[str]) -> tuple[Card, ...]:
    """The cards of a suite, a card's name, a path to a user's own card, or a list of these; each card once.

    Raises `RobustMetaError` as `card` does, for an empty list, and for two different cards of one name.
    """
    found: dict[str, Card] = {}
    for item in [spec] if isinstance(spec, str) else spec:
        if not isinstance(item, str):
            raise RobustMetaError(f"an attack is given as {item!r}; it must be a suite, a card's name or a path")
        if not _is_path(item) and item not in {*names(), *suites()}:
            raise unknown("attack or suite", item, {*names(), *suites()})
        for made in map(card, suite(item) if item in suites() else [item]):
            if found.setdefault(made.name, made) != made:
                raise located(*made.origin, f"there is another card named {made.name!r}; rename this one")
    if not found:
        raise RobustMetaError("no attacks are given; name a suite, as 'quick', or at least one card")
    return tuple(found.values())


def _shipped() -> list[str]:
    files = resources.files("robustmeta.attacks.cards").iterdir()
    return sorted(Path(file.name).stem for file in files if file.name.endswith(".yaml"))


def _is_path(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))


def _read(name: str, known: Sequence[str]) -> tuple[str, str]:
    if not _is_path(name):
        if name not in known:
            raise unknown("attack", name, known)
        file = resources.files("robustmeta.attacks.cards") / f"{name}.yaml"
        return file.read_text("utf-8"), f"attacks/{name}.yaml"
    try:
        return Path(name).read_text("utf-8"), name
    except (OSError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise RobustMetaError(f"cannot read the attack card {name}: {problem}; give the path of a YAML file") from error

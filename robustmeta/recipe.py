"""Recipes: everything a benchmark run depends on, in one YAML file."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from robustmeta.attacks.base import Threat
from robustmeta.defenses import DEFENSES
from robustmeta.errors import RobustMetaError, unknown
from robustmeta.marked_yaml import load_marked
from robustmeta.schema import Source, guarded, make
from robustmeta.sections import Certify, Curve, Steps, Test
from robustmeta.training import Training

DEFAULT = "glyphs-5w1s"
"""The recipe that `robustmeta bench` runs without one."""


class _Dumper(yaml.SafeDumper):
    """PyYAML writes YAML 1.1; this one also quotes the text that `load_marked`, on YAML 1.2, takes for a number."""


_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-+.0123456789"))


def _file_name(name: str) -> None:
    """Raise `RobustMetaError` for a name that a folder or file cannot have, or that a spreadsheet would calculate."""
    if not name or name[0] in ".=+-@" or "/" in name or "\\" in name or not name.isprintable():
        raise RobustMetaError(
            f"the name {name!r} cannot be that of a file; leave out slashes, line breaks, and . = + - @ at its start"
        )


@dataclass(frozen=True)
class Row:
    """One learner of the table: what it is, what defends it, on what backbone, trained how.

    learner, defense and backbone are mappings of a registered `name` and the settings of that entry. A row without a
    defense is trained naturally; a list of defenses goes round the learner in turn, the first one innermost. training:
    what differs from the recipe's. name: of its checkpoint and in errors; by default `learner-defense`.
    """

    learner: dict[str, Any]
    defense: Any = field(default_factory=dict)
    backbone: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    name: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.defense, dict | list):
            raise RobustMetaError(f"its defense is {self.defense!r}; it must be a mapping, or a list of mappings")
        for part, component in (("learner", self.learner), *(("defense", defense) for defense in self.defenses)):
            if not isinstance(component, dict) or not isinstance(component.get("name"), str):
                write = f"; write {{name: {component}}}" if isinstance(component, str) else ""
                raise RobustMetaError(f"its {part} needs a 'name'{write}")
        if not self.name:
            object.__setattr__(self, "name", f"{self.learner['name']}-{self.defended}")
        _file_name(self.name)

    @property
    def defenses(self) -> tuple[dict[str, Any], ...]:
        """The defenses from the innermost outwards; none for natural training."""
        return tuple(self.defense) if isinstance(self.defense, list) else (self.defense,) * bool(self.defense)

    @property
    def defended(self) -> str:
        """The defenses by name, as tables have it: `natural`, `aq`, `aq+awp` (of `awp` with an attack, too)."""
        names: list[str] = []
        for defense in self.defenses:
            name = defense["name"]
            if "attack" in defense and name in DEFENSES and getattr(DEFENSES[name], "takes_objective", False):
                names.append("aq")  # which it makes of the attack
            names.append(name)
        return "+".join(names) or "natural"


@dataclass(frozen=True)
class Recipe:
    """A benchmark run: data, test tasks, threat, attacks, and a row for each learner.

    dataset, backbone: mappings of a registered `name` and its settings. attacks: a suite, or a list of cards.
    training and backbone hold for all rows but for what a row says otherwise. certify: what certified accuracy is
    measured with, steps: accuracy against the steps of an attack; without them, neither is.
    """

    name: str
    rows: tuple[Row, ...]
    dataset: dict[str, Any] = field(default_factory=lambda: {"name": "glyphs"})
    test: Test = field(default_factory=Test)
    threat: Threat = field(default_factory=Threat)
    attacks: Any = "quick"
    curve: Curve = field(default_factory=Curve)
    backbone: dict[str, Any] = field(default_factory=lambda: {"name": "conv4"})
    training: dict[str, Any] = field(default_factory=dict)
    certify: Certify | None = None
    steps: Steps | None = None

    def __post_init__(self) -> None:
        _file_name(self.name)

    def as_dict(self) -> dict[str, Any]:
        """The recipe as plain data, every setting written out."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        for later in ("certify", "steps"):
            if plain[later] is None:  # so that the hash of a recipe without it is that of before it was a setting
                del plain[later]
        if self.test.dataset is None:
            del plain["test"]["dataset"]
        return plain

    def as_yaml(self) -> str:
        """The recipe as a YAML document that `read` takes back."""
        return yaml.dump(self.as_dict(), Dumper=_Dumper, sort_keys=False, width=110)

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits that change with any setting."""
        canonical = json.dumps(self.as_dict(), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def training_of(self, row: Row) -> Training:
        """The recipe's training settings, with the row's own over them."""
        return make(Training, {**self.training, **row.training}, Source(self.name, {}), ("training",))

    @property
    def tested_on(self) -> dict[str, Any]:
        """The data set of the test tasks, with its settings: that of training where the recipe says no other."""
        return self.test.dataset or self.dataset

    @property
    def summary(self) -> str:
        """Data, task, threat and learners, in a line for a list."""
        data = " -> ".join(dict.fromkeys((self.dataset["name"], self.tested_on["name"])))
        task = f"{data}, {self.test.ways}-way {self.test.shots}-shot"
        return f"{task}, {self.threat.norm} eps {self.threat.eps:g}: {', '.join(row.name for row in self.rows)}"

    def seeded(self, seed: int) -> "Recipe":
        """The same recipe with every row trained from `seed`."""
        rows = tuple(replace(row, training={k: v for k, v in row.training.items() if k != "seed"}) for row in self.rows)
        return replace(self, training={**self.training, "seed": seed}, rows=rows)

    def row(self, name: str) -> Row:
        """The row of a name; raises `RobustMetaError` with the nearest one if there is none."""
        rows = {row.name: row for row in self.rows}
        if name not in rows:
            raise unknown("row", name, rows)
        return rows[name]

    def twin_of(self, row: Row) -> Row | None:
        """The undefended row of the same learner and backbone, if there is one."""
        same = (row.learner, self.backbone_of(row))
        twins = (other for other in self.rows if not other.defense and (other.learner, self.backbone_of(other)) == same)
        return next(twins, None)

    def backbone_of(self, row: Row) -> dict[str, Any]:
        """The recipe's backbone settings, with the row's own over them."""
        return {**self.backbone, **row.backbone}

    def made_by(self, row: Row) -> dict[str, Any]:
        """All that the weights of a row depend on, as plain data: what a checkpoint must agree with."""
        plain = self.as_dict()
        return {
            "dataset": plain["dataset"],
            "learner": row.learner,
            "defense": row.defense,
            "backbone": self.backbone_of(row),
            "training": asdict(self.training_of(row)),
            "threat": plain["threat"],
            "ways": self.test.ways,
        }

    @classmethod
    def of_checkpoint(cls, made: dict[str, Any], **test: Any) -> "Recipe":
        """The recipe of one row that `made_by` described, with other test settings.

        Raises `RobustMetaError` if `made` is not of `made_by`.
        """
        try:
            row = Row(made["learner"], made["defense"], made["backbone"], made["training"])
            settings = {"ways": made["ways"], "shots": made["training"]["shots"], **test}
            return cls(row.name, (row,), made["dataset"], Test(**settings), Threat(**made["threat"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise RobustMetaError(f"the checkpoint's recipe is not a robustmeta recipe's: {error}") from error


def read(text: str, name: str) -> tuple[Recipe, Source]:
    """A recipe from YAML text; `name` is what error messages call the file.

    `like`, which is no field of `Recipe`, names another recipe, as `find` takes it and not itself like a third, whose
    sections stand where the text has none of its own.

    Raises `RobustMetaError` with the line for anything that is not a recipe.
    """
    data, lines = load_marked(text, name)
    source = Source(name, lines)
    if isinstance(data, dict) and "like" in data:
        data = _completed(data, source)
    recipe = make(Recipe, data, source)
    if not recipe.rows:
        raise source.error(("rows",), "is empty; a recipe needs at least one learner")
    if not isinstance(recipe.attacks, str | list):
        raise source.error(("attacks",), f"is {recipe.attacks!r}; it must be a suite, as quick, or a list of cards")
    seen: set[str] = set()
    for i, row in enumerate(recipe.rows):
        at = ("rows", str(i))
        if row.name in seen:
            raise source.error(at, f"is a second row named {row.name!r}; give one of them a 'name' of its own")
        seen.add(row.name)
        make(Training, {**recipe.training}, source, ("training",))
        make(Training, {**recipe.training, **row.training}, source, (*at, "training"))
    return recipe, source


def _completed(data: dict[str, Any], source: Source) -> dict[str, Any]:
    """The sections of a recipe that is like another, with the other's where it has none of its own."""
    wanted = data["like"]
    if not isinstance(wanted, str):
        raise source.error(("like",), f"is {wanted!r}; it must be the name or the path of a recipe")
    if "name" not in data:
        raise source.error((), "'name' is missing; a recipe that is like another has a name of its own")
    text, name = guarded(partial(_text_of, wanted), source, ("like",))
    other, _ = load_marked(text, name)
    if isinstance(other, dict) and "like" in other:
        raise source.error(("like",), f"names {name}, which is like another itself; name one that stands alone")
    return {**read(text, name)[0].as_dict(), **{key: value for key, value in data.items() if key != "like"}}


def find(name_or_path: str | None) -> tuple[Recipe, Source]:
    """The recipe in a file, or one that ships with the package, by name; by default `DEFAULT`.

    Raises `RobustMetaError` if there is no such file or name.
    """
    return read(*_text_of(DEFAULT if name_or_path is None else name_or_path))


def _text_of(wanted: str) -> tuple[str, str]:
    """The text of a recipe by its path or name, and what error messages call it."""
    path = Path(wanted)
    try:
        if path.is_file():
            return path.read_text(encoding="utf-8"), str(path)
    except (OSError, UnicodeDecodeError) as error:
        raise RobustMetaError(f"cannot read the recipe {path}: {error}; give a YAML file in UTF-8") from error
    if wanted in shipped():
        return shipped()[wanted], f"{wanted}.yaml"
    names = ", ".join(shipped())
    raise RobustMetaError(f"there is no recipe {wanted!r}: neither a file nor one of the package's ({names})")


def shipped() -> dict[str, str]:
    """The texts of the recipes that ship with the package, by name."""
    found = (item for item in files("robustmeta.recipes").iterdir() if item.name.endswith(".yaml"))
    return {item.name.removesuffix(".yaml"): item.read_text("utf-8") for item in sorted(found, key=str)}

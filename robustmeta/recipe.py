"""Recipes: everything a benchmark run depends on, in one YAML file."""

import hashlib
import json
import math
import re
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import yaml

from robustmeta.attacks.base import Threat
from robustmeta.defenses import DEFENSES
from robustmeta.errors import RobustMetaError, unknown
from robustmeta.report.setting import written_eps
from robustmeta.schema import Source, make
from robustmeta.sections import Certify, Curve, Steps, Test
from robustmeta.training import Training

SPREAD = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
"""Multiples of the threat's eps that a curve is drawn over where the recipe names none."""


class _Dumper(yaml.SafeDumper):
    """PyYAML writes YAML 1.1; this one also quotes the text that `marked_yaml`, on YAML 1.2, takes for a number."""


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
        """The recipe as a YAML document that `recipe_file.read` takes back."""
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
        threat = f"{self.threat.norm} eps {written_eps(self.threat.norm, self.threat.eps)}"
        return f"{task}, {threat}: {', '.join(row.name for row in self.rows)}"

    def seeded(self, seed: int) -> "Recipe":
        """The same recipe with every row trained from `seed`.

        Raises `RobustMetaError` where rows that differ in nothing but their seeds would become one.
        """
        rows = tuple(replace(row, training={k: v for k, v in row.training.items() if k != "seed"}) for row in self.rows)
        made = replace(self, training={**self.training, "seed": seed}, rows=rows)
        first: dict[str, str] = {}
        for row in rows:
            same = first.setdefault(json.dumps(made.made_by(row), sort_keys=True), row.name)
            if same != row.name:
                raise RobustMetaError(
                    f"{same} and {row.name} of {self.name} differ in nothing but their seeds, of which --seed {seed} "
                    "would make one; leave it out, or take a recipe whose rows have none of their own"
                )
        return made

    @property
    def curve_eps(self) -> tuple[float, ...]:
        """The eps of the curve; where it names none, from 0 to twice the threat's, as far as pixels go."""
        largest = 1.0 if self.threat.norm == "Linf" else math.inf
        spread = dict.fromkeys(round(share * self.threat.eps, 12) for share in SPREAD)
        return self.curve.eps or tuple(eps for eps in spread if eps <= largest)

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

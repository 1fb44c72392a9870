"""Plain data into dataclasses and arguments, and the line of every kind of mistake."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from robustmeta.errors import RobustMetaError
from robustmeta.marked_yaml import load_marked
from robustmeta.schema import Source, arguments, guarded, make


@dataclass(frozen=True)
class Engine:
    power: float
    cylinders: int = 4

    def __post_init__(self) -> None:
        if self.power <= 0:
            raise RobustMetaError(f"power is {self.power:g}; it must be above 0")


@dataclass(frozen=True)
class Car:
    name: str
    engine: Engine
    electric: bool = False
    gears: tuple[float, ...] = ()
    spares: tuple[Engine, ...] = ()
    owner: str | None = None
    extras: dict[str, Any] = field(default_factory=dict)
    anything: Any = None


def car(text: str) -> Car:
    data, lines = load_marked(text, "car.yaml")
    return make(Car, data, Source("car.yaml", lines))


def test_every_kind_of_field():
    made = car("""
name: a
engine: {power: 10, cylinders: 2}
electric: true
gears: [1, 1/2, 8/255]
spares: [{power: 0.5}]
owner: somebody
extras: {b: [1]}
anything: [1, x]
""")
    engines = Engine(10.0, 2), (Engine(0.5),)
    assert made == Car("a", engines[0], True, (1.0, 0.5, 8 / 255), engines[1], "somebody", {"b": [1]}, [1, "x"])
    assert type(made.engine.power) is float
    assert car("name: a\nengine: {power: 1}\nowner: null") == Car("a", Engine(1.0))


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("nmae: b", 3, "nmae: is not a setting here; did you mean 'name'? (known: name, engine, "),
        ("spares:\n  - power: 1\n  - powr: 1", 5, "spares.1.powr: is not a setting here; did you mean 'power'?"),
        ("spares:\n  - power: 1\n  - cylinders: 1", 5, "spares.1: 'power' is missing"),
        ("spares:\n  - power: 1\n  - power: -1", 5, "spares.1: power is -1; it must be above 0"),
        ("spares: {power: 1}", 3, "spares: is {'power': 1}; it must be a list"),
        ("spares: [3]", 3, "spares.0: is 3; it must be a mapping of settings"),
        ("electric: 1", 3, "electric: is 1; it must be true or false"),
        ("electric: yes", 3, "electric: is 'yes'; it must be true or false"),
        ("owner: 5", 3, "owner: is 5; it must be text"),
        ("gears: [1, x]", 3, "gears.1: is 'x'; it must be a number"),
        ("gears: [1/0]", 3, "gears.0: is '1/0'; it must be a number, as 0.1 or 8/255"),
        ("gears: [a/b]", 3, "gears.0: is 'a/b'; it must be a number, as 0.1 or 8/255"),
        ("gears: [true]", 3, "gears.0: is True; it must be a number"),
        ("extras: []", 3, "extras: is []; it must be a mapping"),
        ("extras:", 3, "extras: is empty; it must be a mapping"),
        (f"electric: {'x' * 60}", 3, f"electric: is '{'x' * 36}...; it must be true or false"),
    ],
)
def test_a_mistake_is_said_with_its_line(text, line, problem):
    with pytest.raises(RobustMetaError) as caught:
        car(f"name: a\nengine: {{power: 1}}\n{text}")
    assert str(caught.value).startswith(f"car.yaml:{line}: {problem}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name: a\nengine:\n  power: 1\n  cylinders: 1.5", "4: engine.cylinders: is 1.5; it must be a whole number"),
        ("name: a\nengine:\n  power: 1\n  cylinders: true", "4: engine.cylinders: is True; it must be a whole number"),
        ("name: a\nengine: 5", "2: engine: is 5; it must be a mapping of settings"),
        ("name: a", "1: 'engine' is missing"),
        ("- a", "1: is ['a']; it must be a mapping of settings"),
        ("", "1: is empty; it must be a mapping of settings"),
    ],
)
def test_a_mistake_in_the_whole(text, problem):
    with pytest.raises(RobustMetaError) as caught:
        car(text)
    assert str(caught.value) == f"car.yaml:{problem}"


SOURCE = Source("car.yaml", {("a",): 7})


def drive(engine: Engine, speed: float, gear: int = 1, label: "str | None" = None, **rest: object) -> None: ...


def test_arguments_are_checked_against_the_signature():
    data = {"speed": "1/2", "gear": 3, "label": None}
    assert arguments(drive, data, SOURCE, ("a",), given=("engine",)) == {"speed": 0.5, "gear": 3, "label": None}
    assert arguments(Engine, {"power": 2}, SOURCE, ()) == {"power": 2.0}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"speed": 1, "gaer": 2}, "a.gaer: is not a setting here; did you mean 'gear'? (known: speed, gear, label)"),
        ({"speed": 1, "engine": 2}, "a.engine: is not a setting here (known: speed, gear, label)"),
        ({"speed": 1, "rest": 2}, "a.rest: is not a setting here (known: speed, gear, label)"),
        ({"gear": 2}, "a: 'speed' is missing"),
        ({"speed": "fast"}, "a.speed: is 'fast'; it must be a number"),
        ({"speed": 1, "gear": 1.5}, "a.gear: is 1.5; it must be a whole number"),
    ],
)
def test_wrong_arguments(data, problem):
    with pytest.raises(RobustMetaError) as caught:
        arguments(drive, data, SOURCE, ("a",), given=("engine",))
    assert str(caught.value) == f"car.yaml:7: {problem}"


def test_annotations_that_learners_of_ones_own_have():
    def own(
        *layers: int,
        scales: list[float],
        mode: Literal["a", "b"] = "a",
        head: int | str = 1,
        act: Callable[[], int] = int,
    ) -> None: ...

    data = {"scales": [1, "1/2"], "mode": "b", "head": "linear", "act": "relu"}
    assert arguments(own, data, SOURCE, ("a",)) == {**data, "scales": [1.0, 0.5]}
    assert arguments(own, {"scales": (), "head": 3}, SOURCE, ("a",)) == {"scales": [], "head": 3}
    for wrong, problem in (
        ({"scales": 1}, "a.scales: is 1; it must be a list"),
        ({"scales": ["x"]}, "a.scales.0: is 'x'; it must be a number"),
        ({"scales": [], "mode": "c"}, "a.mode: is 'c'; it must be one of a, b"),
        ({"scales": [], "layers": 1}, "a.layers: is not a setting here"),
        ({"scales": [], "head": [1]}, "a.head: is [1]; it must be text"),
    ):
        with pytest.raises(RobustMetaError) as caught:
            arguments(own, wrong, SOURCE, ("a",))
        assert str(caught.value).startswith(f"car.yaml:7: {problem}")


def test_an_annotation_that_cannot_be_read_is_one_line():
    def own(size: "Missing"): ...  # noqa: F821

    with pytest.raises(RobustMetaError, match=r"car.yaml:7: a: an annotation of .*own cannot be read, as name"):
        arguments(own, {}, SOURCE, ("a",))


def test_a_callable_without_settings_says_so():
    with pytest.raises(RobustMetaError, match=r"is not a setting here \(known: none\)"):
        arguments(lambda: None, {"x": 1}, SOURCE, ())


def test_guarded_puts_the_line_before_the_message_and_lets_other_exceptions_through():
    with pytest.raises(RobustMetaError, match=r"^car.yaml:7: a.b: power is -1"):
        guarded(lambda: Engine(-1), SOURCE, ("a", "b"))
    with pytest.raises(ZeroDivisionError):
        guarded(lambda: 1 / 0, SOURCE, ())
    assert guarded(lambda: 3, SOURCE, ()) == 3

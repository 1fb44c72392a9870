"""Registered names and their settings: what the entry is called with, and where errors point."""

import pytest

from robustmeta.component import component
from robustmeta.errors import RobustMetaError
from robustmeta.registry import Registry
from robustmeta.schema import Source

SHAPES: Registry = Registry("shape")


@SHAPES.register("box")
def box(size: int, wide: float = 1.0) -> tuple[int, float]:
    if size < 1:
        raise RobustMetaError(f"size is {size}; it must be 1 or more")
    return size, wide


SOURCE = Source("r.yaml", {("shape",): 3, ("shape", "wide"): 4})


def test_the_entry_gets_its_settings_and_what_it_takes_of_what_is_given() -> None:
    made = component(SHAPES, {"name": "box", "wide": "1/4"}, SOURCE, ("shape",), size=2, colour="red")
    assert made == (2, 0.25)


@pytest.mark.parametrize(
    ("settings", "given", "line"),
    [
        ({"name": "bax"}, {}, "r.yaml:3: shape.name: unknown shape 'bax'; did you mean 'box'"),
        ({}, {}, "r.yaml:3: shape.name: unknown shape 'None'"),
        ({"name": "box"}, {}, "r.yaml:3: shape: 'size' is missing"),
        ({"name": "box", "size": 1}, {"size": 2}, "r.yaml:3: shape.size: is not a setting here"),
        ({"name": "box", "wide": "x"}, {"size": 2}, "r.yaml:4: shape.wide: is 'x'; it must be a number"),
        ({"name": "box", "size": 0}, {}, "r.yaml:3: shape: size is 0; it must be 1 or more"),
    ],
)
def test_errors_have_the_line(settings, given, line) -> None:
    with pytest.raises(RobustMetaError, match=line):
        component(SHAPES, settings, SOURCE, ("shape",), **given)

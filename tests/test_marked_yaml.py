"""Marked YAML against PyYAML's own safe loader, and the line of every kind of mistake."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from robustmeta.errors import RobustMetaError
from robustmeta.marked_yaml import load_marked

RECIPE = """\
# a comment
name: first
attacks:
  - eps: 0.1
    steps: 20
  - eps: 1e-3
nested: {a: [1, 2]}
"""


def test_data_and_lines_of_a_recipe() -> None:
    data, lines = load_marked(RECIPE, "r.yaml")
    attacks = [{"eps": 0.1, "steps": 20}, {"eps": 0.001}]
    assert data == {"name": "first", "attacks": attacks, "nested": {"a": [1, 2]}}
    assert lines[("name",)] == 2
    assert lines[("attacks",)] == 3
    assert lines[("attacks", "0", "steps")] == 5
    assert lines[("attacks", "1")] == lines[("attacks", "1", "eps")] == 6
    assert lines[("nested", "a", "1")] == 7


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("-2.5E+1", -25.0), (".5", 0.5), ("5.", 5.0), ("010", 10), ("+3", 3), ("-0", 0),
        ("no", "no"), ("on", "on"), ("true", True), ("False", False), ("~", None), ("null", None), ("", None),
        ("2026-11-22", "2026-11-22"), ("1:30", "1:30"), ("8/255", "8/255"), (".nan", ".nan"), ("'12'", "12"),
        ("1.2.3", "1.2.3"), ("|\n   a\n   b\n", "a\nb\n"),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    data, _ = load_marked(f"key: {text}", "r.yaml")
    assert data == {"key": value}
    assert isinstance(data, dict)
    assert type(data["key"]) is type(value)


def test_an_empty_document_is_none() -> None:
    assert load_marked("# nothing\n", "r.yaml") == (None, {(): 1})


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("a: 1\nb: [1,\n2\n", 4, "flow sequence begun on line 2"),
        ("a: 1\n\tb: 2\n", 2, "cannot start any token"),
        ("a: 1\nb: 2\na: 3\n", 3, "'a' is given twice, first on line 1"),
        ("a:\n  x: 1\n  x: 1\n", 3, "given twice, first on line 2"),
        ("a: 1\n2: b\n", 2, "2 is not a text key"),
        ("? [1, 2]\n: b\n", 1, "not a text key"),
        ("a: &x 1\nb: *x\n", 2, "alias *x is not supported"),
        ("a: 1\n---\nb: 2\n", 2, "another document"),
        ("a: 1\nb: !!python/object/apply:os.system ['true']\n", 2, "is not supported"),
        ("a: !!int abc\n", 1, "'abc' is not a number"),
        ("a: 1\nb: 1e999\n", 2, "'1e999' is not a number"),
        ("a: 1\nb: \x07\n", 2, "the character '\\x07'"),
        ("[" * 3000, 1, "nested too deeply"),
    ],
)
def test_a_mistake_is_one_line_with_file_and_line(text: str, line: int, part: str) -> None:
    with pytest.raises(RobustMetaError) as caught:
        load_marked(text, "dir/r.yaml")
    message = str(caught.value)
    assert message.startswith(f"dir/r.yaml:{line}: ")
    assert part in message
    assert "\n" not in message


FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | st.integers() | FLOATS | st.text("ab: '#")
KEYS = st.text("abc-", min_size=1)
DATA = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner))


@given(DATA)
def test_what_pyyaml_writes_is_read_back(data: object) -> None:
    assert load_marked(yaml.safe_dump(data), "r.yaml")[0] == data

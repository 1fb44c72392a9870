"""The keys of attack cards and suites, and what each may hold."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from robustmeta.attacks.base import NORMS
from robustmeta.attacks.projected_gradient import LOSSES
from robustmeta.errors import unknown
from robustmeta.marked_yaml import Path, located

Check = tuple[str, Callable[[Any], bool]]
"""What a value must be, in words, and the test of it."""


def checked(
    data: object,
    lines: Mapping[Path, int],
    source: str,
    wanted: Mapping[str, Check],
    *,
    under: str = "",
    optional: Collection[str] = (),
) -> dict[str, Any]:
    """The mapping `data`, found at the key `under` of the file `source`, if its keys and values are as `wanted`.

    Raises `RobustMetaError`, with file and line, for a key that is unknown or missing and not `optional`, and
    for a value that fails its check.
    """
    above = (under,) if under else ()
    if not isinstance(data, dict):
        raise located(source, lines[above], f"{under or 'the file'} must be a mapping of names to values")
    for key, value in data.items():
        line = lines[(*above, key)]
        if key not in wanted:
            raise located(source, line, str(unknown(f"key of {under or 'the file'}", key, wanted)))
        expected, right = wanted[key]
        if not right(value):
            raise located(source, line, f"{key!r} is {value!r}; it must be {expected}")
    missing = [key for key in wanted if key not in data and key not in optional]
    if missing:
        raise located(source, lines[above], f"{under or 'the file'} lacks {missing[0]!r}: {wanted[missing[0]][0]}")
    return data


def _one_of(*choices: str) -> Check:
    return " or ".join(choices), lambda value: value in choices


def _whole(least: int) -> Check:
    return f"a whole number, {least} or more", lambda value: type(value) is int and value >= least


def _names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)


_TEXT: Check = "text", lambda value: isinstance(value, str) and bool(value)
_FLAG: Check = "true or false", lambda value: isinstance(value, bool)
SOURCE: dict[str, Check] = {"authors": _TEXT, "year": _whole(1900), "title": _TEXT}
SUITE: dict[str, Check] = {
    "name": _TEXT, "version": _whole(1), "purpose": _TEXT, "cards": ("a list of cards' names", _names),
}  # fmt: skip
PROJECTED_GRADIENT: dict[str, Check] = {
    "steps": _whole(1),
    "step_size_over_eps": ("a number above 0", lambda value: type(value) in (int, float) and value > 0),
    "loss": _one_of(*LOSSES),
    "random_start": _FLAG,
    "restarts": _whole(1),
    "until_fooled": _FLAG,
}
CARD: dict[str, Check] = {
    "name": _TEXT,
    "engine": (
        "projected_gradient or torchattacks.<Class>",
        lambda value: value == "projected_gradient" or (isinstance(value, str) and value.startswith("torchattacks.")),
    ),
    "version": _whole(1),
    "norm": (f"a list of {' and '.join(NORMS)}", lambda value: _names(value) and set(value) <= set(NORMS)),
    "parameters": ("a mapping", lambda value: isinstance(value, dict)),
    "target": _one_of("query"),
    "knowledge": _one_of("white-box", "black-box"),
    "fewest_ways": _whole(2),
    "safe_in_training": _FLAG,
    "source": ("a mapping of authors, year and title", lambda value: isinstance(value, dict)),
    "stand_in": _TEXT,
}

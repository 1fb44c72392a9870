"""Plain data, as a recipe holds it, into dataclasses, with errors that name the line."""

import inspect
from collections.abc import Callable, Container, Mapping
from dataclasses import MISSING, fields, is_dataclass
from fractions import Fraction
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from robustmeta.errors import RobustMetaError, nearest
from robustmeta.marked_yaml import Path, located

Made = TypeVar("Made")


class Source:
    """Where data was read from: the file's name and the line of every key path, for error messages.

    Settings that are in no file, but in a call, have no lines.
    """

    def __init__(self, name: str, lines: Mapping[Path, int]) -> None:
        self.name, self.lines = name, lines

    def error(self, path: Path, problem: str) -> RobustMetaError:
        """The error for a problem at a key path: `file:line: key.path: problem`, or without lines `name: ...`."""
        at = path
        while at not in self.lines and at:
            at = at[:-1]
        where = f"{'.'.join(path)}: " if path else ""
        if not self.lines:
            return RobustMetaError(f"{self.name}: {where}{problem}")
        return located(self.name, self.lines.get(at, 1), where + problem)


def make(kind: type[Made], data: object, source: Source, path: Path = ()) -> Made:
    """An instance of the dataclass `kind` from a mapping, its fields checked by name and type.

    Raises `RobustMetaError` with the line for a key that is no field (and the nearest one), a field without a
    default that is missing, a value of another type, and whatever the dataclass itself refuses.
    """
    if not isinstance(data, Mapping):
        raise source.error(path, f"is {_shown(data)}; it must be a mapping of settings")
    hints = get_type_hints(kind)
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    for key in data:
        if key not in known:
            raise source.error((*path, key), unknown_key(key, known))
    for field in fields(kind):  # type: ignore[arg-type]
        if field.default is MISSING and field.default_factory is MISSING and field.name not in data:
            raise source.error(path, f"{field.name!r} is missing")
    values = {key: convert(hints[key], value, source, (*path, key)) for key, value in data.items()}
    return guarded(lambda: kind(**values), source, path)


def arguments(
    call: Callable[..., Any], data: Mapping[str, object], source: Source, path: Path, given: Container[str] = ()
) -> dict[str, Any]:
    """`data` checked by name and type against the annotated parameters of `call`, but for those that are `given`.

    Raises `RobustMetaError` with the line for a key that is no parameter or is given, a parameter without a default
    that is missing, and a value of another type.
    """
    takes = inspect.signature(call).parameters.items()
    known = {name: p for name, p in takes if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and name not in given}
    try:
        hints = get_type_hints(call.__init__ if inspect.isclass(call) else call)
    except NameError as error:
        problem = (
            f"an annotation of {call.__qualname__} cannot be read, as {error}; import it there, and not for checks only"
        )
        raise source.error(path, problem) from error
    for key in data:
        if key not in known:
            raise source.error((*path, key), unknown_key(key, known))
    for name, parameter in known.items():
        if parameter.default is parameter.empty and name not in data:
            raise source.error(path, f"{name!r} is missing")
    return {key: convert(hints.get(key, Any), value, source, (*path, key)) for key, value in data.items()}


def guarded(call: Callable[[], Made], source: Source, path: Path, about: str = "") -> Made:
    """The result of `call`, with the line, and `about`, put before the message of a `RobustMetaError` it raises."""
    try:
        return call()
    except RobustMetaError as error:
        raise source.error(path, f"{about}{error}") from error


def convert(hint: Any, value: object, source: Source, path: Path) -> Any:
    """`value` as the annotation `hint` says; numbers may be written as fractions, as `8/255`."""
    if hint is Any:
        return value
    if is_dataclass(hint) and isinstance(hint, type):
        return make(hint, value, source, path)
    if get_origin(hint) in (Union, UnionType):
        return _first_of([option for option in get_args(hint) if option is not type(None)], value, source, path)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise source.error(path, f"is {_shown(value)}; it must be one of {', '.join(map(str, get_args(hint)))}")
        return value
    if get_origin(hint) in (tuple, list):
        if not isinstance(value, list | tuple):
            raise source.error(path, f"is {_shown(value)}; it must be a list")
        return get_origin(hint)(
            convert(get_args(hint)[0], item, source, (*path, str(i))) for i, item in enumerate(value)
        )
    if get_origin(hint) is dict:
        if not isinstance(value, Mapping):
            raise source.error(path, f"is {_shown(value)}; it must be a mapping")
        return dict(value)
    if hint is float and isinstance(value, str) and "/" in value:
        try:
            return float(Fraction(value.replace(" ", "")))
        except (ValueError, ZeroDivisionError):
            raise source.error(path, f"is {_shown(value)}; it must be a number, as 0.1 or 8/255") from None
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(hint, type):  # of a kind that no file can hold, as a function's
        return value
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
        raise source.error(path, f"is {_shown(value)}; it must be {names.get(hint, hint)}")
    return value


def _first_of(options: list[Any], value: object, source: Source, path: Path) -> Any:
    """`value` as the first of several annotations that it fits; None is None."""
    if value is None:
        return None
    for option in options[:-1]:
        try:
            return convert(option, value, source, path)
        except RobustMetaError:
            continue
    return convert(options[-1], value, source, path)


def unknown_key(key: str, known: Any) -> str:
    """What to say of a key that is not known, with the nearest one that is."""
    return f"is not a setting here{nearest(key, known)} (known: {', '.join(known) or 'none'})"


def _shown(value: object) -> str:
    text = "empty" if value is None else repr(value)
    return text if len(text) <= 40 else text[:37] + "..."

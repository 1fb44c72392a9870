"""YAML that remembers the line of every key, so that an error in a recipe or card can point at it."""

import math
import re
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from robustmeta.errors import RobustMetaError

Path = tuple[str, ...]
"""The way to a value: keys of mappings and, as text, positions in lists, as `("attacks", "0", "eps")`."""

_TAG = "tag:yaml.org,2002:"


def load_marked(text: str, source: str) -> tuple[object, dict[Path, int]]:
    """The plain data of one YAML document, and the line (from 1) of every key path in it.

    A key's line is where the key stands, a list item's where the item begins; `()` is the document's own.
    Only plain data comes out: mappings with text keys, lists, text, finite numbers, true or false, null.
    Scalars are read as YAML 1.2 does: `1e-3` is a number, and `no`, `on` and `2026-11-22` are text. An empty
    document is None.

    Raises `RobustMetaError` as `source:line: ...` for a syntax error, a key given twice or that is not text,
    an alias (`*name`), a tag of any other type, and a second document.
    """
    lines: dict[Path, int] = {(): 1}
    try:
        root = _Composer(text).get_single_node()
        return (None if root is None else _plain(root, (), lines, source)), lines
    except yaml.MarkedYAMLError as error:
        mark, begun = error.problem_mark or error.context_mark, error.context_mark
        problem = error.problem or "not valid YAML"
        if error.context and begun:
            problem += f" ({error.context} begun on line {begun.line + 1})"
        raise located(source, mark.line + 1 if mark else 1, problem) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problem = f"the character {text[error.position]!a} is not allowed in YAML"
        raise located(source, line, problem) from error
    except RecursionError:
        raise located(source, 1, "nested too deeply; a recipe or card needs a few levels at most") from None


def located(source: str, line: int, problem: str) -> RobustMetaError:
    """The error for a problem at a line of a file: `source:line: problem`."""
    return RobustMetaError(f"{source}:{line}: {problem}")


class _Resolver(BaseResolver):
    """The scalars of the YAML 1.2 core schema, without infinities and NaN."""


for _type, _pattern in {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?",
}.items():
    _Resolver.add_implicit_resolver(_TAG + _type, re.compile(rf"(?:{_pattern})\Z"), None)


class _Composer(Reader, Scanner, Parser, Composer, _Resolver):
    """From text to nodes; there is no constructor, so a tag can make nothing."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        _Resolver.__init__(self)

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            problem = f"the alias *{event.anchor} is not supported; write the value out"
            raise yaml.composer.ComposerError(None, None, problem, event.start_mark)
        return super().compose_node(parent, index)


def _plain(node: yaml.Node, path: Path, lines: dict[Path, int], source: str) -> object:
    lines.setdefault(path, node.start_mark.line + 1)
    line = node.start_mark.line + 1
    kind = node.tag.removeprefix(_TAG)
    if isinstance(node, yaml.MappingNode) and kind == "map":
        return _mapping(node, path, lines, source)
    if isinstance(node, yaml.SequenceNode) and kind == "seq":
        return [_plain(item, (*path, str(i)), lines, source) for i, item in enumerate(node.value)]
    if isinstance(node, yaml.ScalarNode) and kind in _SCALARS:
        try:
            return _SCALARS[kind](node.value)
        except ValueError:
            raise located(source, line, f"{node.value[:40]!r} is not a number that can be used") from None
    raise located(source, line, f"the tag {node.tag!r} is not supported; plain values only")


def _mapping(node: yaml.MappingNode, path: Path, lines: dict[Path, int], source: str) -> dict[str, object]:
    plain: dict[str, object] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or key.tag != _TAG + "str":
            name = key.value if isinstance(key, yaml.ScalarNode) else "a list or mapping"
            raise located(source, line, f"{name} is not a text key; put a name, or quotes round it")
        below = (*path, key.value)
        if key.value in plain:
            first = lines[below]
            raise located(source, line, f"{key.value!r} is given twice, first on line {first}; keep one")
        lines[below] = line
        plain[key.value] = _plain(value, below, lines, source)
    return plain


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


_SCALARS: dict[str, Any] = {
    "str": str,
    "null": lambda text: None,
    "bool": lambda text: text.lower() == "true",
    "int": int,
    "float": _finite,
}

"""Recipes as files: read, found by path or by name, and completed by the one they are like."""

from dataclasses import asdict
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from robustmeta.errors import RobustMetaError, nearest
from robustmeta.marked_yaml import load_marked
from robustmeta.recipe import Recipe
from robustmeta.schema import Source, guarded, make
from robustmeta.training import Training

DEFAULT = "glyphs-5w1s"
"""The recipe that `robustmeta bench` runs without one."""


def read(text: str, name: str) -> tuple[Recipe, Source]:
    """A recipe from YAML text; `name` is what error messages call the file.

    `like`, which is no field of `Recipe`, names another recipe, as `find` takes it and not itself like a third, whose
    sections stand where the text has none of its own; a row that is only a name is the other's row of that name.

    Raises `RobustMetaError` with the line for anything that is not a recipe.
    """
    data, lines = load_marked(text, name)
    source = Source(name, lines)
    if isinstance(data, dict) and "like" in data:
        data = _completed(data, source)
    return _checked(data, source), source


def _checked(data: Any, source: Source) -> Recipe:
    """The recipe of plain data; raises `RobustMetaError` with the line for anything that is not one."""
    recipe = make(Recipe, data, source)
    if not recipe.rows:
        raise source.error(("rows",), "is empty; a recipe needs at least one learner")
    if not isinstance(recipe.attacks, str | list):
        raise source.error(("attacks",), f"is {recipe.attacks!r}; it must be a suite, as quick, or a list of cards")
    make(Training, recipe.training, source, ("training",))
    seen: set[str] = set()
    for i, row in enumerate(recipe.rows):
        at = ("rows", str(i))
        if row.name in seen:
            raise source.error(at, f"is a second row named {row.name!r}; give one of them a 'name' of its own")
        seen.add(row.name)
        make(Training, {**recipe.training, **row.training}, source, (*at, "training"))
    return recipe


def _completed(data: dict[str, Any], source: Source) -> dict[str, Any]:
    """The sections of a recipe that is like another, with the other's where it has none of its own."""
    wanted = data["like"]
    if not isinstance(wanted, str):
        raise source.error(("like",), f"is {wanted!r}; it must be the name or the path of a recipe")
    if "name" not in data:
        raise source.error((), "'name' is missing; a recipe that is like another has a name of its own")
    text, name = guarded(partial(_text_of, wanted), source, ("like",))
    other, lines = load_marked(text, name)
    if isinstance(other, dict) and "like" in other:
        raise source.error(("like",), f"names {name}, which is like another itself; name one that stands alone")
    whole = _checked(other, Source(name, lines))
    own = {key: value for key, value in data.items() if key != "like"}
    if isinstance(own.get("rows"), list):
        own["rows"] = [_row_of(whole, row, source, i) for i, row in enumerate(own["rows"])]
    return {**whole.as_dict(), **own}


def _row_of(other: Recipe, row: object, source: Source, i: int) -> object:
    """The `i`th row: of a name alone, that of the recipe that this one is like."""
    if not isinstance(row, str):
        return row
    return asdict(guarded(partial(other.row, row), source, ("rows", str(i))))


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
    known = shipped()
    if wanted in known:
        return known[wanted], f"{wanted}.yaml"
    raise RobustMetaError(
        f"there is no recipe {wanted!r}: neither a file nor one of the package's ({', '.join(known)})"
        f"{nearest(wanted, known)}"
    )


def shipped() -> dict[str, str]:
    """The texts of the recipes that ship with the package, by name."""
    found = (item for item in files("robustmeta.recipes").iterdir() if item.name.endswith(".yaml"))
    return {item.name.removesuffix(".yaml"): item.read_text("utf-8") for item in sorted(found, key=str)}

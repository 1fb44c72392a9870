"""Which data a report is of, beyond the name of the data set: the settings in the recipe beside its rows."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from robustmeta.data import DATASETS

TRAINING_ONLY = ("rotations",)
"""Settings of a data set that leave the classes that are tested as they are."""
UNKNOWN = "settings unknown"
"""What stands for the settings of a data set that has some, where no recipe says which they were."""


def with_data_settings(results: pd.DataFrame, recipe: Path) -> pd.DataFrame:
    """The rows with columns `data` and `train_data`: how the data sets tested and trained on were set, in words.

    `by characters`; a setting at the loader's default is left out, so that it is the same whether it was written or
    not. `UNKNOWN` where recipe, a file, is none of these data sets. Columns that are there stay as they are.
    """
    trained, tested = _data_sets(recipe)
    sources = {"data": ("dataset", tested), "train_data": ("train_dataset", trained)}
    found = {
        column: [_words(str(name), settings) for name in results[source]]
        for column, (source, settings) in sources.items()
        if source in results.columns and column not in results.columns
    }
    return results.assign(**found)


def _data_sets(recipe: Path) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The data sets, with their settings, that a recipe trains and tests on; empty where a file says none."""
    try:
        content = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        content = None
    whole = _mapping(content)
    trained = _mapping(whole.get("dataset"))
    return trained, _mapping(_mapping(whole.get("test")).get("dataset")) or trained


def _mapping(content: object) -> Mapping[str, Any]:
    return content if isinstance(content, Mapping) else {}


def _words(name: str, settings: Mapping[str, Any]) -> str:
    defaults = _defaults(name)
    if settings.get("name") != name:
        return "" if defaults == {} else UNKNOWN
    usual = {"name": name, **(defaults or {})}
    return ", ".join(
        f"{key} {value}"
        for key, value in sorted(settings.items())
        if key not in TRAINING_ONLY and (key not in usual or usual[key] != value)
    )


def _defaults(name: str) -> dict[str, Any] | None:
    """The settings of a loader that choose what is tested, at their defaults; None for one that is not known here."""
    if name not in DATASETS:
        return None
    takes = inspect.signature(DATASETS[name]).parameters
    return {key: takes[key].default for key in takes if key not in ("split", "root", *TRAINING_ONLY)}

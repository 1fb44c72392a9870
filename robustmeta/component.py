"""What a registered name and its settings stand for."""

import inspect
from collections.abc import Mapping
from typing import Any

from robustmeta.marked_yaml import Path
from robustmeta.registry import Registry
from robustmeta.schema import Source, arguments, guarded


def component(registry: Registry[Any], settings: Mapping[str, Any], source: Source, path: Path, **given: Any) -> Any:
    """The entry that `settings["name"]` names in a registry, called with the other settings.

    given: what the program itself hands over, of which the entry gets what it takes. Raises `RobustMetaError`, with the
    line of `path` or of the setting, for an unknown name, settings that `arguments` refuses, and what the entry
    refuses.
    """
    entry = guarded(lambda: registry[str(settings.get("name"))], source, (*path, "name"))
    takes = inspect.signature(entry).parameters
    given = {key: value for key, value in given.items() if key in takes}
    checked = arguments(entry, {key: value for key, value in settings.items() if key != "name"}, source, path, given)
    return guarded(lambda: entry(**checked, **given), source, path)

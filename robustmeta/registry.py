"""Names for the things a recipe can ask for: data sets, backbones, learners, defenses, attacks."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from robustmeta.errors import RobustMetaError, unknown

Entry = TypeVar("Entry")


class Registry(Generic[Entry]):
    """A read-mostly mapping from name to entry that answers a misspelt name with the nearest one.

    >>> colours = Registry("colour")
    >>> colours.register("red")(255)
    255
    >>> colours["red"]
    255
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry] = {}

    def register(self, name: str) -> Callable[[Entry], Entry]:
        """A decorator that files its argument under `name`; raises `RobustMetaError` if the name is taken."""

        def file(entry: Entry) -> Entry:
            if name in self._entries:
                raise RobustMetaError(f"the {self.kind} {name!r} is registered twice; choose another name")
            self._entries[name] = entry
            return entry

        return file

    def __getitem__(self, name: str) -> Entry:
        if name not in self._entries:
            raise unknown(self.kind, name, self._entries)
        return self._entries[name]

    def name_of(self, entry: Entry) -> str | None:
        """The name an entry is filed under; None where it is not."""
        return next((name for name, filed in self._entries.items() if filed is entry), None)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

"""The one exception type that a wrong input, setting or file raises."""

from collections.abc import Iterable
from difflib import get_close_matches


class RobustMetaError(ValueError):
    """A wrong input, setting or file, said in one line: what is wrong, where, and what would be right.

    The command line prints the line and exits with status 2; a program catches it as a `ValueError`.
    """


def unknown(kind: str, name: str, known: Iterable[str]) -> RobustMetaError:
    """The error for a `name` that is no `kind`, with the nearest known name and the list of them all."""
    names = sorted(known)
    return RobustMetaError(f"unknown {kind} {name!r}{nearest(name, names)} (known: {', '.join(names)})")


def nearest(name: str, known: Iterable[str]) -> str:
    """The question `; did you mean 'x'?` for the known name nearest to `name`; empty where none is near."""
    near = get_close_matches(str(name), list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""

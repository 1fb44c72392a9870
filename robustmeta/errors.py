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
    near = get_close_matches(str(name), names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return RobustMetaError(f"unknown {kind} {name!r}{hint} (known: {', '.join(names)})")

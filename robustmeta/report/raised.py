"""The flags of a report: what each says, and who raised it."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from robustmeta.audit import CODES
from robustmeta.report.rows import labelled
from robustmeta.report.table import flags

MEANINGS = {
    "stand-in": "the attack does not fit the tasks (commonly too few ways), and the one after the colon ran instead",
    **CODES,
}
"""What a flag says, by its code or the part of it before a colon."""


@dataclass(frozen=True)
class Raised:
    """A flag as it stands in the column `flags`, as `G02:fail`, in a sentence, and the rows and attacks that raised it.

    meaning: empty where the code is nobody's.
    """

    flag: str
    meaning: str
    by: tuple[str, ...]


def raised(results: pd.DataFrame, meanings: Mapping[str, str] | None = None) -> list[Raised]:
    """The flags of the rows, each once, as the table has them; `meanings` come beside, or in place of, `MEANINGS`."""
    known = MEANINGS | dict(meanings or {})
    found: dict[str, list[str]] = {}
    for label, codes in flags(labelled(results)).items():
        for flag, attacks in codes.items():
            found.setdefault(flag, []).append(f"{label} under {', '.join(attacks)}" if attacks else label)
    return [
        Raised(flag, (known.get(flag) or known.get(flag.partition(":")[0], "")).rstrip("."), tuple(by))
        for flag, by in found.items()
    ]

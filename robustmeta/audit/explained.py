"""What each code of the audit means at length: codes.md beside this file, which docs/audit.md holds too."""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Explanation:
    """Of one code, each in Markdown: what it is raised by, why that matters, and what to do."""

    raised: str
    why: str
    remedy: str


@cache
def explanations() -> dict[str, Explanation]:
    """The explanation of every code, by its code, in the order of the page."""
    sections = re.split(r"^### (\w+) .*$", _text(), flags=re.MULTILINE)[1:]
    return {code: _explanation(text) for code, text in zip(sections[::2], sections[1::2], strict=True)}


def _text() -> str:
    return files("robustmeta.audit").joinpath("codes.md").read_text("utf-8")


def _explanation(section: str) -> Explanation:
    own = section.partition("\n## ")[0]  # the title of the next group stands after the last code of this one
    parts = re.split(r"\*\*(?:Raised by|Why it matters\.|What to do\.)\*\*", own)[1:]
    return Explanation(*(" ".join(part.split()) for part in parts))

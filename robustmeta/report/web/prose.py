"""The little Markdown that sentences of a report hold, as HTML."""

import re
from html import escape

MARKS = {
    r"`([^`]+)`": r"<code>\1</code>",
    r"\*\*([^*]+)\*\*": r"<strong>\1</strong>",
    r"(?<!\*)\*([^*\s][^*]*)\*(?!\*)": r"<em>\1</em>",
    r"\[([^]]+)\]\((#[\w-]+)\)": r'<a href="\2">\1</a>',
}
"""Code, strong, emphasis, and links inside the page."""


def prose(text: str) -> str:
    """A paragraph's text, escaped, with its code, strong words, emphasis and links inside the page marked up.

    >>> prose("eps < 1: `worst` of *all*")
    'eps &lt; 1: <code>worst</code> of <em>all</em>'
    """
    held: list[str] = []

    def hold(found: re.Match[str]) -> str:
        held.append(found[0])
        return f"\0{len(held) - 1}\0"

    marked = escape(text, quote=False)
    for pattern, replacement in MARKS.items():
        marked = re.sub(pattern, replacement, marked)
        marked = re.sub(r"<code>.*?</code>", hold, marked)  # nothing in code is a mark
    return re.sub(r"\0(\d+)\0", lambda found: held[int(found[1])], marked)


def slug(text: str) -> str:
    """Text as an id: letters, digits and hyphens."""
    return re.sub(r"\W+", "-", text).strip("-")

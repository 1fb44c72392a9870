"""docs/audit.md speaks of every code, and of no other."""

import re
from pathlib import Path

from robustmeta.audit import CODES

PAGE = (Path(__file__).parents[2] / "docs" / "audit.md").read_text("utf-8")
PARTS = ("**Raised by**", "**Why it matters.**", "**What to do.**")


def test_each_code_has_a_section_of_three_parts_under_its_title() -> None:
    sections = dict(re.findall(r"^### (.+?)\n(.+?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))
    assert list(sections) == [f"{code} {title}" for code, title in CODES.items()]
    for heading, text in sections.items():
        assert [text.count(part) for part in PARTS] == [1, 1, 1], heading
        first, second, third = (text.index(part) for part in PARTS)
        assert first < second < third, heading

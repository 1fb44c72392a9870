"""docs/audit.md speaks of every code, and of no other, and holds the text that the package explains codes with."""

import re
from pathlib import Path

from robustmeta.audit import CODES, explanations

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "audit.md").read_text("utf-8")
SOURCE = (ROOT / "robustmeta" / "audit" / "codes.md").read_text("utf-8")
PARTS = ("**Raised by**", "**Why it matters.**", "**What to do.**")


def test_each_code_has_a_section_of_three_parts_under_its_title() -> None:
    sections = dict(re.findall(r"^### (.+?)\n(.+?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))
    assert list(sections) == [f"{code} {title}" for code, title in CODES.items()]
    for heading, text in sections.items():
        assert [text.count(part) for part in PARTS] == [1, 1, 1], heading
        first, second, third = (text.index(part) for part in PARTS)
        assert first < second < third, heading


def test_the_page_ends_with_the_text_of_the_package() -> None:
    first = SOURCE.partition("\n")[0]
    assert PAGE[PAGE.index(first) :] == SOURCE, "codes.md of robustmeta/audit is the source: copy it into docs/audit.md"


def test_an_explanation_is_what_its_section_says() -> None:
    assert list(explanations()) == list(CODES)
    for code, said in explanations().items():
        assert all((said.raised, said.why, said.remedy)), code
        assert not any(mark in text for text in (said.raised, said.why, said.remedy) for mark in ("**", "##", "\n"))
    assert explanations()["B08"].remedy.endswith(
        "they try images even where they return none."
    )  # the last of its group
    assert explanations()["B02"].raised == "an attack that returns pixels outside [0, 1], NaN or infinite ones."

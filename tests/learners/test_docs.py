"""docs/learners.md: its numbers are those of the committed reports, its differences those from the papers."""

import re
from pathlib import Path

import pytest

from robustmeta.report.table import percent
from robustmeta.report.write import read_rows

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "learners.md").read_text("utf-8")
ROWS = re.findall(r"^\| `([\w-]+)` \| (.*?) \|$", PAGE, re.MULTILINE)
ONE, FIVE = (
    read_rows(ROOT / "reports" / name / "results.csv")
    for name in ("learners-omniglot-clean", "learners-omniglot-clean-5s")
)


def test_every_learner_of_the_report_has_its_row() -> None:
    assert sorted(name for name, _ in ROWS) == sorted(ONE["learner"].unique())


@pytest.mark.parametrize(("learner", "row"), ROWS)
def test_a_row_is_that_of_the_reports(learner, row) -> None:
    published, *here, difference, policy = (cell.strip() for cell in row.split("|"))
    found = [frame[(frame["learner"] == learner) & (frame["attack"] == "clean")].iloc[0] for frame in (ONE, FIVE)]
    assert here == [percent(each["accuracy"], each["ci95"]) for each in found]
    assert policy == found[0]["norm_policy"]
    marks = [float(mark) for mark in published.split(" / ")]
    gaps = [f"{round(100 * each['accuracy'] - mark, 1) + 0.0:+.1f}" for each, mark in zip(found, marks, strict=False)]
    assert difference == " / ".join(gaps)

"""docs/learners.md: its numbers are those of the committed reports, its differences those from the papers."""

import re
from pathlib import Path

import pandas as pd
import pytest

from robustmeta.report.table import percent
from robustmeta.report.write import read_rows

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "learners.md").read_text("utf-8")
ROWS = re.findall(r"^\| `([\w-]+)`(?:, ([\w, ]+))? \| (.*?) \|$", PAGE, re.MULTILINE)
REPORTS = {"": "learners-omniglot-clean", "trained longer": "maml-omniglot-clean"}


def results(report: str) -> pd.DataFrame:
    return read_rows(ROOT / "reports" / report / "results.csv")


def test_every_learner_of_the_reports_has_its_row() -> None:
    for which, report in REPORTS.items():
        assert sorted(name for name, own, _ in ROWS if own == which) == sorted(results(report)["learner"].unique())


@pytest.mark.parametrize(("learner", "which", "row"), ROWS)
def test_a_row_is_that_of_the_reports(learner, which, row) -> None:
    published, *here, difference, policy = (cell.strip() for cell in row.split("|"))
    tables = [results(REPORTS[which] + shots) for shots in ("", "-5s")]
    found = [frame[(frame["learner"] == learner) & (frame["attack"] == "clean")].iloc[0] for frame in tables]
    assert here == [percent(each["accuracy"], each["ci95"]) for each in found]
    assert policy == found[0]["norm_policy"]
    marks = [float(mark) for mark in published.split(" / ")]
    gaps = [f"{round(100 * each['accuracy'] - mark, 1) + 0.0:+.1f}" for each, mark in zip(found, marks, strict=False)]
    assert difference == " / ".join(gaps)

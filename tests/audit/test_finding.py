"""Verdicts, flags, and the lines under a table."""

import pytest

from robustmeta.audit.finding import CODES, Finding, counted, flags, graded, lines, worst


def found(code: str, verdict: str, subject: str = "", evidence: float = 0.0) -> Finding:
    return Finding(code, verdict, subject, evidence, 0.0, f"evidence {evidence:g}")


@pytest.mark.parametrize(
    ("evidence", "limits", "verdict", "threshold"),
    [
        (0.01, {"warn": 0.01, "fail": 0.05}, "pass", 0.01),
        (0.02, {"warn": 0.01, "fail": 0.05}, "warn", 0.01),
        (0.06, {"warn": 0.01, "fail": 0.05}, "fail", 0.01),
        (float("inf"), {"fail": 0}, "fail", 0),
        (0.9, {"warn": 0.5}, "warn", 0.5),
    ],
)
def test_a_verdict_is_that_of_the_highest_limit_crossed(evidence, limits, verdict, threshold) -> None:
    made = graded("S02", "pgd", evidence, "text", **limits)
    assert made == Finding("S02", verdict, "pgd", evidence, threshold, "text")


@pytest.mark.parametrize(
    ("count", "total", "verdict"), [(0, 20, "pass"), (1, 20, "warn"), (2, 20, "fail"), (2, 400, "pass"), (0, 0, "pass")]
)
def test_a_single_query_warns_at_most(count, total, verdict) -> None:
    made = counted("S07", "fgsm", count, total, "queries", fail=0.01)
    assert made.verdict == verdict
    assert made.text == f"{count} of {total} queries"


def test_the_worst_is_the_largest_of_the_worst_verdict() -> None:
    of = [found("S08", "pass", "a", 9), found("S08", "warn", "b", 1), found("S08", "warn", "c", 2)]
    assert worst(of).subject == "c"


def test_flags_are_the_codes_of_a_row_in_order_without_passes() -> None:
    findings = [
        found("S08", "warn", "apgd"),
        found("S07", "fail", "fgsm"),
        found("G02", "fail"),
        found("G01", "pass"),
        found("S08", "fail", "pgd"),
        found("B01", "pass", "pgd"),
    ]
    assert flags(findings, "clean") == "G02:fail"
    assert flags(findings, "pgd") == "G02:fail,S08:fail"
    assert flags(findings, "apgd") == "G02:fail,S08:warn"
    assert flags(findings, "worst") == "G02:fail,S07:fail,S08:fail"
    assert flags([], "worst") == ""


def test_lines_name_the_rows_that_do_not_pass() -> None:
    rows = {
        "natural": [found("S08", "warn", "mifgsm", 0.02), found("B01", "pass", "pgd", 1e-9)],
        "aq": [found("G02", "fail", "", 90), found("S08", "pass", "mifgsm"), found("B01", "pass", "pgd", 2e-8)],
    }
    assert lines(rows) == [
        f"[pass] B01 {CODES['B01']}: evidence 2e-08 (aq, pgd)",
        f"[fail] G02 {CODES['G02']}",
        "    fail: aq: evidence 90",
        f"[warn] S08 {CODES['S08']}",
        "    warn: natural, mifgsm: evidence 0.02",
    ]
    assert lines({}) == []

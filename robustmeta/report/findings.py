"""The audit's findings as they stand under a table."""

import pandas as pd

from robustmeta.audit import Finding, lines
from robustmeta.report.rows import AUDIT, labelled, require


def findings_by_row(audit: pd.DataFrame) -> dict[str, list[Finding]]:
    """The findings in the rows of audit.csv, by the learner they are about.

    Raises `RobustMetaError` for missing columns or no rows.
    """
    require(audit, AUDIT, "audit")
    found: dict[str, list[Finding]] = {}
    for row in labelled(audit).to_dict("records"):
        finding = Finding(**{name: row[name] for name in AUDIT if name not in ("learner", "defense")})
        found.setdefault(row["label"], []).append(finding)
    return found


def audit_lines(audit: pd.DataFrame) -> list[str]:
    """`[pass]`, `[warn]` and `[fail]` lines of the rows of audit.csv, one a check, and one a learner that it is about.

    Raises `RobustMetaError` for missing columns or no rows.
    """
    return lines(findings_by_row(audit))

"""The audit's lines under a table."""

import pandas as pd
import pytest

from robustmeta.errors import RobustMetaError
from robustmeta.report.findings import audit_lines

ROWS = [
    ("maml", "natural", "B01", "pass", "pgd-20", 0.0, 1e-6, "at most 0 beyond eps"),
    ("maml", "natural", "G02", "warn", "", 0.02, 0.05, "2% of right queries"),
    ("maml", "aq", "B01", "pass", "pgd-20", 0.0, 1e-6, "at most 0 beyond eps"),
    ("maml", "aq", "G02", "fail", "", 0.5, 0.05, "50% of right queries"),
]
COLUMNS = ["learner", "defense", "code", "verdict", "subject", "evidence", "threshold", "text"]


def test_each_check_has_its_line_and_each_learner_that_did_not_pass_is_named_with_its_evidence() -> None:
    found = audit_lines(pd.DataFrame(ROWS, columns=COLUMNS))
    text = "\n".join(found)
    assert found[0].startswith("[pass] B01")
    assert any(line.startswith("[fail] G02") for line in found)
    for label, evidence in (("maml / natural", "2% of right queries"), ("maml / aq", "50% of right queries")):
        assert any(label in line and evidence in line for line in found), text


def test_a_table_without_the_columns_is_refused() -> None:
    with pytest.raises(RobustMetaError, match="the audit table has no column verdict"):
        audit_lines(pd.DataFrame(ROWS, columns=COLUMNS).drop(columns="verdict"))

"""Rows to tables, figures and pages."""

from robustmeta.report.figure import accuracy_against_eps
from robustmeta.report.findings import audit_lines
from robustmeta.report.page import report_page
from robustmeta.report.setting import Setting
from robustmeta.report.table import as_markdown, as_text, comparison
from robustmeta.report.write import Report, read_rows, write_report, write_rows

__all__ = [
    "Report",
    "Setting",
    "accuracy_against_eps",
    "as_markdown",
    "as_text",
    "audit_lines",
    "comparison",
    "read_rows",
    "report_page",
    "write_report",
    "write_rows",
]

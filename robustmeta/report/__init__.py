"""Rows to tables, figures and pages."""

from robustmeta.report.figures import (
    accuracy_against_eps,
    accuracy_against_steps,
    accuracy_by_episode,
    clean_against_worst,
    figures,
    gallery,
)
from robustmeta.report.findings import audit_lines
from robustmeta.report.html_table import as_html
from robustmeta.report.latex import as_latex
from robustmeta.report.leading import leading
from robustmeta.report.page import report_page
from robustmeta.report.picture import Picture
from robustmeta.report.reading import short_of_plan
from robustmeta.report.setting import Setting
from robustmeta.report.table import as_markdown, as_text, comparison
from robustmeta.report.web import html_page
from robustmeta.report.write import Report, read_rows, write_report, write_rows

__all__ = [
    "Picture",
    "Report",
    "Setting",
    "accuracy_against_eps",
    "accuracy_against_steps",
    "accuracy_by_episode",
    "as_html",
    "as_latex",
    "as_markdown",
    "as_text",
    "audit_lines",
    "clean_against_worst",
    "comparison",
    "figures",
    "gallery",
    "html_page",
    "leading",
    "read_rows",
    "report_page",
    "short_of_plan",
    "write_report",
    "write_rows",
]

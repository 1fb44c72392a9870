"""report.html: the report as one page that needs nothing but itself."""

from robustmeta.report.web.document import html_page

__all__ = ["html_page"]

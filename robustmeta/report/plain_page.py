"""One page of HTML with a table and what is said about it, without a script and without the network."""

import re
from collections.abc import Sequence
from html import escape

STYLE = """
:root { color-scheme: light dark; --line: #d0d7de; --soft: #59636e; --warn: #9a6700; --even: #f6f8fa; }
@media (prefers-color-scheme: dark) { :root { --line: #3d444d; --soft: #9198a1; --warn: #d29922; --even: #151b23; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 90rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.9rem; }
th, td { padding: 0.35rem 0.8rem; text-align: left; white-space: nowrap; border-bottom: 1px solid var(--line); }
td:not(.num):last-child { white-space: normal; min-width: 12rem; }
.num { text-align: right; font-variant-numeric: tabular-nums; }
tbody th { font-weight: normal; }
tbody tr:nth-child(even) { background: var(--even); }
.warnings { border-left: 4px solid var(--warn); padding: 0.2rem 1rem 0.2rem 2rem; margin: 1rem 0; }
.note { color: var(--soft); max-width: 60rem; font-size: 0.9rem; }
code { font-size: 0.95em; }
""".strip()
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body>
<h1>{title}</h1>
{told}<div class="wide" tabindex="0" role="region" aria-label="{title}">
{table}
</div>
{notes}</body>
</html>
"""


def plain_page(title: str, table: str, note: Sequence[str], warnings: Sequence[str] = ()) -> str:
    """The page. table: HTML as `as_html` makes it; the rest is plain text, with `code` in backticks."""
    items = "".join(f"<li>{_text(line)}</li>\n" for line in warnings)
    told = f'<ul class="warnings">\n{items}</ul>\n' if items else ""
    notes = "".join(f'<p class="note">{_text(line)}</p>\n' for line in note)
    return PAGE.format(policy=POLICY, title=escape(title), style=STYLE, told=told, table=table, notes=notes)


def _text(line: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(line, quote=False))

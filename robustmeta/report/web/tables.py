"""The tables of the page: what `as_html` makes, in a box of its own that scrolls."""

import json
import re
from collections.abc import Container, Sequence
from html import escape

import pandas as pd

from robustmeta.audit import explanations
from robustmeta.report.html_table import as_html
from robustmeta.report.leading import RULE, leading
from robustmeta.report.raised import Raised
from robustmeta.report.rows import labelled
from robustmeta.report.table import WORST, comparison
from robustmeta.report.web.prose import prose, slug


def boxed(frame: pd.DataFrame, name: str, bold: pd.DataFrame | None = None) -> str:
    """A table in a box that scrolls by itself; name: what the box is called for those who do not see it."""
    table = as_html(frame, bold)
    table = re.sub(r"( ± (?:[\d.]+|n/a))(?=<)", r'<span class="ci">\1</span>', table)
    columns = "".join(f"<col{_kind(str(column))}>" for column in ("", *frame.columns))
    table = table.replace("<table>", f"<table><colgroup>{columns}</colgroup>", 1)
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(name)}">{table}</div>'


def accuracies(results: pd.DataFrame, raised: Sequence[Raised]) -> str:
    """The comparison with its best values bold and its flags explained; the script makes it sorted and filtered."""
    frame = comparison(results)
    box = boxed(frame, "Accuracy, %", leading(results))
    head, body, tail = re.split(r"(<tbody>.*</tbody>)", box, flags=re.DOTALL)
    links = {escape(one.flag): _flag(one) for one in raised}
    if links:
        alone = rf"(?<![\w:-])(?:{'|'.join(map(re.escape, links))})(?![\w:-])"  # and not inside a longer flag
        body = re.sub(alone, lambda found: links[found[0]], body)
    who = labelled(results).drop_duplicates("label")[["learner", "defense"]].to_dict("list")
    return (
        f'<div class="chosen" data-who="{escape(json.dumps(who))}">{head}{body}{tail}</div><p class="quiet">{RULE}</p>'
    )


def flag_list(raised: Sequence[Raised], audited: Container[str]) -> str:
    """What the flags say, and who raised them, with a link to the finding of codes `audited`; empty without flags."""
    items = [
        f'<li id="flag-{slug(one.flag)}"><code class="{_verdict(one.flag)}">{escape(one.flag)}</code> '
        f"{prose(one.meaning)}{'. Raised' if one.meaning else 'raised'} by {escape('; '.join(one.by))}. "
        + (f'<a href="#{code}">Why, and what to do</a>.' if (code := one.flag.partition(":")[0]) in audited else "")
        + "</li>"
        for one in raised
    ]
    return f'<h3>Flags</h3><ul class="flags">{"".join(items)}</ul>' if items else ""


def _flag(one: Raised) -> str:
    text = escape(one.flag)
    told = explanations().get(one.flag.partition(":")[0])
    said = one.meaning + (f": raised by {told.raised}" if told else "")
    tip = f'<span class="tip" role="tooltip">{prose(said)}</span>' if said else ""
    return f'<a class="flag {_verdict(one.flag)}" href="#flag-{slug(one.flag)}">{text}{tip}</a>'


def _verdict(flag: str) -> str:
    return verdict if (verdict := flag.rpartition(":")[2]) in ("warn", "fail") else "warn"


def _kind(column: str) -> str:
    return ' class="key"' if column == WORST else ""

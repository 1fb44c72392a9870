"""The page put together: its sections, its style and its script in one file that asks the network for nothing."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template

import pandas as pd
import yaml

from robustmeta.report.conduct import conduct
from robustmeta.report.drops import DROPPED, drops
from robustmeta.report.origin import origin
from robustmeta.report.paired import GAINED, differences
from robustmeta.report.picture import Picture
from robustmeta.report.raised import raised
from robustmeta.report.reading import reading
from robustmeta.report.setting import Setting
from robustmeta.report.web.audited import audit_section, verdicts
from robustmeta.report.web.headline import headline
from robustmeta.report.web.prose import prose
from robustmeta.report.web.tables import accuracies, boxed, flag_list

ROWS = {"curve": "curve.csv", "steps": "steps.csv", "episodes": "episodes.csv", "pareto": "results.csv"}
"""The file that holds the rows of a picture, by its name."""


def html_page(
    results: pd.DataFrame,
    recipe_text: str,
    command: str,
    machine: str,
    *,
    pictures: Sequence[Picture] = (),
    meanings: Mapping[str, str] | None = None,
    audit: pd.DataFrame | None = None,
    episodes: pd.DataFrame | None = None,
    beside: Mapping[str, str] | None = None,
) -> str:
    """The text of report.html: what `report_page` says, with tables that sort and filter, pictures and explanations.

    pictures: drawn into the page, in their order. beside: what is in the folder of the page, as a file's name and
    its text; those are linked, and held in the page. The other settings and the errors are those of `report_page`.
    Without a script the tables stand as they come, and nothing is missing from the page.
    """
    setting = Setting.of(results)
    flags = raised(results, meanings)
    found = {} if audit is None or audit.empty else verdicts(audit)
    audited = {said.code for of_verdict in found.values() for said in of_verdict}
    gained = pd.DataFrame() if episodes is None else differences(results, episodes)
    dropped = drops(results)
    sections = {
        "Accuracy": (
            "Accuracy, %",
            _reading(results, setting) + accuracies(results, flags) + flag_list(flags, audited),
        ),
        "Figures": ("Figures", "".join(map(_figure, pictures))),
        "Drop": ("Drop from clean, percentage points", _table(dropped, DROPPED)),
        "Gain": ("Minus adversarial querying, percentage points", _table(gained, GAINED)),
        "Learners": ("Learners", boxed(conduct(results), "Learners")),
        "Audit": ("Audit", audit_section(found) if found else ""),
        "Reproduce": ("Reproduce", _reproduce(results, setting, machine, command, recipe_text, beside or {})),
    }
    there = {name: section for name, section in sections.items() if section[1]}
    return Template(_part("template.html")).substitute(
        title=escape(f"{setting.tasks}: accuracy under attack ({setting.budget})"),
        style=_part("page.css"),
        script=_part("page.js"),
        links="".join(f'<li><a href="#{name.lower()}">{name}</a></li>' for name in there),
        headline=headline(results, setting, found, _name_in(recipe_text)),
        sections="\n".join(
            f'<section id="{name.lower()}" aria-labelledby="{name.lower()}-title">'
            f'<h2 id="{name.lower()}-title">{title}</h2>{body}</section>'
            for name, (title, body) in there.items()
        ),
    )


def _name_in(recipe_text: str) -> str:
    content = yaml.safe_load(recipe_text)
    return str(content.get("name", "")) if isinstance(content, Mapping) else ""


def _part(name: str) -> str:
    return files("robustmeta.report.web").joinpath(name).read_text("utf-8").strip()


def _reading(results: pd.DataFrame, setting: Setting) -> str:
    said = (f"<div><dt>{name}</dt><dd>{prose(text)}</dd></div>" for name, text in reading(results, setting).items())
    return f'<dl class="reading">{"".join(said)}</dl>'


def _table(frame: pd.DataFrame, said: str) -> str:
    return "" if frame.empty else f"<p>{prose(said)}</p>{boxed(frame, said.partition(':')[0])}"


def _figure(picture: Picture) -> str:
    svg = picture.svg()
    natural = float(svg.partition('viewBox="')[2].partition('"')[0].split()[2]) * 4 / 3  # in pixels of the page
    rows = ROWS.get(picture.name)
    link = f' Rows: <a href="{rows}">{rows}</a>.' if rows else ""
    return (
        f'<figure id="figure-{picture.name}"><h3>{escape(picture.title)}</h3>'
        f'<div class="scroll plot" role="region" tabindex="0" aria-label="{escape(picture.title)}" '
        f'style="--wide:{natural:.0f}px">{svg}</div>'
        f"<figcaption>{escape(picture.caption)}{link}</figcaption></figure>"
    )


def _reproduce(
    results: pd.DataFrame, setting: Setting, machine: str, command: str, recipe: str, beside: Mapping[str, str]
) -> str:
    facts = "".join(
        f"<div><dt>{name}</dt><dd>{prose(said)}</dd></div>" for name, said in origin(results, setting, machine).items()
    )
    held = ", ".join(f'<a download="{name}" href="{_data(text)}">{name}</a>' for name, text in beside.items())
    return (
        f"<h3>Command</h3>{_block(command, 'Command')}"
        f"<details open><summary>Recipe</summary>{_block(recipe.strip(), 'Recipe')}</details>"
        f'<dl class="origin">{facts}</dl>' + (f"<p>Held in this page: {held}.</p>" if held else "")
    )


def _block(text: str, name: str) -> str:
    return f'<pre class="copied" role="region" tabindex="0" aria-label="{name}"><code>{escape(text)}</code></pre>'


def _data(text: str) -> str:
    return "data:text/plain;charset=utf-8;base64," + base64.b64encode(text.encode()).decode()

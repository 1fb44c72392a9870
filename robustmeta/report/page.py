"""report.md: the comparison table beside the recipe and the command that made it."""

import re
from collections.abc import Mapping, Sequence

import pandas as pd

from robustmeta.report.conduct import conduct
from robustmeta.report.drops import DROPPED, drops
from robustmeta.report.findings import audit_lines
from robustmeta.report.origin import origin
from robustmeta.report.paired import GAINED, differences
from robustmeta.report.picture import Picture
from robustmeta.report.raised import raised
from robustmeta.report.reading import AUDITED, reading
from robustmeta.report.setting import Setting
from robustmeta.report.table import as_markdown, comparison, escaped

LEADING = ("pareto", "curve")
"""The pictures that stand right under the table."""
ROWS = {"Rows": "`results.csv`, `episodes.csv`; command and recipe:"}


def report_page(
    results: pd.DataFrame,
    recipe_text: str,
    command: str,
    machine: str,
    *,
    pictures: Sequence[Picture] = (),
    meanings: Mapping[str, str] | None = None,
    audit: pd.DataFrame | None = None,
    episodes: pd.DataFrame | None = None,
) -> str:
    """The text of report.md, in Markdown.

    results: the rows of one setting. recipe_text: the YAML as run. command: the shell line that made the rows.
    machine: what it ran on, in one line. pictures: those that stand beside the page as PNG.
    meanings: what each flag says, by its code or the part before a colon; beside, or in place of, `MEANINGS`.
    audit: the rows of audit.csv, if there was an audit. episodes: those of episodes.csv, for paired differences.
    Raises `RobustMetaError` for missing columns, no rows, or rows of more than one setting.
    """
    setting = Setting.of(results)
    title = f"# {setting.tasks}: accuracy under attack ({setting.budget})"
    parts = [title, " ".join(reading(results, setting).values()), "## Accuracy, %", as_markdown(comparison(results))]
    parts += [_image(picture) for picture in pictures if picture.name in LEADING]
    dropped = drops(results)
    if not dropped.empty:
        parts += ["## Drop from clean, percentage points", DROPPED, as_markdown(dropped)]
    gained = pd.DataFrame() if episodes is None else differences(results, episodes)
    if not gained.empty:
        parts += ["## Minus adversarial querying, percentage points", GAINED, as_markdown(gained)]
    for picture in pictures:
        if picture.name not in LEADING:
            parts += [f"## {picture.title}", _image(picture), escaped(picture.caption)]
    parts += ["## Learners", as_markdown(conduct(results)), *_flags(results, meanings)]
    if audit is not None and not audit.empty:
        parts += ["## Audit", AUDITED.format(where="in docs/audit.md"), _block("\n".join(audit_lines(audit)), "text")]
    parts += [
        "## Provenance",
        "\n".join(f"- {name}: {said}" for name, said in {**origin(results, setting, machine), **ROWS}.items()),
        _block(command, "sh"),
        _block(recipe_text, "yaml"),
    ]
    return "\n\n".join(parts) + "\n"


def _image(picture: Picture) -> str:
    return f"![{escaped(f'{picture.title}. {picture.caption}')}]({picture.name}.png)"


def _flags(results: pd.DataFrame, meanings: Mapping[str, str] | None) -> list[str]:
    lines = [
        f"- `{found.flag}`: {f'{found.meaning}. Raised' if found.meaning else 'raised'} by "
        f"{escaped('; '.join(found.by))}."
        for found in raised(results, meanings)
    ]
    return ["## Flags", "\n".join(lines)] if lines else []


def _block(text: str, language: str) -> str:
    """A fenced block, whose fence is longer than any in the text."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text.strip()}\n{fence}"

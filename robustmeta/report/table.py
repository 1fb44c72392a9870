"""Rows to comparison tables: learners down, attacks across, as text and as Markdown."""

import re

import pandas as pd

from robustmeta.report.cells import bold_cells, columns_of, numeric
from robustmeta.report.rows import CERTIFIED, labelled, require, unrepeated
from robustmeta.report.rows import CLEAN as CLEAN
from robustmeta.report.rows import WORST as WORST
from robustmeta.report.standing import ranks

TARGETS = {"support": "support", "joint": "support + query"}


def percent(mean: float, half_width: float) -> str:
    """`69.1 ± 1.2` from fractions of 1; `n/a` where there is no interval (one episode), `-` where no value."""
    if pd.isna(mean):
        return "-"
    return f"{100 * mean:.1f} ± " + ("n/a" if pd.isna(half_width) else f"{100 * half_width:.1f}")


def attack_names(results: pd.DataFrame) -> list[str]:
    """`clean`, the attacks on queries in the order of their first row, `worst`, then attacks on other targets."""
    seen = list(results["attack"].unique())
    elsewhere = [name for name in seen if _target(results, name) not in ("", "query")]
    between = [name for name in seen if name not in (CLEAN, WORST, *elsewhere)]
    return [CLEAN] * (CLEAN in seen) + between + [WORST] * (WORST in seen) + elsewhere


def comparison(results: pd.DataFrame, value: str = "accuracy", interval: str = "ci95") -> pd.DataFrame:
    """The table of a paper: one row a learner and defense, one column an attack, cells `69.1 ± 1.2` in percent.

    value, interval: the columns of `results` to show, fractions of 1; `drop` and `drop_ci95` give the drops.
    Attacks on the support stand after `worst`, of which they are no part, and are named so.
    Two audited learners or more under a worst case bring a column `rank` by it, in which a row that failed a check of
    the audit is unranked. Rows with flags bring a last column `flags`, which says of each code which attacks raised it.
    Raises `RobustMetaError` for missing columns, no rows, or two rows of one learner under one attack.
    """
    require(results, ("learner", "defense", "attack", value, interval), "results")
    rows = labelled(results)
    unrepeated(rows, ("label", "attack"), "results")
    cells = {
        (label, attack): percent(mean, half_width)
        for label, attack, mean, half_width in zip(
            rows["label"], rows["attack"], rows[value], rows[interval], strict=True
        )
    }
    names, attacks = list(rows["label"].unique()), attack_names(results)
    frame = pd.DataFrame(
        [[cells.get((name, attack), "-") for attack in attacks] for name in names],
        index=pd.Index(names, name="learner / defense"),
        columns=[title(results, attack) for attack in attacks],
        dtype=object,
    )
    raised = flags(rows)
    if value == "accuracy" and "audit" in rows.columns and (rows["attack"] == WORST).sum() > 1:
        places = ranks(rows)
        frame["rank"] = [str(places.get(name, "-")) for name in names]
    if raised:
        frame["flags"] = [_spell(raised.get(name, {})) for name in names]
    return frame


def _target(results: pd.DataFrame, attack: str) -> str:
    return str(results.loc[results["attack"] == attack, "target"].iloc[0]) if "target" in results.columns else ""


def title(results: pd.DataFrame, attack: str) -> str:
    """The column of an attack: its name, and what it moves where that is not the queries."""
    target = _target(results, attack)
    return attack if target in ("", "query", CERTIFIED) else f"{attack} ({TARGETS.get(target, target)})"


def flags(rows: pd.DataFrame) -> dict[str, dict[str, list[str]]]:
    """Of labelled rows: the codes each label was flagged with, and the attacks that raised each (none: all did)."""
    found: dict[str, dict[str, list[str]]] = {}
    for label, group in rows.groupby("label", sort=False):
        codes: dict[str, list[str]] = {}
        for attack, listed in zip(group["attack"], group.get("flags", [""] * len(group)), strict=True):
            for code in [] if pd.isna(listed) else filter(None, map(str.strip, str(listed).split(","))):
                codes.setdefault(code, []).append(attack)
        if codes:
            found[str(label)] = {code: [] if len(at) == len(group) else at for code, at in codes.items()}
    return found


def _spell(codes: dict[str, list[str]]) -> str:
    return "; ".join(f"{code} ({', '.join(attacks)})" if attacks else code for code, attacks in codes.items())


def as_text(frame: pd.DataFrame) -> str:
    """The table in fixed width for a terminal: numbers right-aligned, a rule under the head, no last newline."""
    columns = columns_of(frame)
    widths = [max(map(len, column)) for column in columns]
    right = [numeric(column[1:]) for column in columns]
    lines = [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in zip(*columns, strict=True)
    ]
    return "\n".join([lines[0], "-" * (sum(widths) + 2 * (len(widths) - 1)), *lines[1:]])


def as_markdown(frame: pd.DataFrame, bold: pd.DataFrame | None = None) -> str:
    """The table as GitHub Markdown: numbers right-aligned, cells as plain text, no last newline.

    bold: True for the cells of the same row and column names that are to be bold.
    """
    plain, marked = columns_of(frame), bold_cells(frame, bold)
    columns = [
        [
            escaped(head),
            *(f"**{escaped(cell)}**" if strong else escaped(cell) for cell, strong in zip(cells, own, strict=True)),
        ]
        for (head, *cells), own in zip(plain, marked, strict=True)
    ]
    widths = [max(3, *map(len, column)) for column in columns]
    right = [numeric(column[1:]) for column in plain]
    rule = ["-" * (width - 1) + ":" if r else "-" * width for width, r in zip(widths, right, strict=True)]
    lines = [
        [cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(line, widths, right, strict=True)]
        for line in zip(*columns, strict=True)
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in [lines[0], rule, *lines[1:]])


def escaped(text: str) -> str:
    """Plain text on one line of Markdown that shows it as it is; `_` inside a word is no mark, and stays."""
    marks = r"[\\`*\[\]<&~|]|(?<!\w)_|_(?!\w)"
    return re.sub(marks, lambda mark: "\\" + mark[0], " ".join(text.splitlines()))

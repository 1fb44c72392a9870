"""The head of the page: what was measured, in words, and what came of it."""

from html import escape

import pandas as pd

from robustmeta.audit import Summary
from robustmeta.report.reading import trained_shares
from robustmeta.report.rows import labelled
from robustmeta.report.setting import Setting, trained_elsewhere
from robustmeta.report.standing import trusted
from robustmeta.report.table import CLEAN, WORST, percent


def headline(results: pd.DataFrame, setting: Setting, audit: dict[str, list[Summary]], recipe: str) -> str:
    """The title, the best worst case of a row that fails no check, and the facts of the setting.

    recipe: its name; empty where it has none.
    """
    trained = trained_elsewhere(results)
    facts = {
        "Task": f"{setting.ways}-way {setting.shots}-shot, {_count(setting.queries, 'query', 'queries')} a class",
        "Data": f"{setting.dataset}, {setting.split} split{trained and f'; trained on {trained}'}",
        "Threat": f"{setting.norm_text} ≤ {setting.eps_text}, pixels 0 to 1",
        "Episodes": f"{setting.episodes:,}, seed {setting.seed}",
        "Guessing": f"{100 * setting.chance:.3g}%",
    }
    suites = [name for name in results.get("suite", pd.Series(dtype=str)).dropna().unique() if name]
    if suites:
        facts["Suite"] = ", ".join(suites)
    items = [f"<div><dt>{name}</dt><dd>{escape(fact)}</dd></div>" for name, fact in facts.items()]
    if any(audit.values()):
        counts = [
            f'<span class="{verdict}">{len(audit[verdict])} {word}</span>'
            for verdict, word in (("pass", "passed"), ("warn", "warned"), ("fail", "failed"))
            if audit[verdict]
        ]
        items.append(f'<div><dt>Audit</dt><dd><a href="#audit">{", ".join(counts)}</a></dd></div>')
    return (
        f'<h1>{escape(setting.dataset)}, <span class="whole">{setting.ways}-way {setting.shots}-shot</span>'
        f" <small>accuracy under attack{recipe and f', <code>{escape(recipe)}</code>'}</small></h1>"
        f'{_best(results)}<dl class="facts">{"".join(items)}</dl>'
    )


def _best(results: pd.DataFrame) -> str:
    rows = labelled(results)
    worst = rows[(rows["attack"] == WORST) & trusted(rows)]
    if worst.empty:
        return ""
    best = worst.sort_values("accuracy", ascending=False, kind="stable").iloc[0]
    clean = rows[(rows["label"] == best["label"]) & (rows["attack"] == CLEAN)].iloc[0]
    value, clean_value = (percent(row["accuracy"], row["ci95"]) for row in (best, clean))
    least, most = trained_shares(results).agg(["min", "max"])
    trained = "" if least == 100 else f" All rows trained for {least:.0f}% of their outer steps."
    if least < most:
        trained = " Not every row was trained to its end."
    among = f"The best worst case of {len(worst)} rows" if len(worst) > 1 else "Worst case"
    return (
        f'<p class="best"><span class="value">{value.partition(" ±")[0]}<span class="unit">%</span></span>'
        f"<span>{among}: <strong>{escape(best['label'])}</strong>, {_whole(value)} with every attack of the suite "
        f"counted, {_whole(clean_value)} clean.{trained}</span></p>"
    )


def _whole(value: str) -> str:
    """A number and its interval, never parted by a line's end."""
    return f'<span class="whole">{value}%</span>'


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"

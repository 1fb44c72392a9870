"""The audit's findings, the worst first, each with its explanation."""

from collections.abc import Sequence
from html import escape

import pandas as pd

from robustmeta.audit import CODES, Summary, explanations, summaries
from robustmeta.report.findings import findings_by_row
from robustmeta.report.reading import AUDITED
from robustmeta.report.web.prose import prose

GROUPS = {"fail": "Failed", "warn": "Warned", "pass": "Passed"}


def verdicts(audit: pd.DataFrame) -> dict[str, list[Summary]]:
    """What the checks say of all rows together, by verdict, the worst first."""
    found = summaries(findings_by_row(audit))
    return {verdict: [said for said in found if said.verdict == verdict] for verdict in GROUPS}


def audit_section(found: dict[str, list[Summary]]) -> str:
    """The groups of findings, one block a check that opens on its explanation, and the checks that said nothing."""
    groups = [
        f'<h3 class="{verdict}">{GROUPS[verdict]} <span class="count">{len(said)}</span></h3>{_checks(said)}'
        for verdict, said in found.items()
        if said
    ]
    silent = [code for code in CODES if all(code != said.code for of in found.values() for said in of)]
    if silent:
        names = ", ".join(f"{code} {CODES[code]}" for code in silent)
        groups.append(
            f'<p class="quiet">No evidence was asked for, or there, on: {escape(names)}. <code>--audit full</code> '
            "runs all checks; one that says nothing has not passed.</p>"
        )
    return f"<p>{prose(AUDITED.format(where='under it'))}</p>" + "".join(groups)


def _checks(found: Sequence[Summary]) -> str:
    return "".join(_check(said) for said in found)


def _check(said: Summary) -> str:
    passed = said.verdict == "pass"
    evidence = f'<span class="evidence">{escape(said.clauses[0][1])}</span>' if passed else ""
    clauses = "" if passed else "".join(f"<li>{verdict}: {escape(clause)}</li>" for verdict, clause in said.clauses)
    told = explanations()[said.code]
    return (
        f'<details class="check" id="{said.code}"{"" if passed else " open"}><summary>'
        f'<span class="badge {said.verdict}">{said.verdict}</span> <code>{said.code}</code> '
        f"<b>{escape(CODES[said.code])}</b> {evidence}</summary>"
        + (f'<ul class="clauses">{clauses}</ul>' if clauses else "")
        + f"<dl><dt>Raised by</dt><dd>{prose(told.raised)}</dd><dt>Why it matters</dt><dd>{prose(told.why)}</dd>"
        f"<dt>What to do</dt><dd>{prose(told.remedy)}</dd></dl></details>"
    )

"""What a check of the audit says, and how it is printed."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

VERDICTS = ("pass", "warn", "fail")

CODES: dict[str, str] = {
    "B01": "inside the ball",
    "B02": "inside [0, 1]",
    "B03": "scored again",
    "B04": "no attack raised",
    "B05": "never above clean",
    "B06": "no side effects",
    "B07": "episodes differ",
    "B08": "attacks move images",
    "G01": "gradients there",
    "G02": "logits in scale",
    "G03": "losses agree",
    "G05": "logits, not probabilities",
    "G06": "same input, same logits",
    "G07": "queries by themselves",
    "G08": "attacked as scored",
    "G09": "no adaptation in scoring",
    "G10": "gradients true",
    "S01": "no defense at full range",
    "S02": "more eps, less accuracy",
    "S04": "steps converged",
    "S06": "restarts needless",
    "S07": "iterated beats one step",
    "S08": "no silent success",
    "S09": "gradients beat noise",
    "S10": "white box beats black box",
    "S12": "white box beats transfer",
    "S13": "undefended learners fall",
    "S14": "planted examples found",
    "S17": "suite left little to find",
    "R01": "better than guessing",
    "R02": "no random draws",
}
"""What each code asks for, in the order they are printed."""


@dataclass(frozen=True)
class Finding:
    """What one check says of one attack, or of the learner.

    code: a key of `CODES`. verdict: `pass`, `warn` or `fail`. subject: the attack's name; empty where it is about the
    learner. evidence: the number that was judged; threshold: the one above which it is worse than a pass.
    text: the evidence in a clause.
    """

    code: str
    verdict: str
    subject: str
    evidence: float
    threshold: float
    text: str


def graded(
    code: str, subject: str, evidence: float, text: str, *, warn: float | None = None, fail: float | None = None
) -> Finding:
    """The finding of evidence that is worse the larger it is: above `warn` it warns, above `fail` it fails."""
    verdict = "pass"
    if warn is not None and evidence > warn:
        verdict = "warn"
    if fail is not None and evidence > fail:
        verdict = "fail"
    limits = [limit for limit in (warn, fail) if limit is not None]
    return Finding(code, verdict, subject, float(evidence), float(min(limits)), text)


def counted(
    code: str, subject: str, count: int, total: int, what: str, *, warn: float | None = None, fail: float
) -> Finding:
    """The finding of `count` out of `total` queries, judged by their share; a single query warns at most."""
    found = graded(code, subject, count / max(total, 1), f"{count} of {total} {what}", warn=warn, fail=fail)
    if found.verdict == "fail" and count < 2:
        return Finding(code, "warn", subject, found.evidence, found.threshold, found.text)
    return found


def worst(findings: Iterable[Finding]) -> Finding:
    """The finding of the worst verdict; of several, the one whose evidence is the largest."""
    return max(findings, key=lambda found: (VERDICTS.index(found.verdict), found.evidence))


def flags(findings: Iterable[Finding], attack: str, elsewhere: Container[str] = ()) -> str:
    """What the row of an attack holds in its `flags` column, as `G02:fail,S07:warn`; passes are no flags.

    A row has the findings on the learner and on its own attack; `worst` has all but those on the attacks `elsewhere`,
    which are no part of it.
    """
    of_row = [
        found
        for found in findings
        if found.subject in ("", attack) or (attack == "worst" and found.subject not in elsewhere)
    ]
    verdicts = {code: worst(of_code).verdict for code, of_code in _by_code(of_row).items()}
    return ",".join(f"{code}:{verdict}" for code, verdict in verdicts.items() if verdict != "pass")


@dataclass(frozen=True)
class Summary:
    """What a check says of all rows together: its code, the worst verdict of all, and the clauses to be printed.

    Of a pass, one: the largest evidence there was and, above 0, whose it is. Else one for each row and attack that
    warns or fails, with its verdict, in the order of the rows.
    """

    code: str
    verdict: str
    clauses: tuple[tuple[str, str], ...]


def summaries(findings_by_row: Mapping[str, Sequence[Finding]]) -> list[Summary]:
    """What is said under a table whose rows, by their names, have these findings: one summary a code."""
    said = []
    for code, of_code in _by_code(found for findings in findings_by_row.values() for found in findings).items():
        whole = worst(of_code)
        if whole.verdict == "pass":
            row = next(row for row, findings in findings_by_row.items() if any(found is whole for found in findings))
            whose = ", ".join(filter(None, [row if len(findings_by_row) > 1 else "", whole.subject]))
            clause = whole.text + f" ({whose})" * bool(whose and whole.evidence > 0)
            said.append(Summary(code, "pass", (("pass", clause),)))
            continue
        clauses = [
            (found.verdict, ": ".join(filter(None, [", ".join(filter(None, [row, found.subject])), found.text])))
            for row, findings in findings_by_row.items()
            for found in findings
            if found.code == code and found.verdict != "pass"
        ]
        said.append(Summary(code, whole.verdict, tuple(clauses)))
    return said


def lines(findings_by_row: Mapping[str, Sequence[Finding]]) -> list[str]:
    """The `summaries` as they are printed: a line a code and, below a warning or failure, a line for each clause."""
    printed = []
    for said in summaries(findings_by_row):
        head = f"[{said.verdict}] {said.code} {CODES[said.code]}"
        if said.verdict == "pass":
            printed.append(f"{head}: {said.clauses[0][1]}")
        else:
            printed += [head, *(f"    {verdict}: {clause}" for verdict, clause in said.clauses)]
    return printed


def _by_code(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    gathered: dict[str, list[Finding]] = {code: [] for code in CODES}
    for found in findings:
        gathered[found.code].append(found)
    return {code: of_code for code, of_code in gathered.items() if of_code}

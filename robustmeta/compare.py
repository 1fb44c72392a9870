"""Several reports as one table, ranked where they can be."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from robustmeta.errors import RobustMetaError, unknown
from robustmeta.files import whole_file
from robustmeta.report.behind import GAP, MINUS, behind
from robustmeta.report.html_table import as_html
from robustmeta.report.joined import joined, read_run
from robustmeta.report.latex import as_latex
from robustmeta.report.leading import RULE, leading
from robustmeta.report.plain_page import plain_page
from robustmeta.report.rows import CLEAN, RESULTS, WORST, arranged, labelled
from robustmeta.report.standing import ranks, settings
from robustmeta.report.table import as_markdown, as_text, comparison, escaped
from robustmeta.report.unlike import facets, setting_names, warnings
from robustmeta.report.write import rows_text

SUFFIXES = {"text": ".txt", "csv": ".csv", "markdown": ".md", "latex": ".tex", "html": ".html"}
"""The formats of a comparison, each with the suffix of its file."""
RANKED = "Rows are in the order of their worst case; one that fails a check of the audit, or met none, is not ranked."
PER_SETTING = "Order and `rank` are of each `setting` for itself."
NUMBERED = "Settings of one name, told apart by a number, differ in the cards of their attacks."
TAKEN = "`worst`: a query counts as right only if it is right clean and under every attack of its suite."
SAID = {
    "data set": "{}", "split": "{} split", "ways and shots": "{}", "threat": "{}", "suite": "suite {}",
    "episodes": "episodes: {}",
}  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """Joined reports.

    results: their rows, with a first column `report`. table, bold: what is shown, and which of its cells are bold.
    warnings: in what the rows are not alike, a line each. remarks: what was left out. note: how to read the table.
    inputs: the files of the reports.
    """

    results: pd.DataFrame
    table: pd.DataFrame
    bold: pd.DataFrame
    warnings: tuple[str, ...]
    remarks: tuple[str, ...]
    note: tuple[str, ...]
    inputs: frozenset[Path] = frozenset()

    def rendered(self, form: str) -> str:
        """The comparison as `text`, `csv`, `markdown`, `latex` or `html`, with a last newline.

        Raises `RobustMetaError` for any other format.
        """
        said, title = [line[0].upper() + line[1:] for line in (*self.warnings, *self.remarks)], self.title
        if form == "text":
            return "\n".join([as_text(self.table), "", *(line for line in self.note if line != RULE)]) + "\n"
        if form == "csv":
            return rows_text(arranged(self.results, ["report", *RESULTS]))
        if form == "markdown":
            warned = "\n".join(f"- {line}" for line in said)
            parts = [f"# {escaped(title)}", warned, as_markdown(self.table, self.bold), *self.note]
            return "\n\n".join(filter(None, parts)) + "\n"
        if form == "latex":
            return as_latex(self.table, self.bold, self.note[0], "tab:comparison", [*self.note[1:], *said]) + "\n"
        if form == "html":
            return plain_page(title, as_html(self.table, self.bold), self.note, said)
        raise unknown("format", form, SUFFIXES)

    @property
    def title(self) -> str:
        """What is compared: `Comparison: omniglot-5w1s, omniglot-fast`."""
        return f"Comparison: {', '.join(self.results['report'].unique())}"

    def write(self, out: Path, form: str | None = None) -> list[Path]:
        """Write the comparison, each file whole or not at all, and return the paths.

        out: a file, told by its suffix, or else a folder, which gets comparison.csv, .md, .tex and .html; form: only
        this format. Raises `RobustMetaError` where it cannot be written, for a suffix of no format or of another one
        than `form`, and for a file of the reports themselves.
        """
        files = self._files(out, form)
        for path in files:
            if path.resolve() in self.inputs:
                raise RobustMetaError(f"{path} is a file of a report that is compared; write to another one")
        texts = {path: self.rendered(name) for path, name in files.items()}
        for path, text in texts.items():
            with whole_file(path) as part:
                part.write_text(text, encoding="utf-8", newline="\n")
        return list(texts)

    def _files(self, out: Path, form: str | None) -> dict[Path, str]:
        """The format of each file to write."""
        if out.is_dir() or not out.suffix:
            wanted = [form] if form else [name for name in SUFFIXES if name != "text"]
            return {out / f"comparison{SUFFIXES[name]}": name for name in wanted}
        told = next((name for name, suffix in SUFFIXES.items() if suffix == out.suffix), None)
        if told is None:
            raise RobustMetaError(
                f"{out} has the suffix of no format; a file needs one of {', '.join(SUFFIXES.values())}, and a folder "
                "with a dot in its name must be there before"
            )
        if form not in (None, told):
            raise RobustMetaError(f"{out} is a file of {told}, and the format is {form}; leave out one of the two")
        return {out: told}


def compare(paths: Sequence[Path]) -> Comparison:
    """Join the reports in these folders, or of these results.csv, into one table.

    Rows are named as in a report, with ` [report]` behind a name of several. They are ranked by their worst case,
    among those whose worst cases measure the same: the same tasks, threat and cards. Where not all do, a column
    `setting` says what sets them apart. Where a row met the same episodes as the first of its setting, and
    episodes.csv is there, a column has the paired difference.
    Raises `RobustMetaError` for what is no report, and for reports that were attacked in nothing alike.
    """
    runs = [read_run(Path(path)) for path in paths]
    results, episodes, remarks = joined(runs)
    _in_common(results)
    rows = labelled(results)
    setting, places, names = settings(rows), ranks(rows), setting_names(results)
    apart = any(names.values())
    table, bold = comparison(results), leading(results)
    if apart:
        table.insert(0, "setting", [names[label] for label in table.index])
    gaps = behind(results, episodes) if "rank" in table.columns else {}
    if gaps:
        table.insert(list(table.columns).index("rank") + 1, MINUS, [gaps.get(label, "-") for label in table.index])
    seen = list(dict.fromkeys(rows.sort_index()["label"].map(setting)))
    worst = rows[rows["attack"] == WORST].set_index("label")["accuracy"]
    order = sorted(
        table.index, key=lambda at: (seen.index(setting[at]), places.get(at, len(table) + 1), -worst.get(at, 0.0))
    )
    note = [
        _alike(results),
        *([TAKEN] if len(worst) else []),
        *([RANKED] if "rank" in table.columns else []),
        *([PER_SETTING] if apart else []),
        *([NUMBERED] if any(re.search(r" \(\d+\)$", name) for name in names.values()) else []),
        *([RULE] if bold.any(axis=None) else []),
        *([GAP] if gaps else []),
    ]
    inputs = frozenset(path for run in runs for path in run.files)
    return Comparison(results, table.loc[order], bold, tuple(warnings(results)), tuple(remarks), tuple(note), inputs)


def _alike(results: pd.DataFrame) -> str:
    """What the numbers are, and what is the same of all of them."""
    table = facets(results)
    values = {name: list(table[name].unique()) for name in SAID}
    said = [
        f"; {words.format(*values[name])}"
        for name, words in SAID.items()
        if len(values[name]) == 1 and values[name] != ["none"]
    ]
    return f"Accuracy in % ± half-width of its 95% Student t interval over episodes{''.join(said)}."


def _in_common(results: pd.DataFrame) -> None:
    """Raise `RobustMetaError` if attacks were run and none, nor a worst case, is in two of several reports."""
    attacks = results[results["attack"] != CLEAN].groupby("report", sort=False)["attack"].unique()
    if len(attacks) > 1 and attacks.explode().value_counts().max() < 2:
        listed = "; ".join(f"{report} has {', '.join(own)}" for report, own in attacks.items())
        raise RobustMetaError(f"the reports have no attack in common: {listed}; compare runs of one suite")

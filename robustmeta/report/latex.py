"""A table as LaTeX, in booktabs."""

import re
from collections.abc import Sequence

import pandas as pd

from robustmeta.report.cells import bold_cells, columns_of, numeric

ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "±": r"$\pm$", '"': "''", "`": r"\textasciigrave{}",
}  # fmt: skip
LONG, WIDE = 24, 7
"""Characters of text from which a column breaks its lines, and columns from which a table is scaled to the page."""


def as_latex(
    frame: pd.DataFrame, bold: pd.DataFrame | None = None, caption: str = "", label: str = "", note: Sequence[str] = ()
) -> str:
    r"""The table as a `table` environment of booktabs, everything escaped, with no last newline.

    bold: True for the cells of the same row and column names that stand in `\textbf`. caption, note: plain text with
    `code` in backticks, above and below; note has a paragraph an item. label: for `\ref`, as `tab:omniglot`.
    It needs `\usepackage{booktabs}`, and a table of more than `WIDE` columns, which is scaled to the line, graphicx.
    """
    columns = columns_of(frame)
    right = [False, *(numeric(column[1:]) for column in columns[1:])]
    heads = [escaped(column[0]) for column in columns]
    cells = [
        [_cell(cell, strong) for cell, strong in zip(column[1:], marked, strict=True)]
        for column, marked in zip(columns, bold_cells(frame, bold), strict=True)
    ]
    cells[0] = [re.sub(r"^([\[*])", r"{\1}", cell) for cell in cells[0]]  # `\\` before would take them for its own
    widths = [max(map(len, [head, *column])) for head, column in zip(heads, cells, strict=True)]
    lines = [
        " & ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        + r" \\"
        for line in [heads, *zip(*cells, strict=True)]
    ]
    wide = len(columns) > WIDE
    kinds = "".join(map(_kind, columns, right))
    return "\n".join(
        [
            rf"% needs \usepackage{{{'booktabs,graphicx' if wide else 'booktabs'}}}",
            r"\begin{table}",
            r"\centering",
            *([rf"\caption{{{_prose(caption)}}}"] if caption else []),
            *([rf"\label{{{label}}}"] if label else []),
            r"\small",
            *([r"\resizebox{\linewidth}{!}{%"] if wide else []),
            rf"\begin{{tabular}}{{{kinds}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}" + ("}" if wide else ""),
            *_note(note),
            r"\end{table}",
        ]
    )


def escaped(text: str) -> str:
    """Plain text as LaTeX that prints it."""
    return re.sub(r"-(?=-)", "-{}", "".join(ESCAPES.get(letter, letter) for letter in re.sub(r"\s+", " ", text)))


def _cell(cell: str, strong: bool) -> str:
    text = escaped(cell)
    if cell == "-":
        return "--"
    if re.match(r"-\d", cell):
        text = "$-$" + text[1:]
    return rf"\textbf{{{text}}}" if strong else text


def _kind(column: list[str], right: bool) -> str:
    longest = max(map(len, column[1:]), default=0)
    return "r" if right else "l" if longest < LONG or column[0].startswith("learner") else "p{3.5cm}"


def _prose(text: str) -> str:
    """Plain text with what stands in backticks in typewriter."""
    parts = text.split("`")
    return "".join(rf"\texttt{{{escaped(part)}}}" if at % 2 else escaped(part) for at, part in enumerate(parts))


def _note(paragraphs: Sequence[str]) -> list[str]:
    if not paragraphs:
        return []
    inside = "\n\n".join(map(_prose, paragraphs))
    return ["", r"\medskip", r"\begin{minipage}{\linewidth}", r"\footnotesize", inside, r"\end{minipage}"]

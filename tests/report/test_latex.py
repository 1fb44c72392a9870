"""The LaTeX table, read back by the rules of LaTeX."""

import re

import pandas as pd
import pytest

from robustmeta.report.latex import as_latex, escaped
from robustmeta.report.leading import leading
from robustmeta.report.table import comparison

PRINTS = {
    r"\&": "&", r"\%": "%", r"\$": "$", r"\#": "#", r"\_": "_", r"\{": "{", r"\}": "}", r"\textbackslash{}": "\\",
    r"\textasciitilde{}": "~", r"\textasciicircum{}": "^", r"\textless{}": "<", r"\textgreater{}": ">",
    r"\textbar{}": "|", r"$\pm$": "±", r"$-$": "-", "-{}-": "--", "{[}": "[", "{*}": "*", "''": '"',
    r"\textasciigrave{}": "`",
}  # fmt: skip


def printed(source: str) -> str:
    """What LaTeX prints of a cell; fails where a letter would not print itself."""
    source = re.sub(r"^\\textbf\{(.*)\}$", r"\1", source.strip())
    pattern = "|".join(map(re.escape, PRINTS))
    assert not re.search(r"[\\&%$#_{}~^<>|\"`]", re.sub(pattern, "", source))
    return re.sub(pattern, lambda found: PRINTS[found[0]], source)


def body(source: str) -> list[list[str]]:
    inside = source[source.index(r"\toprule") + 8 : source.index(r"\bottomrule")].replace(r"\midrule", "")
    return [
        [printed(cell) for cell in re.split(r"(?<!\\)&", row)] for row in inside.strip().split(r"\\") if row.strip()
    ]


@pytest.mark.parametrize("text", ["a_b & 5% of $1 #2", "{x}^2~y\\z", "<a|b>", "pgd--20", 'say "x" `y`', "1 ± 2"])
def test_what_is_escaped_prints_as_it_was(text):
    assert printed(escaped(text)) == text


def test_a_table_read_back_is_the_frame(results):
    table = comparison(results)
    rows = body(as_latex(table))
    assert rows[0] == [table.index.name, *table.columns]
    assert rows[1:] == [[name, *table.loc[name]] for name in table.index]


def test_gaps_are_dashes_and_minus_signs_are_of_mathematics():
    frame = pd.DataFrame({"gap": ["-3.1 ± 0.4", "-"]}, index=["[a]", "*b"])
    lines = as_latex(frame).splitlines()
    assert [line.split() for line in lines if line.endswith(r"\\")][1:] == [
        ["{[}a]", "&", "$-$3.1", r"$\pm$", "0.4", r"\\"], ["{*}b", "&", "--", r"\\"],
    ]  # fmt: skip


def test_environments_close_and_braces_balance(results):
    bold = leading(results)
    source = as_latex(comparison(results), bold, "100% of `a_b`", "tab:x", ["one & two", "three `x_y`"])
    opened: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", source):
        if kind == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert opened == []
    plain = re.sub(r"\\[{}]", "", source)
    assert plain.count("{") == plain.count("}")
    assert source.count("$") % 2 == 0
    assert r"\caption{100\% of \texttt{a\_b}}" in source
    assert "\\label{tab:x}" in source
    assert "one \\& two\n\nthree \\texttt{x\\_y}" in source
    assert source.count(r"\textbf{") == bold.to_numpy().sum() > 0
    columns = re.search(r"\\begin\{tabular\}\{(.*)\}", source)
    assert columns[1] == "lrrrrrr"[: len(comparison(results).columns) + 1]


def test_only_a_table_of_many_columns_is_scaled_to_the_line():
    for columns, wide in ((6, False), (7, True)):
        source = as_latex(pd.DataFrame({f"a{i}": ["1.0"] for i in range(columns)}, index=["x"]))
        assert (r"\resizebox{\linewidth}{!}{%" in source) == (r"\end{tabular}}" in source) == wide
        assert ("graphicx" in source) == wide

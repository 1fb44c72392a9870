"""The HTML table, as Python's own parser reads it."""

from html.parser import HTMLParser

import pandas as pd

from robustmeta.report.html_table import as_html
from robustmeta.report.leading import leading
from robustmeta.report.table import comparison


class Reader(HTMLParser):
    """Cells as (tag, attributes, text, bold), row by row; complains of tags left open or closed twice."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[list[list]] = []
        self.caption = ""

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append([tag, dict(attributes), "", False])
        if tag == "strong":
            self.rows[-1][-1][3] = True

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if self.open and self.open[-1] == "caption":
            self.caption += text
        elif self.open and self.open[-1] in ("th", "td", "strong"):
            self.rows[-1][-1][2] += text


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


FRAME = pd.DataFrame(
    {"clean": ["9.5 ± 1.0", "-"], "gap": ["-3.1 ± 0.4", "-"], "rank": ["1", "-"], "flags": ['<b>&"', ""]},
    index=pd.Index(["a <i>", "b"], name="who & what"),
)


def test_the_table_read_back_is_the_frame():
    reader = read(as_html(FRAME, caption="x < y"))
    assert reader.caption == "x < y"
    head, *body = reader.rows
    assert [cell[2] for cell in head] == ["who & what", "clean", "gap", "rank", "flags"]
    assert all(cell[0] == "th" and cell[1]["scope"] == "col" for cell in head)
    assert [[cell[2] for cell in row] for row in body] == [[name, *FRAME.loc[name]] for name in FRAME.index]
    assert all(row[0][0] == "th" and row[0][1] == {"scope": "row"} for row in body)


def test_numbers_can_be_sorted_by_and_text_is_none():
    head, first, second = read(as_html(FRAME)).rows
    assert [cell[1].get("class") for cell in head] == [None, "num", "num", "num", None]
    assert [cell[1] for cell in first[1:]] == [
        {"class": "num", "data-value": "9.5"}, {"class": "num", "data-value": "-3.1"},
        {"class": "num", "data-value": "1"}, {},
    ]  # fmt: skip
    assert [cell[1] for cell in second[1:]] == [{"class": "num"}] * 3 + [{}]


def test_bold_goes_by_names_and_not_by_places(results):
    table, bold = comparison(results), leading(results)
    shuffled = table.iloc[::-1][table.columns[::-1]]
    rows = read(as_html(shuffled, bold)).rows
    found = {(row[0][2], rows[0][at][2]) for row in rows[1:] for at, cell in enumerate(row) if cell[3]}
    assert found == {(name, column) for name in bold.index for column in bold.columns if bold.loc[name, column]}
    assert found
    assert not any(cell[3] for row in read(as_html(table)).rows for cell in row)


def test_a_table_with_no_rows_has_a_head():
    assert [cell[2] for cell in read(as_html(FRAME.iloc[:0])).rows[0]][1:] == list(FRAME.columns)

"""A table as a piece of HTML, for a page that brings style and script."""

from html import escape

import pandas as pd

from robustmeta.report.cells import bold_cells, columns_of, numeric, value_of


def as_html(frame: pd.DataFrame, bold: pd.DataFrame | None = None, caption: str = "") -> str:
    """The table as an HTML `<table>`, escaped, with no style, no script and no last newline.

    bold: True for the cells of the same row and column names that stand in `<strong>`. caption: plain text.
    A head is `<th scope="col">`, the name of a row `<th scope="row">`. What is in a column of numbers has
    `class="num"`, and where there is a number `data-value="69.1"`, to sort by; `-` has none.
    """
    columns = columns_of(frame)
    numbers = [numeric(column[1:]) and len(column) > 1 for column in columns]
    numbers[0] = False
    heads = [
        f'<th scope="col"{_number(right)}>{escape(column[0])}</th>'
        for column, right in zip(columns, numbers, strict=True)
    ]
    cells = [
        [_cell(cell, right, strong) for cell, strong in zip(column[1:], marked, strict=True)]
        for column, right, marked in zip(columns[1:], numbers[1:], bold_cells(frame, bold)[1:], strict=True)
    ]
    rows = [
        "".join([f'<tr><th scope="row">{escape(name)}</th>', *line, "</tr>"])
        for name, *line in zip(columns[0][1:], *cells, strict=True)
    ]
    named = [f"<caption>{escape(caption)}</caption>"] if caption else []
    head = ["<thead>", f"<tr>{''.join(heads)}</tr>", "</thead>"]
    return "\n".join(["<table>", *named, *head, "<tbody>", *rows, "</tbody>", "</table>"])


def _cell(cell: str, right: bool, strong: bool) -> str:
    value = value_of(cell) if right else ""
    sorts = f' data-value="{value}"' if value else ""
    text = f"<strong>{escape(cell)}</strong>" if strong else escape(cell)
    return f"<td{_number(right)}{sorts}>{text}</td>"


def _number(right: bool) -> str:
    return ' class="num"' if right else ""

"""The cells of a table as text: which columns are of numbers, what a cell is worth, which are bold."""

import re

import pandas as pd

NUMBER = re.compile(r"(-?\d[\d.]*)( ± .+)?")


def columns_of(frame: pd.DataFrame) -> list[list[str]]:
    """The columns of a table, the index first, each with its name at the head."""
    index = [str(frame.index.name or ""), *map(str, frame.index)]
    return [index, *([str(name), *map(str, frame[name])] for name in frame.columns)]


def numeric(cells: list[str]) -> bool:
    """Whether a column is of numbers, `69.1 ± 1.2` among them; `-` and nothing stand for a number that is not there."""
    return all(cell in ("", "-") or NUMBER.fullmatch(cell) for cell in cells)


def value_of(cell: str) -> str:
    """The number of a cell without its interval, as it is written; empty where there is none."""
    found = NUMBER.fullmatch(cell)
    return found[1] if found else ""


def bold_cells(frame: pd.DataFrame, bold: pd.DataFrame | None) -> list[list[bool]]:
    """For every column of `columns_of(frame)`, whether each cell under its head is bold.

    bold: True where a cell of the same row and column names is; cells that it does not have are not.
    """
    if bold is None:
        bold = pd.DataFrame()
    marked = bold.reindex(index=frame.index, columns=frame.columns, fill_value=False)
    return [[False] * len(frame), *([bool(cell) for cell in marked[name]] for name in frame.columns)]

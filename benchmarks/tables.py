"""Tables of results, as CSV and as a page, with the command and the machine that made them."""

import csv
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from robustmeta.files import whole_file
from robustmeta.report.machine import this_machine

Row = Mapping[str, object]


def table(rows: Sequence[Row], columns: Mapping[str, str]) -> str:
    """Rows as a Markdown table; columns: key of a row -> heading. Floats to 4 figures."""
    lines = ["| " + " | ".join(columns.values()) + " |", "| " + " | ".join("---" for _ in columns) + " |"]
    lines += ["| " + " | ".join(_shown(row.get(key)) for key in columns) + " |" for row in rows]
    return "\n".join(lines)


def _shown(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def circumstances(device: str) -> list[str]:
    """The command, the machine, torch, and how busy the machine was."""
    name, load = Path(sys.argv[0]), os.getloadavg()
    module = f"benchmarks.{name.stem}"
    return [
        f"    python -m {module} {shlex.join(sys.argv[1:])}",
        "",
        f"{this_machine(device)}; torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}; "
        f"load averages at the end {load[0]:.1f}, {load[1]:.1f}, {load[2]:.1f}.",
    ]


def write(folder: str | Path, name: str, title: str, parts: Sequence[str], rows: Sequence[Row], device: str) -> None:
    """`name.csv`, all columns of the rows, and `name.md`, the parts of the page between title and circumstances."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with whole_file(Path(folder) / f"{name}.csv") as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    page = "\n\n".join([f"# {title}", "\n".join(circumstances(device)), *parts]) + "\n"
    with whole_file(Path(folder) / f"{name}.md") as part:
        part.write_text(page, encoding="utf-8")

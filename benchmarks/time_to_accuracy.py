"""What each row of a finished bench cost to train, and what it withstands.

    robustmeta bench omniglot-fast --data-root DATA
    python -m benchmarks.time_to_accuracy reports/omniglot-fast

Core-seconds are a process's own, without validation and saving, so that other work on the machine counts little.
"""

from pathlib import Path

import click
import pandas as pd

from benchmarks.tables import Row, table, write
from robustmeta.checkpoint import Checkpoint
from robustmeta.interval import mean_interval

COLUMNS = {
    "row": "row",
    "steps": "steps",
    "lr": "lr",
    "core_seconds": "core-seconds of training",
    "ratio": "times the first row's speed",
    "clean": "clean, %",
    "worst": "worst case, %",
    "ci95": "95% ±",
    "gap": "paired difference to the first, points",
    "gap_ci95": "95% ±",
}


@click.command()
@click.argument("report", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--first", help="The row the others are compared with [default: the table's first].")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the table; by default it is only printed.")
def main(report: Path, first: str | None, out: Path | None) -> None:
    """Compare the rows of REPORT by what they cost to train and what they withstand."""
    rows = compared(report, first)
    text = table(rows, COLUMNS)
    click.echo(text)
    if out is not None:
        write(out, "time_to_accuracy", "Time to a worst-case accuracy", [text], rows, "cpu")


def compared(report: Path, first: str | None = None) -> list[Row]:
    """A row a learner: the cost of its training, its accuracy, and the difference to the `first`, paired by episode."""
    results, episodes = pd.read_csv(report / "results.csv"), pd.read_csv(report / "episodes.csv")
    names = list(dict.fromkeys(results["row"]))
    logs = {name: Checkpoint.load(report / "checkpoints" / f"{name}.pt") for name in names}
    spent = {name: state.log[-1]["core_seconds"] for name, state in logs.items()}
    first = first or names[0]
    worst = {name: episodes.loc[episodes["row"] == name, "worst"].to_numpy() for name in names}
    rows: list[Row] = []
    for name in names:
        accuracy = results[results["row"] == name].set_index("attack")
        gap, gap_ci95 = mean_interval(worst[name] - worst[first])
        rows.append(
            {
                "row": name,
                "steps": logs[name].step,
                "lr": logs[name].recipe["training"]["lr"],
                "core_seconds": spent[name],
                "ratio": spent[first] / spent[name],
                "clean": 100 * accuracy.loc["clean", "accuracy"],
                "worst": 100 * accuracy.loc["worst", "accuracy"],
                "ci95": 100 * accuracy.loc["worst", "ci95"],
                "gap": 100 * gap,
                "gap_ci95": 100 * gap_ci95,
            }
        )
    return rows


if __name__ == "__main__":
    main()

"""`robustmeta evaluate`: a trained learner, attacked."""

from pathlib import Path
from typing import Any

import click

from robustmeta.cli.group import main
from robustmeta.cli.options import DataSet, Number, audit_options, machine_options
from robustmeta.cli.running import command_line, show


@main.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--attacks", multiple=True, help="A suite, or cards with commas between; repeatable [default: standard].")
@click.option("--episodes", type=int, help="Test episodes [default: 600].")
@click.option("--shots", type=int, help="Support images a class [default: as in training].")
@click.option("--queries", type=int, help="Query images a class [default: 15].")
@click.option(
    "--dataset",
    type=DataSet(),
    metavar="NAME",
    help="Test on another data set, as cifar_fs or '{name: folder, path: mine}' [default: the checkpoint's].",
)
@click.option("--split", type=click.Choice(["val", "test"]), help="Split of the test episodes [default: test].")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the test episodes [default: 1].")
@click.option("--eps", type=Number(), help="Budget in [0, 1] pixel units [default: the checkpoint's].")
@click.option("--norm", type=click.Choice(["Linf", "L2"]), help="Norm of the budget [default: the checkpoint's].")
@click.option("--out", type=click.Path(path_type=Path), help="Also write a report to this folder.")
@click.option("--twin", type=click.Path(path_type=Path), help="Checkpoint of the undefended twin, to transfer from.")
@audit_options
@machine_options
def evaluate(
    checkpoint: Path, attacks: tuple[str, ...], eps: float | None, norm: str | None, out: Path | None,
    twin: Path | None, audit: str, strict: bool, device: str, threads: int | None, data_root: Path | None, **test: Any,
) -> None:  # fmt: skip
    """Attack the trained learner of CHECKPOINT and print its row of the table.

    CHECKPOINT is a file of `train` or `bench`, or zoo:NAME, a model that ships with robustmeta (`robustmeta list
    models`), whose defaults are those of the rows it is known for.
    """
    from robustmeta.bench import evaluate_checkpoint
    from robustmeta.ranks import joined

    test = {name: value for name, value in test.items() if value is not None}
    named = [name.strip() for each in attacks for name in each.split(",")]
    wanted = named if len(named) > 1 else next(iter(named), None)
    with joined(device) as (ranks, own):
        report = evaluate_checkpoint(
            checkpoint, wanted, test, eps=eps, norm=norm, out=out, twin=twin,
            root=data_root, device=own, threads=threads or 1, ranks=ranks, audit=audit, command=command_line(),
        )  # fmt: skip
    if ranks.first:
        show(report, out, strict)

"""`robustmeta bench`: a recipe, trained and measured."""

from pathlib import Path

import click

from robustmeta.cli.group import main
from robustmeta.cli.options import (
    audit_options,
    checkpoints_option,
    machine_options,
    save_every_option,
    seed_option,
    until_option,
)
from robustmeta.cli.running import command_line, find_recipe, say, show, worker_count


@main.command()
@click.argument("recipe", required=False)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the report [default: reports/<recipe name>].")
@save_every_option
@until_option
@checkpoints_option
@seed_option
@audit_options
@machine_options
def bench(
    recipe: str | None, out: Path | None, save_every: float, until: float, checkpoints: Path | None,
    seed: int | None, audit: str, strict: bool, device: str, threads: int | None, data_root: Path | None,
) -> None:  # fmt: skip
    """Train and evaluate every learner of RECIPE, then write the comparison table.

    RECIPE is a YAML file or the name of one that ships with robustmeta; without it, a benchmark of a few minutes
    runs on embedded data. A run that was killed goes on when the same command is given again.
    """
    from robustmeta.bench import bench as run
    from robustmeta.ranks import joined

    with joined(device) as (ranks, own):
        wanted, source, folder = find_recipe(recipe, seed, out)
        report = run(
            wanted, source, folder, root=data_root, device=own, workers=worker_count(threads, own), ranks=ranks,
            save_every=save_every, audit=audit, until=until, checkpoints=checkpoints,
            command=command_line(),
            finished=lambda name: say(ranks, f"done: {name}", err=True),
        )  # fmt: skip
    if ranks.first:
        show(report, folder, strict)

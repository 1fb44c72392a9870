"""`robustmeta train`: the learners of a recipe, trained and kept."""

from pathlib import Path

import click

from robustmeta.cli.group import main
from robustmeta.cli.options import machine_options, save_every_option, seed_option, until_option
from robustmeta.cli.running import find_recipe, say, worker_count


@main.command()
@click.argument("recipe", required=False)
@click.option("--row", "rows", multiple=True, help="Train only this row of the recipe, as protonet-aq; repeatable.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run [default: reports/<recipe name>].")
@save_every_option
@until_option
@seed_option
@machine_options
def train(
    recipe: str | None, rows: tuple[str, ...], out: Path | None, save_every: float, until: float, seed: int | None,
    device: str, threads: int | None, data_root: Path | None,
) -> None:  # fmt: skip
    """Train the learners of RECIPE and keep their checkpoints, where `bench` finds them."""
    from robustmeta.bench import run_folder, run_jobs
    from robustmeta.job import Job
    from robustmeta.ranks import joined

    with joined(device) as (ranks, own):
        wanted, source, folder = find_recipe(recipe, seed, out)
        chosen = [wanted.row(name) for name in rows] or wanted.rows
        jobs = [
            Job(wanted, source, row, folder, data_root, own, save_every=save_every, ranks=ranks, until=until)
            for row in chosen
        ]
        for job in jobs:
            job.check()
        with run_folder(wanted, folder, ranks):
            workers = worker_count(threads, own)
            run_jobs(jobs, Job.train_only, workers, lambda name: say(ranks, f"trained: {name}", err=True))
    for job in jobs:
        say(ranks, str(job.checkpoint))

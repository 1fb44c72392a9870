"""What the commands that run something share: the recipe, the processes, what is printed at the end."""

import os
import shlex
import sys
from pathlib import Path
from typing import Any

import click


def find_recipe(name: str | None, seed: int | None, out: Path | None) -> tuple[Any, Any, Path]:
    """The recipe of a name or path, trained from `seed` if one is given; where errors find its lines; its folder."""
    from robustmeta.recipe_file import find

    recipe, source = find(name)
    if seed is not None:
        recipe = recipe.seeded(seed)
    return recipe, source, out or Path("reports") / recipe.name


def worker_count(threads: int | None, device: str) -> int:
    """How many rows run side by side."""
    if device != "cpu":
        return 1
    from robustmeta.ranks import cores_of
    from robustmeta.report.machine import usable_cores

    return threads or cores_of(usable_cores())


def command_line() -> str:
    """The shell line that this process was started by."""
    started = Path(sys.argv[0])
    installed = started.name in ("robustmeta", "__main__.py", "")
    run = "robustmeta" if installed else str(started)  # a script of one's own, which registers what the recipe names
    command = shlex.join([run, *sys.argv[1:]])
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if processes == 1:
        return command if installed else f"python {command}"
    return f"torchrun --nproc-per-node {processes} {'-m ' * installed}{command}"


def say(ranks: Any, line: str, err: bool = False) -> None:
    """Print a line, once of all processes of a job."""
    if ranks.first:
        click.echo(line, err=err)


def show(report: Any, folder: Path | None, strict: bool) -> None:
    """Print the table and the audit; with `strict`, end with status 1 if a check failed."""
    from robustmeta.report import as_text, audit_lines, comparison, short_of_plan

    click.echo(as_text(comparison(report.results)))
    where = f"; report: {folder / 'report.html'}" if folder else ""
    click.echo(f"\nAccuracy in %, 95% intervals over {report.results['episodes'].iloc[0]} episodes{where}\n")
    if short := short_of_plan(report.results):
        click.echo(f"Not trained to the end: {short}\n")
    click.echo("\n".join(audit_lines(report.audit)))
    if strict and report.failed:
        click.echo("robustmeta: a check of the audit failed, and --strict was asked for", err=True)
        sys.exit(1)

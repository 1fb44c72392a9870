"""The command line: click commands, no logic of their own."""

import os
import shlex
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from robustmeta.errors import RobustMetaError


class Group(click.Group):
    """A command group that says a `RobustMetaError` in one line and exits with status 2."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(context)
        except RobustMetaError as error:
            click.echo(f"robustmeta: error: {error}", err=True)
            sys.exit(2)
        except KeyboardInterrupt:
            click.echo("robustmeta: interrupted; the same command goes on from here", err=True)
            sys.exit(130)


class Number(click.ParamType):
    """A number, also written as a fraction: 0.1 or 8/255."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> float:
        """The number as a float."""
        try:
            return float(Fraction(str(value)))
        except (ValueError, ZeroDivisionError):
            self.fail(f"{value!r} is not a number, as 0.1 or 8/255", param, context)


save_every_option = click.option(
    "--save-every", type=click.FloatRange(min=0), default=20.0, show_default=True, help="Seconds between checkpoints."
)


seed_option = click.option(
    "--seed", type=click.IntRange(min=0), help="Seed of training; the test episodes stay the same."
)


def machine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say where and how to run."""
    for option in (
        click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True),
        click.option(
            "--threads",
            type=click.IntRange(min=1),
            help="Learners side by side, the spare ones sharing the steps of a learner; threads of `evaluate`.",
        ),
        click.option("--data-root", type=click.Path(path_type=Path), help="Folder of the data archives."),
    ):
        command = option(command)
    return command


def audit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options on how much to doubt the numbers."""
    for option in (
        click.option("--strict", is_flag=True, help="Exit with status 1 if a check of the audit fails."),
        click.option(
            "--audit", type=click.Choice(["always", "full"]), default="always", show_default=True,
            help="Checks: those that are nearly free, or also those that attack again.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="robustmeta")
def main() -> None:
    """Train few-shot learners against adversarial queries, and measure what they withstand."""


@main.command()
@click.argument("recipe", required=False)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the report [default: reports/<recipe name>].")
@save_every_option
@seed_option
@audit_options
@machine_options
def bench(
    recipe: str | None, out: Path | None, save_every: float, seed: int | None, audit: str, strict: bool, device: str,
    threads: int | None, data_root: Path | None,
) -> None:  # fmt: skip
    """Train and evaluate every learner of RECIPE, then write the comparison table.

    RECIPE is a YAML file or the name of one that ships with robustmeta; without it, a benchmark of a few minutes
    runs on embedded data. A run that was killed goes on when the same command is given again.
    """
    from robustmeta.bench import bench as run
    from robustmeta.ranks import joined

    with joined(device) as (ranks, own):
        wanted, source, folder = _recipe(recipe, seed, out)
        report = run(
            wanted, source, folder, root=data_root, device=own, workers=_workers(threads, own), ranks=ranks,
            save_every=save_every, audit=audit, command=_command(),
            finished=lambda name: _say(ranks, f"done: {name}", err=True),
        )  # fmt: skip
    if ranks.first:
        _show(report, folder, strict)


@main.command()
@click.argument("recipe", required=False)
@click.option("--row", "rows", multiple=True, help="Train only this row of the recipe, as protonet-aq; repeatable.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run [default: reports/<recipe name>].")
@save_every_option
@seed_option
@machine_options
def train(
    recipe: str | None, rows: tuple[str, ...], out: Path | None, save_every: float, seed: int | None, device: str,
    threads: int | None, data_root: Path | None,
) -> None:  # fmt: skip
    """Train the learners of RECIPE and keep their checkpoints, where `bench` finds them."""
    from robustmeta.bench import run_folder, run_jobs
    from robustmeta.job import Job
    from robustmeta.ranks import joined

    with joined(device) as (ranks, own):
        wanted, source, folder = _recipe(recipe, seed, out)
        chosen = [wanted.row(name) for name in rows] or wanted.rows
        jobs = [Job(wanted, source, row, folder, data_root, own, save_every=save_every, ranks=ranks) for row in chosen]
        for job in jobs:
            job.check()
        with run_folder(wanted, folder, ranks):
            workers = _workers(threads, own)
            run_jobs(jobs, Job.train_only, workers, lambda name: _say(ranks, f"trained: {name}", err=True))
    for job in jobs:
        _say(ranks, str(job.checkpoint))


@main.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--attacks", default="standard", show_default=True, help="A suite, or cards with commas between.")
@click.option("--episodes", type=int, default=600, show_default=True, help="Test episodes.")
@click.option("--shots", type=int, help="Support images a class [default: as in training].")
@click.option("--queries", type=int, default=15, show_default=True, help="Query images a class.")
@click.option("--split", type=click.Choice(["val", "test"]), default="test", show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Seed of the test episodes.")
@click.option("--eps", type=Number(), help="Budget in [0, 1] pixel units [default: the checkpoint's].")
@click.option("--norm", type=click.Choice(["Linf", "L2"]), help="Norm of the budget [default: the checkpoint's].")
@click.option("--out", type=click.Path(path_type=Path), help="Also write a report to this folder.")
@click.option("--twin", type=click.Path(path_type=Path), help="Checkpoint of the undefended twin, to transfer from.")
@audit_options
@machine_options
def evaluate(
    checkpoint: Path, attacks: str, eps: float | None, norm: str | None, out: Path | None, twin: Path | None,
    audit: str, strict: bool, device: str, threads: int | None, data_root: Path | None, **test: Any,
) -> None:  # fmt: skip
    """Attack the trained learner of CHECKPOINT and print its row of the table."""
    from robustmeta.bench import evaluate_checkpoint
    from robustmeta.ranks import joined

    test = {name: value for name, value in test.items() if value is not None}
    wanted = [name.strip() for name in attacks.split(",")]
    with joined(device) as (ranks, own):
        report = evaluate_checkpoint(
            checkpoint, wanted if "," in attacks else attacks, test, eps=eps, norm=norm, out=out, twin=twin,
            root=data_root, device=own, threads=threads or 1, ranks=ranks, audit=audit, command=_command(),
        )  # fmt: skip
    if ranks.first:
        _show(report, out, strict)


@main.command("list")
@click.argument("what", type=click.Choice(["learners", "defenses", "attacks", "datasets", "backbones", "recipes"]))
@click.option(
    "--all", "everything", is_flag=True, help="Of attacks: every class of torchattacks, or why it is refused."
)
def list_(what: str, everything: bool) -> None:
    """List what recipes can name, with a line on each."""
    from robustmeta.catalogue import catalogue, catalogue_all_attacks

    if everything and what != "attacks":
        raise click.UsageError("--all is for attacks: robustmeta list attacks --all")
    entries = catalogue_all_attacks() if everything else catalogue(what)
    width = max(len(name) for name, _ in entries)
    for name, line in entries:
        click.echo(f"{name:<{width}}  {line}")


def _show(report: Any, folder: Path | None, strict: bool) -> None:
    from robustmeta.report import as_text, audit_lines, comparison

    click.echo(as_text(comparison(report.results)))
    where = f"; report: {folder / 'report.md'}" if folder else ""
    click.echo(f"\nAccuracy in %, 95% intervals over {report.results['episodes'].iloc[0]} episodes{where}\n")
    click.echo("\n".join(audit_lines(report.audit)))
    if strict and report.failed:
        click.echo("robustmeta: a check of the audit failed, and --strict was asked for", err=True)
        sys.exit(1)


def _recipe(name: str | None, seed: int | None, out: Path | None) -> tuple[Any, Any, Path]:
    from robustmeta.recipe import find

    recipe, source = find(name)
    if seed is not None:
        recipe = recipe.seeded(seed)
    return recipe, source, out or Path("reports") / recipe.name


def _say(ranks: Any, line: str, err: bool = False) -> None:
    if ranks.first:
        click.echo(line, err=err)


def _workers(threads: int | None, device: str) -> int:
    if device != "cpu":
        return 1
    from robustmeta.ranks import cores_of
    from robustmeta.report.machine import usable_cores

    return threads or cores_of(usable_cores())


def _command() -> str:
    command = shlex.join(["robustmeta", *sys.argv[1:]])
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    return command if processes == 1 else f"torchrun --nproc-per-node {processes} -m {command}"

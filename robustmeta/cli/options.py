"""Options that several commands have, and the types of their values."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import click


class Number(click.ParamType):
    """A number, also written as a fraction: 0.1 or 8/255."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> float:
        """The number as a float."""
        try:
            return float(Fraction(str(value)))
        except (ValueError, ZeroDivisionError, OverflowError):
            self.fail(f"{value!r} is not a number, as 0.1 or 8/255", param, context)


class DataSet(click.ParamType):
    """A data set by its name, or by a mapping of it and its settings, as `{name: folder, path: mine, size: 32}`."""

    name = "data set"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> dict[str, Any]:
        """The mapping that a recipe would have."""
        from robustmeta.marked_yaml import load_marked

        data, _ = load_marked(value, "--dataset")
        return data if isinstance(data, dict) else {"name": value}


save_every_option = click.option(
    "--save-every", type=click.FloatRange(min=0), default=20.0, show_default=True, help="Seconds between checkpoints."
)


checkpoints_option = click.option(
    "--checkpoints", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
    help="Where trained learners are found, as those of another run; any that is not there is trained and kept "
    "[default: checkpoints/ of the report].",
)  # fmt: skip


until_option = click.option(
    "--until", type=Number(), default=1.0, metavar="SHARE",
    help="Stop each row's training, for now, at this share of its outer steps, as 1/4; later runs go on from there.",
)  # fmt: skip


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

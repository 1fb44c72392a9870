"""The command `robustmeta` and how it ends."""

import sys
from typing import Any, NoReturn

import click

from robustmeta.errors import RobustMetaError


class Group(click.Group):
    """A command group that says a `RobustMetaError`, or what is wrong with a command, in one line; exit status 2."""

    def make_context(self, *arguments: Any, **more: Any) -> click.Context:
        """The context of the command as it was typed."""
        try:
            return super().make_context(*arguments, **more)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            refuse(_mistake(error))

    def invoke(self, context: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(context)
        except RobustMetaError as error:
            refuse(str(error))
        except click.UsageError as error:
            refuse(_mistake(error))
        except KeyboardInterrupt:
            goes_on = "; the same command goes on from here" * (context.invoked_subcommand in ("bench", "train"))
            click.echo(f"robustmeta: interrupted{goes_on}", err=True)
            sys.exit(130)


def refuse(said: str) -> NoReturn:
    """Say in one line what is wrong, and exit."""
    click.echo(f"robustmeta: error: {said}", err=True)
    sys.exit(2)


def _mistake(error: click.UsageError) -> str:
    said = " ".join(error.format_message().split()).rstrip(".")
    of = error.ctx.command_path if error.ctx else "robustmeta"
    return f"{said}; `{of} --help` says what there is"


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="robustmeta")
def main() -> None:
    """Train few-shot learners against adversarial queries, and measure what they withstand."""

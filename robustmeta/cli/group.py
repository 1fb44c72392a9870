"""The command `robustmeta` and how it ends."""

import sys
from typing import Any

import click

from robustmeta.errors import RobustMetaError


class Group(click.Group):
    """A command group that says a `RobustMetaError`, or what is wrong with a command, in one line; exit status 2."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(context)
        except RobustMetaError as error:
            click.echo(f"robustmeta: error: {error}", err=True)
            sys.exit(2)
        except click.UsageError as error:
            said = " ".join(error.format_message().split()).rstrip(".")
            of = (error.ctx or context).command_path
            click.echo(f"robustmeta: error: {said}; `{of} --help` says what there is", err=True)
            sys.exit(2)
        except KeyboardInterrupt:
            click.echo("robustmeta: interrupted; the same command goes on from here", err=True)
            sys.exit(130)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="robustmeta")
def main() -> None:
    """Train few-shot learners against adversarial queries, and measure what they withstand."""

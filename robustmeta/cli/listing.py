"""`robustmeta list`: what recipes can name."""

import click

from robustmeta.cli.group import main


@main.command("list")
@click.argument(
    "what",
    type=click.Choice(["learners", "defenses", "attacks", "datasets", "backbones", "recipes", "models"]),
    metavar="WHAT",
)
@click.option(
    "--all", "everything", is_flag=True, help="Of attacks: every class of torchattacks, or why it is refused."
)
def list_(what: str, everything: bool) -> None:
    """List what recipes can name, with a line on each.

    WHAT is learners, defenses, attacks, datasets, backbones, recipes or models.
    """
    from robustmeta.catalogue import catalogue, catalogue_all_attacks

    if everything and what != "attacks":
        raise click.UsageError("--all is for attacks: robustmeta list attacks --all")
    entries = catalogue_all_attacks() if everything else catalogue(what)
    width = max(len(name) for name, _ in entries)
    for name, line in entries:
        click.echo(f"{name:<{width}}  {line}")

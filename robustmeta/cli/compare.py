"""`robustmeta compare`: reports in one table."""

from pathlib import Path

import click

from robustmeta.cli.group import main


@main.command()
@click.argument("reports", nargs=-1, required=True, metavar="REPORT...", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="A folder for comparison.csv, .md, .tex, .html, or a file."
)
@click.option(
    "--format", "form", type=click.Choice(["text", "csv", "markdown", "latex", "html"]),
    help="Only this format [default: text to the terminal, all others to a folder].",
)  # fmt: skip
def compare(reports: tuple[Path, ...], out: Path | None, form: str | None) -> None:
    """Join reports into one table, ranked by worst case.

    REPORT is the folder of a report or a results.csv. Rows are ranked together only where their worst cases are of the
    same tasks, threat and attacks; warnings say in what the reports are not alike.
    """
    from robustmeta.compare import compare as joined

    compared = joined(reports)
    for line in compared.warnings:
        click.echo(f"robustmeta: warning: {line}", err=True)
    for line in compared.remarks:
        click.echo(f"robustmeta: {line}", err=True)
    if out is None:
        click.echo(compared.rendered(form or "text"), nl=False)
    else:
        click.echo("\n".join(map(str, compared.write(out, form))))

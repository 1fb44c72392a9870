"""Put rows of a finished report into the zoo: `python -m robustmeta.zoo.packing REPORT ROW... [--replace]`."""

from collections.abc import Sequence
from pathlib import Path

import click
import pandas as pd

from robustmeta.checkpoint import Checkpoint
from robustmeta.errors import RobustMetaError
from robustmeta.job import Job
from robustmeta.recipe_file import find
from robustmeta.report.rows import arranged, attacked
from robustmeta.report.write import read_rows, write_rows
from robustmeta.zoo.model import Model
from robustmeta.zoo.shelf import ROWS, digest


def pack(report: Path, rows: Sequence[str], shelf: Path, root: Path | None = None, replace: bool = False) -> list[str]:
    """Write the models of some rows of a report folder, with those rows, to the folder `shelf`; return their names.

    A model that is there already is replaced, one of another report if `replace` says so. root: the data root, for the
    image shape and the number of classes. Raises `RobustMetaError`, with nothing written, for an unknown row, one that
    was not trained to the end or failed a check, and a name that a model of another report has.
    """
    kept = report / "recipe.yaml"
    if not kept.is_file():
        raise RobustMetaError(f"{report} holds no recipe.yaml; give the folder of a finished `robustmeta bench`")
    recipe, source = find(str(kept))
    results = attacked(read_rows(report / "results.csv"))
    shelved = [read_rows(shelf / ROWS)] if (shelf / ROWS).is_file() else []
    models: dict[str, tuple[Model, pd.DataFrame]] = {}
    for wanted in rows:
        row = recipe.row(wanted)
        measured = results[results["row"] == row.name]
        if measured["flags"].fillna("").str.contains(":fail").any():
            raise RobustMetaError(
                f"the row {row.name!r} of {report} failed a check of the audit; the zoo takes none such"
            )
        job = Job(recipe, source, row, report, root)
        state, steps = Checkpoint.load(job.checkpoint), recipe.training_of(row).steps
        if state.recipe != recipe.made_by(row) or state.step < steps or (measured["train_steps"] < steps).any():
            raise RobustMetaError(f"{job.checkpoint} is not that of the finished row {row.name!r} of {report}")
        tasks = job.training_tasks()[0]
        plain = recipe.as_dict()
        name = f"{row.name}-{recipe.dataset['name']}-{recipe.test.ways}w{recipe.test.shots}s"
        others = {other for old in shelved for other in old.loc[old["model"] == name, "report"]} - {report.name}
        if others and not replace:
            raise RobustMetaError(f"the zoo has a model {name} of the report {min(others)}; replace it with --replace")
        measured_in = {key: plain[key] for key in ("test", "attacks")}
        model = Model(state.tested, state.recipe, state.step, measured_in, tasks.image_shape, len(tasks.counts))
        models[name] = model, measured
    for name, (model, measured) in models.items():
        path = shelf / f"{name}.safetensors"
        model.save(path)
        shelved = [old[old["model"] != name] for old in shelved]
        shelved.append(measured.assign(model=name, report=report.name, sha256=digest(path)))
    whole = pd.concat([part for part in shelved if len(part)], ignore_index=True)
    write_rows(arranged(whole, ("model", "report", "sha256")), shelf / ROWS)
    return list(models)


@click.command()
@click.argument("report", type=click.Path(path_type=Path))
@click.argument("rows", nargs=-1, required=True)
@click.option("--data-root", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Also models of other reports.")
def _main(report: Path, rows: tuple[str, ...], data_root: Path | None, replace: bool) -> None:
    for name in pack(report, rows, Path(__file__).parent, data_root, replace):
        click.echo(name)


if __name__ == "__main__":
    _main()

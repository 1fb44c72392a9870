"""The models that ship with the package, by name."""

import hashlib
from importlib.resources import as_file, files
from pathlib import Path

import pandas as pd

from robustmeta.errors import RobustMetaError, unknown
from robustmeta.learners import Learner
from robustmeta.report.rows import CLEAN, WORST
from robustmeta.report.setting import written_eps
from robustmeta.report.table import percent
from robustmeta.report.write import read_rows
from robustmeta.zoo.model import Model

PREFIX = "zoo:"
"""What tells the name of a model from the path of a checkpoint."""
ROWS = "results.csv"
SHELF = files("robustmeta.zoo")


def models() -> tuple[str, ...]:
    """The names of the models, as `protonet-aq-omniglot-5w1s`: row, data set, ways and shots of the test."""
    return tuple(_rows()["model"].unique())


def rows_of(name: str) -> pd.DataFrame:
    """The rows that the model's report has of it; raises `RobustMetaError` for an unknown name."""
    rows = _rows()
    if name not in set(rows["model"]):
        raise unknown("model", name, rows["model"].unique())
    return rows[rows["model"] == name].reset_index(drop=True)


def open_model(name: str) -> Model:
    """The model of a name, with or without `zoo:` before it.

    Raises `RobustMetaError` for an unknown name, and if its file is not the one its rows were measured with.
    """
    name = name.removeprefix(PREFIX)
    expected = rows_of(name)["sha256"].iloc[0]
    with as_file(SHELF / f"{name}.safetensors") as path:
        if digest(path) != expected:
            raise RobustMetaError(f"{path} is damaged, or not the model that was measured; install robustmeta anew")
        return Model.load(path)


def standing(name: str) -> str:
    """What a model is and withstands, in a line for a list; under each attack where there is no worst case of them."""
    rows = rows_of(name).set_index("attack")
    first = rows.iloc[0]
    shown = [CLEAN, WORST] if WORST in rows.index else rows.index
    numbers = ", ".join(f"{attack} {percent(*rows.loc[attack, ['accuracy', 'ci95']])}" for attack in shown)
    norm, eps = str(first["threat_norm"]), float(rows["eps"].max())
    what = f"{first['learner']} / {first['defense']} on {first['backbone']}"
    return f"{what}; {norm} eps {written_eps(norm, eps)}: {numbers} ({first['report']})"


def load_model(name: str) -> Learner:
    """A trained learner of the zoo, in evaluation mode, its weights in place.

    name: one of `models()`, as `protonet-aq-omniglot-5w1s`. `learner.adapt(support_x, support_y)` takes supports
    `[T, N, C, H, W]` of images in [0, 1], of the ways and the image shape it was trained for.
    Raises `RobustMetaError` for an unknown name, and if its file is damaged.
    """
    return open_model(name).learner(f"{PREFIX}{name.removeprefix(PREFIX)}")


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits; of none where there is no file."""
    return hashlib.sha256(path.read_bytes() if path.is_file() else b"").hexdigest()


def _rows() -> pd.DataFrame:
    with as_file(SHELF / ROWS) as path:
        return read_rows(path)

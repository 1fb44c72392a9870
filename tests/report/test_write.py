import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import image
from pandas.testing import assert_frame_equal

from robustmeta.errors import RobustMetaError
from robustmeta.report.rows import RESULTS
from robustmeta.report.write import read_rows, write_report, write_rows

RECIPE = "# größer als nötig\nways: 5\n"
FILES = [
    "curve.csv", "curve.png", "episodes.csv", "episodes.png", "pareto.png", "recipe.yaml", "report.html", "report.md",
    "results.csv",
]  # fmt: skip


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_writes_every_file_and_reads_back_the_same_rows(results, episodes, curve, tmp_path):
    path = write_report(tmp_path / "new" / "run", results, episodes, curve, RECIPE, "robustmeta bench")
    assert path.name == "report.md"
    assert names(path.parent) == FILES
    assert (path.parent / "recipe.yaml").read_bytes() == RECIPE.encode()
    for name, frame in (("results", results), ("episodes", episodes), ("curve", curve)):
        again = read_rows(path.parent / f"{name}.csv")
        assert_frame_equal(again, frame, check_like=True, check_exact=False, atol=1e-8, rtol=0)
    assert image.imread(path.parent / "curve.png").ndim == 3
    assert "Python" in path.read_text(encoding="utf-8").split("Machine: ")[1].splitlines()[0]


def test_columns_stand_in_the_same_order_whatever_order_they_come_in(results, episodes, curve, tmp_path):
    backwards = (frame[frame.columns[::-1]] for frame in (results, episodes, curve))
    write_report(tmp_path, *backwards, RECIPE, "robustmeta bench", machine="m")
    assert (tmp_path / "results.csv").read_text().startswith(",".join(RESULTS))
    head = (tmp_path / "episodes.csv").read_text().splitlines()[0].split(",")
    assert head[:4] == ["learner", "defense", "episode", "clean"]
    assert head[-1] == "worst"


def test_the_same_run_writes_the_same_bytes(results, episodes, curve, tmp_path):
    for folder in ("a", "b"):
        write_report(tmp_path / folder, results, episodes, curve, RECIPE, "robustmeta bench", machine="m")
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("empty", [True, False])
def test_without_a_curve(results, episodes, curve, tmp_path, empty):
    write_report(tmp_path, results, episodes, curve.iloc[:0] if empty else None, RECIPE, "robustmeta bench")
    assert names(tmp_path) == [name for name in FILES if not name.startswith("curve")]
    assert "curve.png" not in (tmp_path / "report.md").read_text(encoding="utf-8")


FLAGS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=5), FLAGS)
def test_rows_come_back(tmp_path_factory, values, text):
    path = tmp_path_factory.getbasetemp() / "rows.csv"
    words = {"learner": "NA", "flags": text, "card": "0e12", "torch": "2.10"}
    rows = pd.DataFrame([words | {"accuracy": value, "ci95": float("nan")} for value in values])
    write_rows(rows, path)
    again = read_rows(path)
    assert again["accuracy"].to_list() == pytest.approx(values, abs=1e-8)
    assert again["ci95"].isna().all()
    assert again.loc[0, list(words)].to_dict() == words
    before = path.read_bytes()
    write_rows(again, path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("which", "column", "said"),
    [
        (0, "accuracy", "results table has no column accuracy"),
        (1, "clean", "episodes table"),
        (2, "eps", "curve table"),
    ],
)
def test_a_missing_column_leaves_nothing_written(results, episodes, curve, tmp_path, which, column, said):
    frames = [results, episodes, curve]
    frames[which] = frames[which].drop(columns=column)
    with pytest.raises(RobustMetaError, match=said):
        write_report(tmp_path / "run", *frames, RECIPE, "robustmeta bench")
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_one(results, episodes, curve, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RobustMetaError, match="choose a writable folder"):
        write_report(tmp_path / "file" / "run", results, episodes, curve, RECIPE, "robustmeta bench")


def test_rows_that_cannot_be_read(tmp_path):
    with pytest.raises(RobustMetaError, match=r"cannot read rows from .*: No such file"):
        read_rows(tmp_path / "none.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(RobustMetaError, match="it must be a CSV of a report"):
        read_rows(tmp_path / "empty.csv")
    (tmp_path / "ragged.csv").write_text("learner,accuracy\na,1\nb,1,2\n")
    with pytest.raises(RobustMetaError, match="it must be a CSV of a report"):
        read_rows(tmp_path / "ragged.csv")
    (tmp_path / "latin.csv").write_bytes("learner\nmäml\n".encode("latin-1"))
    with pytest.raises(RobustMetaError, match="it must be a CSV of a report"):
        read_rows(tmp_path / "latin.csv")

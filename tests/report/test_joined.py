import pandas as pd
import pytest

from robustmeta.errors import RobustMetaError
from robustmeta.report.joined import joined, read_run
from robustmeta.report.rows import labelled
from robustmeta.report.write import write_rows


@pytest.fixture
def written(tmp_path, results, episodes):
    def write(name: str, rows: pd.DataFrame = results, recipe: str = ""):
        write_rows(rows, tmp_path / name / "results.csv")
        write_rows(episodes, tmp_path / name / "episodes.csv")
        if recipe:
            (tmp_path / name / "recipe.yaml").write_text(recipe)
        return tmp_path / name

    return write


def join(*paths):
    return joined([read_run(path) for path in paths])


def test_a_folder_and_its_csv_are_the_same_report(written):
    folder = written("one")
    by_folder, by_file = join(folder), join(folder / "results.csv")
    pd.testing.assert_frame_equal(by_folder[0], by_file[0])
    pd.testing.assert_frame_equal(by_folder[1], by_file[1])
    assert set(by_folder[0]["report"]) == set(by_folder[1]["report"]) == {"one"}


def test_a_csv_of_another_name_is_called_by_it_and_has_no_episodes(written):
    folder = written("one")
    (folder / "results.csv").rename(folder / "mine.csv")
    rows, episodes, _ = join(folder / "mine.csv")
    assert set(rows["report"]) == {"mine"}
    assert episodes.empty


def test_labels_that_clash_say_whose_they_are_and_others_do_not(written, results):
    other = results[results["learner"] == "maml"].assign(config="other", accuracy=0.5)
    rows, _, left_out = join(written("one"), written("two", other))
    assert list(labelled(rows)["label"].unique()) == [
        "maml / natural [one]", "maml / natural [two]", "maml / aq [one]", "maml / aq [two]",
        "protonet / natural", "protonet / aq",
    ]  # fmt: skip
    assert left_out == []


def test_the_same_rows_of_the_same_recipe_stand_there_once(written, results):
    slower = results[results["defense"] == "aq"].assign(seconds=9.0)
    rows, _, left_out = join(written("one"), written("two", slower))
    assert set(rows["report"]) == {"one"}
    assert left_out == ["two holds the same rows as one, shown once: maml / aq, protonet / aq"]
    for change in ({"config": "other"}, {"accuracy": 0.5}, {"flags": "G01:fail"}):
        rows, _, left_out = join(written("one"), written("two", slower.assign(**change)))
        assert set(rows["report"]) == {"one", "two"}
        assert left_out == []


def test_folders_of_one_name_are_told_apart_by_those_above(written, results):
    rows, _, _ = join(written("a/run"), written("b/run", results.assign(config="other")))
    assert set(rows["report"]) == {"a/run", "b/run"}


def test_columns_that_one_report_lacks_are_empty_and_whole_numbers_stay_whole(written, results, tmp_path):
    old = results.drop(columns=["audit", "train_steps"]).assign(config="old", target="query")
    rows, _, _ = join(written("old", old), written("new"))
    assert set(rows.loc[rows["report"] == "old", "audit"]) == {""}
    assert set(rows.loc[rows["report"] == "new", "target"]) == {""}
    assert rows.loc[rows["report"] == "old", "train_steps"].isna().all()
    write_rows(rows, tmp_path / "joined.csv")
    assert ",300," in (tmp_path / "joined.csv").read_text()


@pytest.mark.parametrize(
    ("recipe", "data"),
    [
        ("dataset: {name: omniglot, rotations: true, by: characters}", "by characters"),
        ("dataset: {name: omniglot, by: characters}\ntest: {dataset: {name: folder, path: x}}", "path x"),
        ("dataset: {name: omniglot, rotations: true}", None),
        ("dataset: omniglot", None),
        ("a: [", None),
        ("just text", None),
    ],
)
def test_settings_of_the_tested_data_are_those_of_the_recipe(written, recipe, data):
    rows, _, _ = join(written("one", recipe=recipe))
    assert set(rows["data"]) == {data} if data else "data" not in rows.columns


def test_what_is_no_report_is_refused_in_a_line(written, tmp_path, results):
    folder = written("glyphs-5w1s")
    with pytest.raises(RobustMetaError, match=r"there is no report .*glyphs-5w2s; did you mean '.*glyphs-5w1s'\?"):
        read_run(tmp_path / "glyphs-5w2s")
    with pytest.raises(RobustMetaError, match=r"episodes.csv is no results.csv of a report: it has no column backbone"):
        read_run(folder / "episodes.csv")
    with pytest.raises(RobustMetaError, match=r"holds no results\.csv: give the folder of a report"):
        read_run(tmp_path)
    (tmp_path / "recipe.yaml").write_text("name: x")
    with pytest.raises(RobustMetaError, match="its run is not finished"):
        read_run(tmp_path)
    with pytest.raises(RobustMetaError, match=r"none/results.csv has no rows"):
        read_run(written("none", results.iloc[:0]))
    with pytest.raises(RobustMetaError, match="its column accuracy holds more than numbers"):
        read_run(written("words", results.assign(accuracy="much")))
    (tmp_path / "empty.csv").touch()
    with pytest.raises(RobustMetaError, match=r"cannot read rows from .*empty.csv"):
        read_run(tmp_path / "empty.csv")


def test_a_report_is_found_by_its_name_alone(written, tmp_path, monkeypatch):
    written("reports/omniglot-5w1s")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RobustMetaError, match="did you mean 'reports/omniglot-5w1s'"):
        read_run(tmp_path.__class__("omniglot-5w1s"))

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


def test_a_folder_and_its_csv_together_are_one_report(written):
    folder = written("one")
    rows, episodes, left_out = join(folder, folder / "results.csv", folder / ".." / "one")
    pd.testing.assert_frame_equal(rows, join(folder)[0])
    assert (len(episodes), left_out) == (len(join(folder)[1]), [])


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
    for column in ("queries", "ways", "seed", "episodes", "eps"):
        blank = results.assign(**{column: results[column].astype(object).mask(results.index == 3, "")})
        with pytest.raises(RobustMetaError, match=rf"its column {column} has no number in line 5$"):
            read_run(written("blank", blank))
    (tmp_path / "empty.csv").touch()
    with pytest.raises(RobustMetaError, match=r"cannot read rows from .*empty.csv"):
        read_run(tmp_path / "empty.csv")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda rows: rows.drop(columns="episode"), "it has no column episode"),
        (lambda rows: rows.assign(worst="much"), "its column worst holds more than numbers"),
        (lambda rows: rows.assign(episode=rows["episode"].astype(object).mask(rows.index == 0, "")),
         "its column episode has no number in line 2"),
    ],
)  # fmt: skip
def test_episodes_of_something_else_are_refused_in_a_line(written, episodes, change, problem):
    folder = written("one")
    write_rows(change(episodes), folder / "episodes.csv")
    with pytest.raises(RobustMetaError, match=rf"one/episodes.csv is no episodes.csv of a report: {problem}$"):
        read_run(folder)
    (folder / "episodes.csv").write_text("learner,defense,episode,clean\n")
    assert read_run(folder).episodes.empty


def test_a_report_is_found_by_its_name_alone(written, tmp_path, monkeypatch):
    written("reports/omniglot-5w1s")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RobustMetaError, match="did you mean 'reports/omniglot-5w1s'"):
        read_run(tmp_path.__class__("omniglot-5w1s"))

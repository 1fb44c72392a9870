"""Reports joined: on the command line and as files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from robustmeta.cli import main
from robustmeta.compare import compare
from robustmeta.interval import mean_interval
from robustmeta.report.write import read_rows, write_rows

ROOT = Path(__file__).parent.parent
ATTACKS = ("clean", "fgsm", "pgd-20", "worst")


def report(folder: Path, strength: dict[str, float], **columns: object) -> Path:
    """A report of a few rows: `strength` is the worst-case accuracy of each row of protonet by its defense."""
    rows, episodes = [], []
    for name, worst in strength.items():
        generator = np.random.default_rng(7)  # episodes as hard for all, so that differences are paired
        each = np.clip(worst + generator.normal(0, 0.1, 50), 0, 1)
        of = {"clean": each / 2 + 0.5, "fgsm": (each + 1) / 2, "pgd-20": each, "worst": each}
        who = {"learner": "protonet", "defense": name, "row": f"protonet-{name}"}
        episodes += [{**who, "episode": at, **{key: of[key][at] for key in ATTACKS}} for at in range(50)]
        for attack in ATTACKS:
            accuracy, ci95 = mean_interval(of[attack])
            drop, drop_ci95 = mean_interval(of["clean"] - of[attack])
            about = {
                **who, "backbone": "conv4-64", "norm_policy": "running", "dataset": "omniglot", "split": "test",
                "ways": 5, "shots": 1, "queries": 15, "episodes": 50, "seed": 1, "threat_norm": "Linf",
                "eps": 0.0 if attack == "clean" else 0.1, "attack": attack, "accuracy": accuracy, "ci95": ci95,
                "drop": drop, "drop_ci95": drop_ci95, "flags": "", "suite": "quick", "audit": "always",
                "target": "" if attack == "clean" else "query",
                "card": "" if attack in ("clean", "worst") else "12e4567",
                "config": folder.name, "robustmeta": "0.2.0", "torch": "2.13.0", "torchattacks": "3.5.1",
            }  # fmt: skip
            rows.append(about | columns)
    write_rows(pd.DataFrame(rows), folder / "results.csv")
    write_rows(pd.DataFrame(episodes), folder / "episodes.csv")
    (folder / "recipe.yaml").write_text("dataset: {name: omniglot, rotations: true}")
    return folder


def edit(folder: Path, change: pd.Series | dict, **where: str) -> None:
    """Change columns of the rows of results.csv where other columns have a value."""
    rows = read_rows(folder / "results.csv")
    here = np.logical_and.reduce([rows[name] == value for name, value in where.items()])
    for name, value in change.items():
        rows.loc[here, name] = value
    write_rows(rows, folder / "results.csv")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["compare", *map(str, arguments)])


@pytest.fixture
def one(tmp_path):
    return report(tmp_path / "one", {"natural": 0.1, "aq": 0.7})


@pytest.fixture
def two(tmp_path):
    return report(tmp_path / "two", {"aq": 0.8, "trades-aq": 0.75})


def test_two_reports_are_one_table_ranked_by_the_worst_case(one, two):
    found = compare([one, two])
    assert list(found.table.index) == [
        "protonet / aq [two]", "protonet / trades-aq", "protonet / aq [one]", "protonet / natural",
    ]  # fmt: skip
    assert list(found.table.columns) == ["clean", "fgsm", "pgd-20", "worst", "rank", "minus rank 1"]
    assert list(found.table["rank"]) == ["1", "2", "3", "4"]
    own = {each: read_rows(each / "episodes.csv").set_index("defense")["worst"] for each in (one, two)}
    mean, half = mean_interval(own[one]["aq"].to_numpy() - own[two]["aq"].to_numpy())
    assert found.table.loc["protonet / aq [one]", "minus rank 1"] == f"{100 * mean:.1f} ± {100 * half:.1f}"
    assert found.table.loc["protonet / aq [two]", "minus rank 1"] == "-"
    assert list(found.bold["worst"].reindex(found.table.index)) == [True, False, False, False]
    assert found.warnings == ()


def test_a_row_that_fails_a_check_is_unranked_and_last(one, two):
    edit(two, {"flags": "G01:fail"}, defense="aq")
    found = compare([one, two])
    assert list(found.table.index)[-1] == "protonet / aq [two]"
    assert list(found.table["rank"]) == ["1", "2", "3", "-"]
    assert not found.bold.loc["protonet / aq [two]"].any()
    assert found.table.loc["protonet / aq [one]", "minus rank 1"].startswith("-5.")  # minus trades-aq, the first now


def test_rows_of_other_settings_are_ranked_for_themselves(one, tmp_path):
    other = report(tmp_path / "two", {"aq": 0.8, "natural": 0.3}, shots=5)
    found = compare([one, other])
    assert list(found.table["setting"]) == ["5-way 1-shot"] * 2 + ["5-way 5-shot"] * 2
    assert list(found.table["rank"]) == ["1", "2", "1", "2"]
    assert found.table.loc["protonet / aq [two]", "minus rank 1"] == "-"
    assert found.bold["worst"].to_dict() == {
        "protonet / aq [one]": True, "protonet / natural [one]": False,
        "protonet / aq [two]": True, "protonet / natural [two]": False,
    }  # fmt: skip
    (warning,) = found.warnings
    assert warning.startswith("ways and shots differ: 5-way 1-shot (one); 5-way 5-shot (two). ")


def test_settings_that_only_cards_tell_apart_are_numbered_and_explained(one, two):
    assert not any("told apart by a number" in line for line in compare([one, two]).note)
    edit(two, {"card": "0000000"}, attack="fgsm")
    found = compare([one, two])
    assert list(found.table["setting"]) == ["quick (1)"] * 2 + ["quick (2)"] * 2
    assert any("told apart by a number" in line for line in found.note)
    assert [line.split(".")[0] for line in found.warnings] == [
        "attack cards differ: fgsm is 12e4567 (one); 0000000 (two)"
    ]


def test_without_episodes_there_are_no_paired_differences(one, two):
    for folder in (one, two):
        (folder / "episodes.csv").unlink()
    assert "minus rank 1" not in compare([one, two]).table.columns


def test_attacks_that_a_report_lacks_are_dashes(one, two):
    rows = read_rows(two / "results.csv")
    write_rows(rows[rows["attack"] != "fgsm"].replace("pgd-20", "pgd-50"), two / "results.csv")
    table = compare([two, one]).table
    assert list(table.columns[1:6]) == ["clean", "pgd-50", "fgsm", "pgd-20", "worst"]
    assert set(table.loc[table.index.str.contains("two"), "fgsm"]) == {"-"}


def test_every_format_shows_table_and_warnings(one, two, tmp_path):
    edit(two, {"eps": 8 / 255}, attack="pgd-20")
    edit(two, {"eps": 8 / 255}, attack="worst")
    edit(two, {"eps": 8 / 255}, attack="fgsm")
    found = compare([one, two])
    warned = "hreat differs: Linf, eps 0.1 (one); Linf, eps 8/255 (two)."
    assert all(warned in found.rendered(form) for form in ("markdown", "latex", "html"))
    assert "**" in found.rendered("markdown")
    assert r"\textbf{" in found.rendered("latex")
    assert "<strong>" in found.rendered("html")
    assert "`minus" not in found.rendered("html") + found.rendered("latex")
    for form in ("text", "csv", "markdown", "latex", "html"):
        assert found.rendered(form).endswith("\n")
        assert "trades-aq" in found.rendered(form)


def test_a_folder_gets_four_files_whose_rows_read_back(one, two, tmp_path):
    out = tmp_path / "out"
    result = run(one, two, "--out", out)
    assert result.exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "comparison.csv", "comparison.html", "comparison.md", "comparison.tex",
    ]  # fmt: skip
    assert result.stdout.splitlines() == [str(out / f"comparison.{kind}") for kind in ("csv", "md", "tex", "html")]
    rows = read_rows(out / "comparison.csv")
    assert list(rows.columns[:3]) == ["report", "learner", "defense"]
    own = rows[rows["report"] == "two"].drop(columns=["report", "data"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(own, read_rows(two / "results.csv"), check_like=True)


@pytest.mark.parametrize(("name", "start"), [("t.csv", "report,"), ("t.md", "# "), ("t.tex", "%"), ("t.html", "<!doc")])
def test_a_file_has_the_format_of_its_suffix(one, tmp_path, name, start):
    assert run(one, "--out", tmp_path / "new" / name).stdout == f"{tmp_path / 'new' / name}\n"
    assert (tmp_path / "new" / name).read_text(encoding="utf-8").startswith(start)
    assert run(one, "--out", tmp_path / "dir", "--format", "latex").stdout == f"{tmp_path / 'dir' / 'comparison.tex'}\n"


def test_the_terminal_gets_the_table_and_standard_error_the_warnings(one, tmp_path):
    other = report(tmp_path / "two", {"aq": 0.8}, seed=2, torch="2.14.0")
    result = run(one, other)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0].startswith("learner / defense")
    assert "**" not in result.stdout
    lines = result.stderr.splitlines()
    assert [line.split(" differ")[0] for line in lines] == [
        "robustmeta: warning: episodes", "robustmeta: warning: torch version",
    ]  # fmt: skip
    assert run(one, other, "--format", "csv").stdout.startswith("report,learner,")


def test_the_same_report_twice_is_shown_once(one, tmp_path):
    assert len(compare([one, one]).table) == 2
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("results.csv", "recipe.yaml"):
        (copy / name).write_bytes((one / name).read_bytes())
    result = run(one, copy)
    assert "copy holds the same rows as one, shown once: protonet / natural, protonet / aq" in result.stderr
    assert result.stdout == run(one).stdout


def test_what_cannot_be_compared_is_refused_in_one_line(one, tmp_path):
    def refused(*arguments: Path) -> str:
        result = run(*arguments)
        assert result.exit_code == 2
        (line,) = result.stderr.splitlines()
        return line

    assert f"there is no report {tmp_path / 'on'}; did you mean '{one}'?" in refused(tmp_path / "on")
    other = report(tmp_path / "two", {"aq": 0.8})
    rows = read_rows(other / "results.csv")
    rows = rows[rows["attack"].isin(["clean", "fgsm"])].replace("fgsm", "swap-20")
    write_rows(rows, other / "results.csv")
    assert "no attack in common: one has fgsm, pgd-20, worst; two has swap-20;" in refused(one, other)
    clean = read_rows(other / "results.csv")
    write_rows(clean[clean["attack"] == "clean"], other / "results.csv")
    assert run(other, other).exit_code == 0  # nothing was attacked, and clean accuracies are there to compare
    assert "cannot write" in refused(one, "--out", one / "results.csv" / "x")
    assert run().exit_code == 2


@pytest.mark.parametrize("name", ["results.csv", "episodes.csv", "recipe.yaml", "report.md", "report.html"])
def test_no_file_of_a_report_is_written_over(one, tmp_path, name):
    before = {path.name: path.read_bytes() for path in one.iterdir()}
    result = run(one / "results.csv", "--out", tmp_path / "two" / ".." / "one" / name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert {path.name: path.read_bytes() for path in one.iterdir()} == before
    (one / "results.csv").rename(one / "comparison.csv")
    assert "is a file of a report that is compared" in run(one / "comparison.csv", "--out", one).stderr
    assert not (one / "comparison.md").exists()


def test_a_suffix_of_no_format_or_of_another_is_refused(one, tmp_path):
    for name in ("table.htm", "x.pdf", "v0.2"):
        result = run(one, "--out", tmp_path / name)
        assert f"{name} has the suffix of no format" in result.stderr
        assert result.exit_code == 2
        assert not (tmp_path / name).exists()
    (tmp_path / "v0.2").mkdir()
    assert run(one, "--out", tmp_path / "v0.2", "--format", "csv").exit_code == 0
    result = run(one, "--out", tmp_path / "x.csv", "--format", "latex")
    assert "x.csv is a file of csv, and the format is latex" in result.stderr
    assert not (tmp_path / "x.csv").exists()
    assert run(one, "--out", tmp_path / "x.csv", "--format", "csv").exit_code == 0


def test_data_set_as_another_recipe_has_it_is_not_ranked_with_this_one(one, two):
    (two / "recipe.yaml").write_text("dataset: {name: omniglot, by: alphabets}")  # which is the default
    assert compare([one, two]).warnings == ()
    (two / "recipe.yaml").unlink()
    found = compare([one, two])
    assert list(found.table["rank"]) == ["1", "2"] * 2
    assert "omniglot (settings unknown) (two)" in found.warnings[0]
    (two / "recipe.yaml").write_text("dataset: {name: omniglot, by: characters}")
    assert "omniglot (by characters) (two)" in compare([one, two]).warnings[0]


def test_the_committed_reports_can_be_compared(tmp_path):
    names = ("glyphs-5w1s", "omniglot-5w1s", "omniglot-5w1s-autoattack", "omniglot-5w5s", "omniglot-5w5s-support")
    reports = [ROOT / "reports" / name for name in names]
    found = compare(reports)
    assert {name for path in reports for name in read_rows(path / "results.csv")["attack"]} <= {
        name.partition(" (")[0] for name in found.table.columns
    }
    assert sum(found.table["rank"] == "1") > 1
    assert len(found.write(tmp_path)) == 4

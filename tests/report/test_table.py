import pandas as pd
import pytest

from robustmeta.errors import RobustMetaError
from robustmeta.report.table import as_markdown, as_text, comparison, escaped, percent


def rows(*values: tuple[str, str, str, float, float, str]) -> pd.DataFrame:
    return pd.DataFrame(values, columns=["learner", "defense", "attack", "accuracy", "ci95", "flags"])


SMALL = rows(
    ("maml", "aq", "worst", 0.5, 0.0204, ""),
    ("maml", "aq", "clean", 0.9, 0.01, ""),
    ("maml", "aq", "pgd", 0.5125, 0.02, ""),
    ("maml", "aq", "fgsm", 0.691, 0.0119, ""),
    ("maml", "natural", "clean", 1.0, 0.0, ""),
    ("maml", "natural", "pgd", 0.0, 0.0, ""),
)


def test_cells_in_percent():
    assert percent(0.691, 0.0119) == "69.1 ± 1.2"
    assert percent(1.0, 0.0) == "100.0 ± 0.0"
    assert percent(0.691, float("nan")) == "69.1 ± n/a"
    assert percent(float("nan"), float("nan")) == "-"


def test_comparison_worked_by_hand():
    table = comparison(SMALL)
    assert list(table.columns) == ["clean", "pgd", "fgsm", "worst"]  # as they come, between clean and worst
    assert table.index.to_list() == ["maml / natural", "maml / aq"]
    assert table.to_numpy().tolist() == [
        ["100.0 ± 0.0", "0.0 ± 0.0", "-", "-"],
        ["90.0 ± 1.0", "51.2 ± 2.0", "69.1 ± 1.2", "50.0 ± 2.0"],
    ]


def test_comparison_of_another_value(results):
    drops = comparison(results, "drop", "drop_ci95")
    assert set(drops["clean"]) == {"0.0 ± 0.0"}
    row = results[(results["learner"] == "maml") & (results["defense"] == "aq") & (results["attack"] == "worst")]
    assert drops.loc["maml / aq", "worst"] == f"{100 * row['drop'].item():.1f} ± {100 * row['drop_ci95'].item():.1f}"


def test_flags_say_which_attacks_raised_them():
    flagged = SMALL.copy()
    flagged["flags"] = ["G07,R03", "G07", "G07", " G07 ", None, float("nan")]
    assert comparison(flagged)["flags"].to_list() == ["", "G07; R03 (worst)"]


def test_a_learner_without_all_attacks_is_flagged_by_those_it_has():
    flagged = SMALL.assign(flags=["", "", "", "", "G07", "G07"])
    assert comparison(flagged)["flags"].to_list() == ["G07", ""]


def test_refuses_a_row_that_stands_twice():
    with pytest.raises(RobustMetaError, match="two rows of label maml / aq, attack pgd"):
        comparison(pd.concat([SMALL, SMALL.iloc[[2]]]))


def test_refuses_missing_columns():
    with pytest.raises(RobustMetaError, match="no column ci95"):
        comparison(SMALL.drop(columns="ci95"))


def test_text_is_aligned():
    assert as_text(comparison(SMALL)).splitlines() == [
        "learner / defense        clean         pgd        fgsm       worst",
        "------------------------------------------------------------------",
        "maml / natural     100.0 ± 0.0   0.0 ± 0.0           -           -",
        "maml / aq           90.0 ± 1.0  51.2 ± 2.0  69.1 ± 1.2  50.0 ± 2.0",
    ]


def test_markdown():
    table = pd.DataFrame({"clean": ["9.0 ± 1.0", "-"], "note": ["a|b", ""]}, index=pd.Index(["x", "long"], name="who"))
    assert as_markdown(table).splitlines() == [
        "| who  |     clean | note |",
        "| ---- | --------: | ---- |",
        "| x    | 9.0 ± 1.0 | a\\|b |",
        "| long |         - |      |",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<img src=x onerror=alert(1)>", r"\<img src=x onerror=alert(1)>"),
        ("`a` **b** [c](d)", r"\`a\` \*\*b\*\* \[c\](d)"),
        ("_a_ ~b~ &lt; \\", r"\_a\_ \~b\~ \&lt; \\"),
        ("meta_sgd", "meta_sgd"),
        ("a\r\nb\u2028c", "a b c"),
    ],
)
def test_what_markdown_would_take_for_marks_is_escaped(text, shown):
    assert escaped(text) == shown
    assert f"| {shown} " in as_markdown(pd.DataFrame({"x": [text]}))


def flagged(results: pd.DataFrame, learner: str, defense: str, codes: str) -> pd.DataFrame:
    here = (results["learner"] == learner) & (results["defense"] == defense)
    return results.assign(flags=results["flags"].mask(here, codes))


def test_rows_are_ranked_by_their_worst_case_and_one_that_failed_a_check_is_not(results) -> None:
    worst = results[results["attack"] == "worst"].set_index(["learner", "defense"])["accuracy"]
    order = list(worst.sort_values(ascending=False).index)
    ranks = comparison(results)["rank"]
    assert [ranks[" / ".join(key)] for key in order] == ["1", "2", "3", "4"]
    best, second = order[0], order[1]
    ranks = comparison(flagged(results, *best, "G01:fail,S08:warn"))["rank"]
    assert [ranks[" / ".join(key)] for key in order] == ["-", "1", "2", "3"]
    ranks = comparison(flagged(results, *second, "S08:warn"))["rank"]
    assert [ranks[" / ".join(key)] for key in order] == ["1", "2", "3", "4"]
    assert "rank" not in comparison(results, "drop", "drop_ci95")
    assert "rank" not in comparison(results.drop(columns="audit"))
    assert "rank" not in comparison(results[results["attack"] != "worst"])
    assert "rank" not in comparison(results[(results["learner"] == "maml") & (results["defense"] == "aq")])


def test_attacks_on_the_support_stand_behind_the_worst_case_and_say_so(results) -> None:
    moved = results[results["attack"] == "fgsm"]
    support = moved.assign(attack="poison-20", target="support")
    both = moved.assign(attack="joint-20", target="joint")
    table = comparison(pd.concat([support, results.assign(target="query"), both], ignore_index=True))
    titles = ["worst", "poison-20 (support)", "joint-20 (support + query)", "rank"]
    assert list(table.columns)[-4:] == titles

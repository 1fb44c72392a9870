import pandas as pd

from robustmeta.report.leading import leading
from robustmeta.report.table import comparison


def rows(*values: tuple) -> pd.DataFrame:
    frame = pd.DataFrame(values, columns=["learner", "attack", "accuracy", "ci95"])
    return frame.assign(defense="aq", flags="", dataset="glyphs")


# The best is 0.80 ± 0.05: 0.75 is within its interval, 0.74 is not, though its own interval reaches 0.80.
BY_HAND = rows(("a", "pgd", 0.80, 0.05), ("b", "pgd", 0.7501, 0.01), ("c", "pgd", 0.74, 0.10), ("d", "pgd", 0.1, 0.9))


def bold_of(results: pd.DataFrame, column: str = "pgd") -> list[bool]:
    return leading(results)[column].to_list()


def test_what_is_within_the_interval_of_the_best_is_bold():
    assert bold_of(BY_HAND) == [True, True, False, False]


def test_a_row_that_failed_a_check_takes_no_part():
    failed = BY_HAND.assign(flags=["G01:fail", "", "", ""])
    assert bold_of(failed) == [False, True, False, False]  # 0.74 is not within 0.7501 ± 0.01
    assert bold_of(BY_HAND.assign(flags=["G01:warn", "", "", ""])) == bold_of(BY_HAND)
    assert bold_of(BY_HAND.assign(flags="G01:fail")) == [False] * 4


def test_without_an_interval_only_the_best_is_bold():
    assert bold_of(BY_HAND.assign(ci95=float("nan"))) == [True, False, False, False]


def test_only_what_measures_the_same_is_compared():
    assert bold_of(BY_HAND.assign(shots=[1, 1, 5, 5])) == [True, True, True, False]


def test_nothing_is_the_best_of_one():
    assert bold_of(BY_HAND.iloc[:1]) == [False]
    assert bold_of(BY_HAND.assign(shots=[1, 2, 3, 4])) == [False] * 4


def test_it_has_the_shape_of_the_comparison(results):
    bold, table = leading(results), comparison(results)
    assert bold.index.equals(table.index)
    assert list(bold.columns) == list(table.columns)
    assert not bold[["rank"]].any(axis=None)
    assert bold[["clean", "fgsm", "pgd-20", "pgd-20-margin", "worst"]].any().all()


def test_a_column_of_an_attack_on_the_support_is_found_by_its_title():
    assert leading(BY_HAND.assign(target="support"))["pgd (support)"].to_list() == [True, True, False, False]

import pandas as pd
import pytest

from robustmeta.report.data_settings import UNKNOWN
from robustmeta.report.unlike import facets, setting_names, warnings

QUERIES = "15 queries a class"


def two(results: pd.DataFrame, **changes: object) -> pd.DataFrame:
    """The same rows in two reports, those of the second changed."""
    results = results.assign(target="query", suite="quick")
    other = results.assign(report="two", **changes)
    return pd.concat([results.assign(report="one"), other], ignore_index=True)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"dataset": "omniglot"}, "data set differs: glyphs (one); omniglot (two). "),
        ({"data": "by x"}, "data set differs: glyphs (one); glyphs (by x) (two). "),
        ({"train_dataset": "cifar_fs"}, "data set differs: glyphs (one); glyphs after cifar_fs (two). "),
        ({"split": "val"}, "split differs: test (one); val (two). "),
        ({"shots": 5}, "ways and shots differ: 5-way 1-shot (one); 5-way 5-shot (two). "),
        ({"eps": 8 / 255}, "threat differs: Linf, eps 0.1 (one); Linf, eps 8/255 (two). "),
        ({"threat_norm": "L2"}, "threat differs: Linf, eps 0.1 (one); L2, eps 0.1 (two). "),
        ({"suite": "autoattack"}, "suite differs: quick (one); autoattack (two). "),
        ({"seed": 2}, f"episodes differ: 40 of {QUERIES}, seed 1 (one); 40 of {QUERIES}, seed 2 (two). "),
        ({"queries": 1}, f"episodes differ: 40 of {QUERIES}, seed 1 (one); 40 of 1 query a class, seed 1 (two). "),
        ({"norm_policy": "transductive"}, "norm policy differs: inductive (one); transductive (two). "),
        ({"audit": ""}, "audit differs: always (one); none (two). "),
        ({"robustmeta": "9"}, "robustmeta version differs: 0.1.0 (one); 9 (two). "),
        ({"torch": "9"}, "torch version differs: 2.13 (one); 9 (two). "),
        ({"torchattacks": "9"}, "torchattacks version differs: 3.5.1 (one); 9 (two). "),
    ],
)  # fmt: skip
def test_each_difference_is_a_line_that_names_the_reports(results, changes, line):
    (told,) = warnings(two(results, **changes))
    assert told.startswith(line)
    assert len(told) > len(line) + 20  # and says what follows


def test_what_is_alike_is_not_warned_of(results):
    assert warnings(two(results)) == []
    assert warnings(two(results, norm_policy="group", config="x", train_steps=5, seconds=9.0)) == []
    assert warnings(two(results, suite="")) == []  # the same cards by their names
    assert set(setting_names(two(results, seed=2)).values()) == {""}


def test_unknown_settings_of_a_data_set_are_warned_of_even_where_all_are_unknown(results):
    (told,) = warnings(two(results.assign(data=UNKNOWN, train_data=UNKNOWN, train_dataset="glyphs"), data=UNKNOWN))
    assert told.startswith("no recipe.yaml says how the data set of one, two was set")
    differs, told = warnings(two(results, data=UNKNOWN))
    assert differs.startswith("data set differs: glyphs (one); glyphs (settings unknown) (two). ")
    assert told.startswith("no recipe.yaml says how the data set of two was set")


def test_smoothing_that_differs_is_a_line(results):
    proven = results[results["attack"] == "fgsm"].assign(
        attack="certified-L2-0.5", target="certified", sigma=0.25, samples=500, alpha=0.001, certificate="majority",
        report="one",
    )  # fmt: skip
    both = [two(results), proven, proven.assign(report="two", sigma=0.5)]
    (told,) = warnings(pd.concat(both, ignore_index=True))
    assert told.startswith("smoothing differs: sigma 0.25, samples 500")
    assert "sigma 0.5, samples 500" in told
    assert warnings(pd.concat(both[:2], ignore_index=True)) == []


def test_cards_that_differ_are_named_by_attack(results):
    card = results["card"].mask(results["attack"] == "fgsm", "0000000")
    (told,) = warnings(two(results, card=card))
    assert told.startswith("attack cards differ: fgsm is 12e4567 (one); 0000000 (two). ")


def test_a_report_of_both_is_said_to_have_some_rows_of_each(results):
    policy = results["norm_policy"].mask(results["learner"] == "maml", "transductive")
    (told,) = warnings(two(results, norm_policy=policy))
    assert told.startswith("norm policy differs: inductive (one, some rows of two); transductive (some rows of two). ")


def test_settings_are_named_by_what_sets_them_apart(results):
    names = setting_names(two(results, shots=5))
    assert names["maml / aq [one]"] == "5-way 1-shot"
    assert names["maml / aq [two]"] == "5-way 5-shot"
    names = setting_names(two(results, shots=5, eps=0.2, seed=3))
    assert names["maml / aq [two]"] == "5-way 5-shot, Linf, eps 0.2"
    card = results["card"].mask(results["attack"] == "fgsm", "0000000")
    names = setting_names(two(results, card=card))
    assert {names["maml / aq [one]"], names["maml / aq [two]"]} == {"quick (1)", "quick (2)"}


def test_an_unnamed_suite_is_named_by_its_attacks(results):
    table = facets(results.assign(report="one"))
    assert set(table["suite"]) == {"fgsm, pgd-20, pgd-20-margin"}
    clean = facets(results[results["attack"] == "clean"].assign(report="one"))
    assert set(clean["suite"]) == set(clean["threat"]) == {"none"}

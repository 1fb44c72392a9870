from robustmeta.report.raised import Raised, raised


def test_each_flag_once_with_its_meaning_and_who_raised_it(results):
    aq, pgd = results["defense"] == "aq", results["attack"] == "pgd-20"
    results.loc[aq, "flags"] = "G06:warn"
    results.loc[aq & pgd, "flags"] = "stand-in:pgd-50,G06:warn"
    assert raised(results) == [
        Raised("G06:warn", "same input, same logits", ("maml / aq", "protonet / aq")),
        Raised(
            "stand-in:pgd-50",
            "the attack does not fit the tasks (commonly too few ways), and the one after the colon ran instead",
            ("maml / aq under pgd-20", "protonet / aq under pgd-20"),
        ),
    ]


def test_meanings_may_be_given_and_may_be_missing(results):
    results["flags"] = "G06:warn,X1,X2:a"
    said = {one.flag: one.meaning for one in raised(results, {"G06": "mine.", "X2:a": "whole"})}
    assert said == {"G06:warn": "mine", "X1": "", "X2:a": "whole"}


def test_no_flags(results):
    assert raised(results) == []

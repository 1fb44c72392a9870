from robustmeta.report.drops import drops


def test_clean_minus_attacked_without_clean_and_flags(results):
    results["flags"] = "G06:warn"
    table = drops(results)
    assert list(table.columns) == ["fgsm", "pgd-20", "pgd-20-margin", "worst"]
    row = results[(results["learner"] == "maml") & (results["defense"] == "aq") & (results["attack"] == "fgsm")].iloc[0]
    assert table.loc["maml / aq", "fgsm"] == f"{100 * row['drop']:.1f} ± {100 * row['drop_ci95']:.1f}"


def test_what_is_certified_dropped_from_nothing(results):
    results["target"] = results["attack"].map({"worst": "certified"}).fillna("query")
    assert "worst" not in drops(results).columns


def test_clean_alone_dropped_nowhere(results):
    assert drops(results[results["attack"] == "clean"]).empty

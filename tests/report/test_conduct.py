from robustmeta.report.conduct import conduct


def test_costs_are_summed_over_attacks_but_not_over_the_worst_case(results):
    results["forwards"] = results["attack"].map({"clean": 10, "worst": 1000}).fillna(100).astype(int)
    table = conduct(results)
    assert set(table["forwards"]) == {"310"}
    assert set(table["evaluation, s"]) == {"5.0"}


def test_a_column_that_says_nothing_is_left_out(results):
    results["order"] = ""
    assert "order" not in conduct(results).columns
    assert list(conduct(results)["train steps"]) == ["300"] * 4

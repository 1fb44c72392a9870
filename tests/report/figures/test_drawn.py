from robustmeta.report.figures import figures


def names(*tables) -> list[str]:
    return [picture.name for picture in figures(*tables)]


def test_what_the_rows_allow_is_drawn(results, episodes, curve) -> None:
    assert names(results, episodes, curve) == ["pareto", "curve", "episodes"]
    steps = curve[curve["eps"] <= 0.05].assign(steps=1, eps=0.1).drop_duplicates(["learner", "defense"])
    assert names(results, episodes, None, steps) == ["pareto", "steps", "episodes"]
    assert names(results, episodes, curve.iloc[:0], steps.iloc[:0]) == ["pareto", "episodes"]
    clean = results[results["attack"] == "clean"]
    assert names(clean, episodes) == ["episodes"]
    one = (results["learner"] == "maml") & (results["defense"] == "aq")
    assert names(results[one], episodes) == ["episodes"]  # one point is no comparison

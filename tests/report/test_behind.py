import numpy as np
import pandas as pd
import pytest
from scipy import stats

from robustmeta.report.behind import behind


def cell(values: pd.Series) -> str:
    half = stats.sem(values) * stats.t.ppf(0.975, len(values) - 1)
    return f"{100 * np.mean(values):.1f} ± {100 * half:.1f}"


def of(episodes: pd.DataFrame, learner: str, defense: str) -> np.ndarray:
    return episodes[(episodes["learner"] == learner) & (episodes["defense"] == defense)]["worst"].to_numpy()


@pytest.fixture
def one(results, episodes):
    return results.assign(report="one"), episodes.assign(report="one")


def test_the_gap_is_of_paired_episodes(one):
    results, episodes = one
    found = behind(results, episodes.sample(frac=1, random_state=0))  # in whatever order the file has them
    best = of(episodes, "protonet", "aq")
    assert found == {
        f"{learner} / {defense}": cell(of(episodes, learner, defense) - best)
        for learner, defense in (("maml", "natural"), ("maml", "aq"), ("protonet", "natural"))
    }


def test_rows_of_another_report_with_the_same_episodes_are_paired(one):
    results, episodes = one
    maml, here = (results["learner"] == "maml"), (episodes["learner"] == "maml")
    apart = results.assign(report=results["report"].mask(maml, "two"))
    found = behind(apart, episodes.assign(report=episodes["report"].mask(here, "two")))
    assert found == behind(results, episodes)


@pytest.mark.parametrize("changes", [{"seed": 2}, {"queries": 5}, {"shots": 5}, {"data": "by characters"}])
def test_rows_that_met_other_episodes_are_not(one, changes):
    results, episodes = one
    aq = results[results["defense"] == "aq"]
    other = aq[aq["learner"] == "maml"].assign(**changes)
    assert behind(pd.concat([aq[aq["learner"] != "maml"], other]), episodes) == {}
    assert set(behind(aq, episodes)) == {"maml / aq"}


def test_episodes_of_another_run_are_not_used(one):
    results, episodes = one
    stale = episodes.assign(worst=episodes["worst"].mask(episodes["defense"] == "natural", 0.5))
    assert set(behind(results, stale)) == {"maml / aq"}
    assert behind(results, episodes.iloc[:0]) == {}
    assert behind(results, pd.DataFrame()) == {}
    assert behind(results, pd.concat([episodes, episodes])) == {}


def test_a_row_that_failed_a_check_is_neither_first_nor_behind(one):
    results, episodes = one
    best = (results["learner"] == "protonet") & (results["defense"] == "aq")
    found = behind(results.assign(flags=results["flags"].mask(best, "G01:fail")), episodes)
    first = of(episodes, "maml", "aq")
    assert set(found) == {"maml / natural", "protonet / natural"}
    assert found["maml / natural"] == cell(of(episodes, "maml", "natural") - first)

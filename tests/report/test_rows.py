import pandas as pd
import pytest

from robustmeta.errors import RobustMetaError
from robustmeta.report.rows import arranged, labelled, require, unrepeated


def frame(*rows: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["learner", "defense", "order"])


def test_natural_comes_first_within_each_learner():
    rows = frame(("protonet", "aq", ""), ("maml", "trades", ""), ("maml", "natural", ""), ("protonet", "natural", ""))
    assert list(labelled(rows)["label"]) == [
        "protonet / natural",
        "protonet / aq",
        "maml / natural",
        "maml / trades",
    ]


def test_settings_tell_namesakes_apart():
    rows = frame(("maml", "aq", "first"), ("maml", "aq", "second"), ("maml", "natural", "second"))
    assert list(labelled(rows)["label"]) == [
        "maml / natural",
        "maml / aq (order first)",
        "maml / aq (order second)",
    ]


def test_names_of_rows_tell_namesakes_apart():
    rows = frame(("maml", "aq", "first"), ("maml", "aq", "second"), ("protonet", "aq", ""))
    named = labelled(rows.assign(row=["quick", "slow", "protonet-aq"]))
    assert list(named["label"]) == ["maml / aq (quick)", "maml / aq (slow)", "protonet / aq"]


def test_rows_of_several_tables_may_share_their_numbers():
    both = pd.concat([frame(("maml", "aq", "")), frame(("protonet", "aq", ""))])
    assert list(labelled(both)["label"]) == ["maml / aq", "protonet / aq"]


def test_arranged_keeps_every_column():
    rows = pd.DataFrame([[1, 2, 3, 4]], columns=["worst", "b", "a", "c"])
    assert list(arranged(rows, ["a", "missing"], ["worst"])) == ["a", "b", "c", "worst"]


def test_require_names_what_is_missing():
    with pytest.raises(RobustMetaError, match="the curve table has no column eps, ci95;"):
        require(frame(("maml", "aq", "")), ["learner", "eps", "ci95"], "curve")
    with pytest.raises(RobustMetaError, match="the curve table has no rows"):
        require(frame(), ["learner"], "curve")


def test_unrepeated_names_the_row():
    with pytest.raises(RobustMetaError, match="two rows of learner maml, order first"):
        unrepeated(frame(("maml", "a", "first"), ("maml", "b", "first")), ["learner", "order"], "results")

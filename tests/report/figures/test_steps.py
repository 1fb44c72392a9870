import numpy as np
import pandas as pd
import pytest

from robustmeta.errors import RobustMetaError
from robustmeta.report.figures import accuracy_against_steps
from robustmeta.report.setting import Setting


@pytest.fixture
def steps() -> pd.DataFrame:
    rows = []
    for defense, floor in (("natural", 0.1), ("aq", 0.6)):
        for number in (0, 1, 5, 50):
            accuracy = floor + (0.9 - floor) / (1 + number)
            rows.append(
                {"learner": "maml", "defense": defense, "attack": "pgd-20-margin", "eps": 0.1, "steps": number,
                 "episodes": 20, "accuracy": accuracy, "ci95": 0.02}
            )  # fmt: skip
    return pd.DataFrame(rows)


def test_every_number_of_steps_is_a_point_and_a_tick(steps, results) -> None:
    picture = accuracy_against_steps(steps, Setting.of(results))
    (axes,) = picture.figure.axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    for defense, group in steps.groupby("defense"):
        drawn = lines[f"maml / {defense}"].get_xydata()
        np.testing.assert_allclose(drawn, np.c_[group["steps"], 100 * group["accuracy"]])
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0", "1", "5", "50"]
    at = axes.transData.transform([(0, 0), (1, 0), (5, 0), (50, 0)])[:, 0]
    assert (np.diff(at) > 40).all()  # 0 and 1 stand apart, although the axis is logarithmic above
    assert "ε = 0.1" in axes.get_xlabel()
    assert picture.name == "steps"
    assert "A step of pgd-20-margin is 0.25 ε long, however many there are." in picture.caption
    own = accuracy_against_steps(steps.assign(attack="mine.yaml"), Setting.of(results))
    assert "How long a step of mine.yaml is, its card says." in own.caption


def test_refuses_rows_of_something_else(steps, results) -> None:
    with pytest.raises(RobustMetaError, match="the steps table has no column steps"):
        accuracy_against_steps(steps.drop(columns="steps"), Setting.of(results))

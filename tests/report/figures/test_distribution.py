import numpy as np
import pandas as pd
import pytest

from robustmeta.errors import RobustMetaError
from robustmeta.report.figures import accuracy_by_episode
from robustmeta.report.setting import Setting


def bars(axes, base: float) -> dict[float, float]:
    """The height of each bar of a strip, by the accuracy at which it stands."""
    return {
        round(bar.get_x() + bar.get_width() / 2, 4): bar.get_height() for bar in axes.patches if bar.get_y() == base
    }


@pytest.fixture
def few(results) -> tuple[pd.DataFrame, Setting]:
    """Ten episodes with 2 ways and 2 queries, so that an accuracy is a multiple of a quarter."""
    worst = [0, 0, 0, 0, 0.25, 0.25, 0.5, 0.75, 0.75, 1]
    rows = pd.DataFrame(
        {"learner": "maml", "defense": "natural", "episode": range(10), "clean": [1.0] * 9 + [0.75], "worst": worst}
    )
    return rows, Setting.of(results.assign(ways=2, queries=2))


def test_a_bar_at_every_accuracy_and_quantiles_that_some_episode_had(few) -> None:
    rows, setting = few
    picture = accuracy_by_episode(rows, setting)
    (axes,) = picture.figure.axes
    heights = bars(axes, 0)
    assert sorted(heights) == [0, 25, 50, 75, 100]
    assert np.array([heights[at] for at in (0, 25, 50, 75, 100)]) / heights[0] * 4 == pytest.approx([4, 2, 1, 2, 1])
    middle, half, median, clean = (line.get_xdata() for line in axes.get_lines()[:4])
    # By hand: of ten sorted values, 5% is the 1st, 25% the 3rd, 50% the 5th, 75% the 8th, 95% the 10th.
    assert list(middle) == [0, 100]
    assert list(half) == [0, 75]
    assert list(median) == [25, 25]
    assert list(clean) == [100]
    assert {"25", "0"} <= {text.get_text() for text in axes.texts}


def test_without_a_worst_case_clean_accuracy_is_drawn(few) -> None:
    rows, setting = few
    picture = accuracy_by_episode(rows.drop(columns="worst"), setting)
    (axes,) = picture.figure.axes
    assert sorted(bars(axes, 0)) == [75, 100]
    assert "clean accuracy" in axes.get_xlabel()
    assert "circle" not in picture.caption


def test_sixty_rows_stand_in_three_columns_each_with_its_name(episodes, results) -> None:
    one = episodes[(episodes["learner"] == "maml") & (episodes["defense"] == "natural")]
    many = pd.concat([one.assign(learner=f"l{i}") for i in range(60)])
    axes = accuracy_by_episode(many, Setting.of(results)).figure.axes
    names = [[tick.get_text() for tick in panel.get_yticklabels()] for panel in axes]
    assert [len(column) for column in names] == [20, 20, 20]
    assert [name for column in names for name in column] == [f"l{i} / natural" for i in range(60)]


def test_an_episode_twice_is_refused(few) -> None:
    rows, setting = few
    with pytest.raises(RobustMetaError, match="two rows of label maml / natural, episode 0"):
        accuracy_by_episode(pd.concat([rows, rows.iloc[[0]]]), setting)

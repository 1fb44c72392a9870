import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robustmeta.errors import RobustMetaError
from robustmeta.report.figures import clean_against_worst
from robustmeta.report.figures.pareto import on_front
from robustmeta.report.picture import PAPER
from robustmeta.report.setting import Setting


def front_of(points: list[tuple[float, float]], outside: list[bool] | None = None) -> list[bool]:
    x, y = (pd.Series(values, dtype=float) for values in zip(*points, strict=True))
    return on_front(x, y, pd.Series(outside or [False] * len(points)))


def test_the_front_by_hand() -> None:
    points = [(90, 0), (80, 50), (85, 40), (80, 40), (70, 50), (90, 0)]
    assert front_of(points) == [True, True, True, False, False, True]
    # Without the second, those that only it beat come to the front.
    assert front_of(points, [False, True, False, False, False, False]) == [True, False, True, False, True, True]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_what_is_off_the_front_is_beaten_by_what_is_on_it(points) -> None:
    front = front_of(points)
    best = [point for point, on in zip(points, front, strict=True) if on]
    assert best
    for point, on in zip(points, front, strict=True):
        beaten = any(other != point and other[0] >= point[0] and other[1] >= point[1] for other in best)
        assert beaten != on


def drawn(results: pd.DataFrame):
    return clean_against_worst(results, Setting.of(results))


def points_of(axes) -> dict[tuple[float, float], object]:
    """The marker of each point, by where it stands, to a hundredth."""
    found = {}
    for line in axes.get_lines():
        if line.get_marker() not in ("None", "", None):
            found[tuple(np.round(line.get_xydata()[0], 2))] = line
    return found


def test_points_intervals_and_names(results) -> None:
    picture = drawn(results)
    (axes,) = picture.figure.axes
    wide = results.pivot_table(index=["learner", "defense"], columns="attack", values=["accuracy", "ci95"])
    points = points_of(axes)
    assert len(points) == 4
    spans = {tuple(np.round(segment, 2).flatten()) for lines in axes.collections for segment in segments(lines)}
    for (learner, defense), row in wide.iterrows():
        x, y = 100 * row["accuracy", "clean"], 100 * row["accuracy", "worst"]
        assert (round(x, 2), round(y, 2)) in points
        half = 100 * row["ci95", "clean"]
        assert tuple(np.round([x - half, y, x + half, y], 2)) in spans
        half = 100 * row["ci95", "worst"]
        assert tuple(np.round([x, y - half, x, y + half], 2)) in spans
        assert f"{learner} / {defense}" in {text.get_text() for text in axes.texts}


def segments(collection) -> list[np.ndarray]:
    return collection.get_segments() if hasattr(collection, "get_segments") else []


def test_labels_cover_neither_each_other_nor_points(results) -> None:
    one = results[results["learner"] == "maml"]
    crowd = [one.assign(learner=f"learner {i}", accuracy=one["accuracy"] * (1 - i // 2 / 100)) for i in range(6)]
    picture = drawn(pd.concat(crowd))
    (axes,) = picture.figure.axes
    picture.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 13  # of 12 points, some of which lie on each other, and of the front
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])
        assert not any(box.contains(*axes.transData.transform(point)) for point in points_of(axes))


def test_a_row_that_fails_a_check_is_hollow_and_off_the_front(results) -> None:
    best = results.query("attack == 'worst'").nlargest(1, "accuracy").iloc[0]
    name = f"{best['learner']} / {best['defense']}"
    whole = drawn(results)
    assert name in whole.caption.partition("other: ")[2]
    here = (results["learner"] == best["learner"]) & (results["defense"] == best["defense"])
    failing = results.assign(flags=results["flags"].mask(here & (results["attack"] == "worst"), "S03:fail"))
    picture = drawn(failing)
    (axes,) = picture.figure.axes
    hollow = [point for point, line in points_of(axes).items() if line.get_markerfacecolor() == PAPER]
    assert [round(100 * best["accuracy"], 2)] == [y for _, y in hollow]
    assert name not in picture.caption.partition("other: ")[2]
    assert f"{name} (not ranked)" in {text.get_text() for text in axes.texts}
    assert "Hollow points" in picture.caption


def test_the_front_is_of_the_rows_that_are_trusted_whatever_row_the_check_failed_on(results) -> None:
    best = results.query("attack == 'worst'").nlargest(1, "accuracy").iloc[0]
    name = f"{best['learner']} / {best['defense']}"
    here = (results["learner"] == best["learner"]) & (results["defense"] == best["defense"])
    support = results[results["attack"] == "fgsm"].assign(attack="poison-20", target="support")
    poisoned = pd.concat(
        [results, support.assign(flags=support["learner"].map(dict.fromkeys([best["learner"]], "B01:fail")))]
    )
    for other in (poisoned.fillna({"flags": ""}), results.assign(audit=results["audit"].mask(here, ""))):
        picture = drawn(other)
        assert name not in picture.caption.partition("other: ")[2]
        assert f"{name} (not ranked)" in {text.get_text() for text in picture.figure.axes[0].texts}
        assert "or met none" in picture.caption


def test_more_learners_than_colours_are_parted_and_the_others_stay_grey(results) -> None:
    one = results[results["learner"] == "maml"]
    many = pd.concat([one.assign(learner=f"l{i}", accuracy=one["accuracy"] * (1 - i / 50)) for i in range(7)])
    axes = drawn(many).figure.axes
    assert [len(points_of(panel)) for panel in axes] == [12, 2]
    grey = [panel.collections[-1 - 2 * len(points_of(panel))] for panel in axes]
    assert [len(found.get_offsets()) for found in grey] == [2, 12]


def test_without_a_worst_case_there_is_nothing_to_draw(results) -> None:
    with pytest.raises(RobustMetaError, match="no rows"):
        drawn(results[results["attack"] == "clean"])


def test_points_that_all_lie_high_are_looked_at_near_by(results) -> None:
    (axes,) = drawn(results).figure.axes
    assert axes.get_ylim()[0] < 0
    high = results.assign(accuracy=0.9 + 0.05 * results["accuracy"], ci95=0.01)
    (axes,) = drawn(high).figure.axes
    bottom, top = axes.get_ylim()
    ys = [y for _, y in points_of(axes)]
    assert 50 < bottom < min(ys) - 1
    assert max(ys) + 1 < top <= 100

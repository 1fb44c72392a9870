import re

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import image

from robustmeta.errors import RobustMetaError
from robustmeta.report.figures import accuracy_against_eps
from robustmeta.report.setting import Setting


@pytest.fixture
def setting(results):
    return Setting.of(results)


@pytest.fixture
def draw(setting):
    """Draws a curve and returns the figure behind the picture."""
    return lambda curve: accuracy_against_eps(curve, setting).figure


@pytest.fixture
def drawn(draw, curve):
    return draw(curve)


def test_every_point_and_its_interval_are_drawn(drawn, curve):
    axes = drawn.axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    bands = dict(zip(list(lines)[:4], axes.collections, strict=True))
    for (learner, defense), group in curve.groupby(["learner", "defense"]):
        label = f"{learner} / {defense}"
        np.testing.assert_allclose(lines[label].get_xydata(), np.c_[group["eps"], 100 * group["accuracy"]])
        edges = bands[label].get_paths()[0].vertices
        for row in group.itertuples():
            at = edges[np.isclose(edges[:, 0], row.eps), 1]
            assert at.max() == pytest.approx(100 * (row.accuracy + row.ci95))
            assert at.min() == pytest.approx(max(0, 100 * (row.accuracy - row.ci95)))


def test_colour_is_the_learner_and_dashes_are_natural(drawn):
    lines = {line.get_label(): line for line in drawn.axes[0].get_lines()}
    for learner in ("maml", "protonet"):
        natural, defended = lines[f"{learner} / natural"], lines[f"{learner} / aq"]
        assert natural.get_color() == defended.get_color()
        assert (natural.get_linestyle(), defended.get_linestyle()) == ("--", "-")
    assert lines["maml / aq"].get_color() != lines["protonet / aq"].get_color()


def test_chance_headline_and_setting_are_told(drawn):
    axes = drawn.axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert set(lines["chance, 20%"].get_ydata()) == {20.0}
    (headline,) = (line for label, line in lines.items() if label.startswith("table"))
    assert set(headline.get_xdata()) == {0.1}
    for said in ("glyphs", "5-way 1-shot", "L∞", "pgd-20", "40 episodes"):
        assert said in axes.get_title()
    drawn.draw_without_rendering()
    (top,) = axes.child_axes
    assert top.get_xlim() == pytest.approx(255 * np.array(axes.get_xlim()))


def test_the_picture_is_the_same_whatever_the_users_style_and_the_order_of_eps(curve, setting, tmp_path):
    pictures = [tmp_path / "a.png", tmp_path / "b.png"]
    accuracy_against_eps(curve, setting).png(pictures[0])
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "black"}):
        shuffled = curve.sample(frac=1, random_state=0).sort_values(["learner"], kind="stable")
        accuracy_against_eps(shuffled, setting).png(pictures[1])
        assert mpl.rcParams["font.size"] == 30
    pixels = [image.imread(picture) for picture in pictures]
    assert pixels[0].shape[0] > 700
    assert pixels[0].std() > 0.05
    np.testing.assert_array_equal(*pixels)


def test_namesakes_can_be_told_apart(draw, curve):
    figure = draw(pd.concat([curve.assign(row="a"), curve.assign(row="b")]))
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    first, second = lines["maml / aq (a)"], lines["maml / aq (b)"]
    assert first.get_color() == second.get_color()
    assert first.get_marker() != second.get_marker()


def test_one_panel_an_attack_and_no_255ths_for_l2(curve, results, tmp_path):
    wide = Setting.of(results.assign(threat_norm="L2", eps=2.0))
    accuracy_against_eps(curve, wide).png(tmp_path / "one.png")
    both = pd.concat([curve, curve.assign(attack="fgsm", ci95=float("nan"))])
    accuracy_against_eps(both, wide).png(tmp_path / "two.png")
    one, two = (image.imread(tmp_path / name) for name in ("one.png", "two.png"))
    assert two.shape[1] == 2 * one.shape[1]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda curve: curve.drop(columns="eps"), "no column eps"),
        (lambda curve: curve.iloc[:0], "no rows"),
        (lambda curve: pd.concat([curve, curve.iloc[[0]]]), "two rows of label maml / natural, attack pgd-20, eps 0.0"),
    ],
)
def test_refuses(curve, setting, spoil, said):
    with pytest.raises(RobustMetaError, match=re.escape(said)):
        accuracy_against_eps(spoil(curve), setting)


def many(curve, learners: int, defenses: int) -> pd.DataFrame:
    one = curve[(curve["learner"] == "maml") & (curve["defense"] == "natural")]
    names = ["natural", *(f"d{number}" for number in range(defenses - 1))]
    return pd.concat([one.assign(learner=f"l{i}", defense=name) for i in range(learners) for name in names])


def looks(axes) -> list[tuple]:
    """How each line looks, but for the two that mark chance and the headline."""
    return [(line.get_color(), line.get_linestyle(), line.get_marker()) for line in axes.get_lines()[:-2]]


def test_many_learners_are_parted_so_that_no_two_lines_of_a_panel_look_alike(draw, curve):
    figure = draw(many(curve, 8, 2))
    assert [len(looks(axes)) for axes in figure.axes] == [12, 4]
    for axes in figure.axes:
        assert len(set(looks(axes))) == len(looks(axes))
        assert axes.get_legend().get_texts()[0].get_text().endswith("/ natural")


def test_more_learners_than_colours_are_parted_too(draw, curve):
    figure = draw(many(curve, 7, 1))
    assert [len(looks(axes)) for axes in figure.axes] == [6, 1]


def test_many_defenses_have_a_panel_a_learner_and_colours_of_their_own(draw, curve):
    figure = draw(many(curve, 2, 15))
    assert [len(looks(axes)) for axes in figure.axes] == [15, 15]
    assert len(set(looks(figure.axes[0]))) == 15
    assert looks(figure.axes[0]) == looks(figure.axes[1])


def test_a_legend_is_no_wider_than_the_figure(draw, curve):
    long = many(curve, 4, 1).replace({"learner": {f"l{i}": f"a learner of a long name, {i}" for i in range(4)}})
    figure = draw(long)
    (legend,) = figure.legends
    assert len(legend.get_texts()) == 6
    figure.draw_without_rendering()
    box = legend.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width

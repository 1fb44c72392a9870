import numpy as np
import pandas as pd
import pytest

from robustmeta.exhibit import Exhibit
from robustmeta.report.figures import gallery
from robustmeta.report.figures.gallery import FOOLED, LINES
from robustmeta.report.setting import Setting


def exhibit(ways: int = 5, channels: int = 1, queries: int = 3, size: float = 0.1) -> Exhibit:
    generator = np.random.default_rng(0)
    support, clean = (generator.uniform(0.2, 0.8, (count, channels, 8, 8)) for count in (ways, queries))
    moved = clean + size * generator.choice([-1, 1], clean.shape)
    labels = np.arange(queries)
    after = np.where(labels == 1, 0, labels)
    return Exhibit("pgd-20", support, clean, moved, labels, labels, np.full(queries, 0.9), after, np.full(queries, 0.6))


@pytest.fixture
def rows(results) -> pd.DataFrame:
    return results.assign(row=results["learner"] + "-" + results["defense"])


def shown(rows: pd.DataFrame, **made: int):
    return gallery({row: exhibit(**made) for row in rows["row"].unique()}, rows, Setting.of(rows))


def images(picture) -> list[np.ndarray]:
    return [image.get_array() for image in picture.figure.axes[0].get_images()]


def words(picture) -> list[str]:
    return [text.get_text() for text in picture.figure.axes[0].texts]


def test_support_queries_perturbations_and_what_is_said_of_them(rows) -> None:
    picture = shown(rows)
    found, one = images(picture), exhibit()
    assert len(found) == 5 + 3 + 4 * 3 * 2
    for at, part in ((0, one.support), (5, one.clean)):
        for drawn, image in zip(found[at:], part, strict=False):
            np.testing.assert_array_equal(drawn[..., 0], np.round(255 * image[0]))
    change, moved = found[8:10]
    np.testing.assert_allclose(moved[..., 0] / 255, one.moved[0, 0], atol=0.5 / 255 + 1e-9)
    # At eps 0.1 a change of a tenth is magnified five times, to the ends of the scale.
    np.testing.assert_array_equal(change[..., 0], np.where(one.moved[0, 0] > one.clean[0, 0], 255, 0))
    said = words(picture)
    assert said.count("perturbation \u00d7 5, and the query with it") == 1
    assert said.count("A 60% ✗") == 4
    assert said.count("B 90%") == 4
    assert said.count("C 60%") == 4
    assert {"true class A", "protonet", "aq", "pgd-20"} <= {*said}
    assert "5 times as large" in picture.caption


def test_an_error_is_framed(rows) -> None:
    frames = [patch for patch in shown(rows).figure.axes[0].patches if patch.get_linewidth() > 1]
    assert len(frames) == 4
    assert {tuple(np.round(255 * np.array(patch.get_edgecolor()[:3]))) for patch in frames} == {
        tuple(int(FOOLED[at : at + 2], 16) for at in (1, 3, 5))
    }


def test_colour_images_and_many_ways(rows) -> None:
    picture = shown(rows.assign(ways=20), ways=20, channels=3)
    one = exhibit(20, 3)
    np.testing.assert_array_equal(images(picture)[20], np.round(255 * one.clean[0].transpose(1, 2, 0)))
    assert {"A", "T"} <= {*words(picture)}


def test_the_scale_is_that_of_the_budget_however_little_of_it_is_used(rows) -> None:
    picture = gallery({"maml-aq": exhibit(size=0.05)}, rows, Setting.of(rows))
    assert "perturbation \u00d7 5, and the query with it" in words(picture)
    assert set(images(picture)[8].flatten().tolist()) == {64, 191}  # a quarter and three quarters


def test_other_norms_are_magnified_by_the_largest_change(rows) -> None:
    setting = Setting.of(rows.assign(threat_norm="L2", eps=2.0))
    picture = gallery({"maml-aq": exhibit()}, rows, setting)
    assert "perturbation \u00d7 5, and the query with it" in words(picture)


def test_of_each_learner_the_natural_and_one_defended_row_and_no_more_than_fit(rows) -> None:
    more = pd.concat(
        [rows, rows.query("defense == 'aq'").assign(defense="as", row=lambda frame: frame["learner"] + "-as")]
    )
    assert len(images(shown(more))) == 5 + 3 + 4 * 3 * 2
    assert "as" not in words(shown(more))
    many = pd.concat([rows.assign(learner=rows["learner"] + str(i), row=rows["row"] + str(i)) for i in range(9)])
    assert len(images(shown(many))) == 5 + 3 + LINES * 3 * 2


def test_nothing_to_show(rows, results) -> None:
    assert gallery({}, rows, Setting.of(rows)) is None
    assert gallery({"maml-aq": exhibit()}, results, Setting.of(results)) is None

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from robustmeta.errors import RobustMetaError
from robustmeta.interval import mean_interval


def test_worked_by_hand():
    # Mean 0.4, s = 0.2, t(0.975, 2) = 4.30265 (any table of t): 4.30265 * 0.2 / sqrt(3) = 0.49683.
    mean, half_width = mean_interval([0.2, 0.4, 0.6])
    assert mean == pytest.approx(0.4)
    assert half_width == pytest.approx(0.49683, abs=1e-5)


@settings(deadline=None)
@given(st.lists(st.integers(0, 75), min_size=2, max_size=200).filter(lambda counts: len(set(counts)) > 1))
def test_agrees_with_scipy(counts):
    values = np.array(counts) / 75
    mean, half_width = mean_interval(values)
    low, high = stats.t.interval(0.95, len(values) - 1, loc=values.mean(), scale=stats.sem(values))
    assert (mean - half_width, mean + half_width) == pytest.approx((low, high))


def test_covers_the_truth_as_often_as_it_says():
    generator = np.random.default_rng(0)
    samples = generator.normal(0.5, 0.1, size=(2000, 5))
    covered = [abs(mean - 0.5) <= half_width for mean, half_width in map(mean_interval, samples)]
    assert abs(np.mean(covered) - 0.95) < 0.015  # three standard errors; 1.96 in place of t covers 0.88


def test_one_episode_has_no_interval():
    mean, half_width = mean_interval([0.25])
    assert mean == 0.25
    assert math.isnan(half_width)


@settings(deadline=None)
@given(st.floats(0, 1), st.integers(2, 50))
def test_constant_sample_has_no_width(value, number):
    assert mean_interval([value] * number) == (value, 0.0)


@pytest.mark.parametrize(
    ("values", "said"),
    [([], r"shape \[0\]"), ([[0.1, 0.2]], r"shape \[1, 2\]"), ([0.1, float("nan")], "value 1 .* is nan")],
)
def test_refuses(values, said):
    with pytest.raises(RobustMetaError, match=said):
        mean_interval(values)

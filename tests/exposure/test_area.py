import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis.strategies import composite, floats, integers, lists, sampled_from

from carkinetics.errors import ConfigError, DataError
from carkinetics.exposure.area import METHODS, auc, aumc, interpolate

TIME = [0.0, 1, 3, 7, 10, 14, 21, 30, 60, 90]
LEVEL = [0.0, 120, 850, 9800, 21500, 15200, 5400, 1900, 610, 420]


@composite
def curves(draw):
    n = draw(integers(2, 12))
    gaps = draw(lists(floats(0.1, 30), min_size=n, max_size=n))
    levels = draw(lists(sampled_from([0.0, 1.0, 50.0]) | floats(1e-3, 1e6), min_size=n, max_size=n))
    return np.cumsum(gaps), np.array(levels)


@given(rate=floats(0.01, 1.0), peak=floats(1.0, 1e6), days=lists(floats(0.5, 27.5), max_size=12, unique=True))
def test_auc_of_one_exponential_is_exact_on_any_grid(rate, peak, days):
    time = np.array([0.0, *sorted(days), 28.0])
    exact = peak * (1 - np.exp(-28 * rate)) / rate
    assert auc(time, peak * np.exp(-rate * time)) == pytest.approx(exact, rel=1e-9)


@given(
    rate=floats(0.001, 1.0), peak=floats(1.0, 1e6), days=lists(floats(0.5, 27.5), max_size=12, unique=True)
)
def test_aumc_of_one_exponential_is_exact_on_any_grid(rate, peak, days):
    time = np.array([0.0, *sorted(days), 28.0])
    x = 28 * rate
    # The last two terms cancel for small x, so the reference is a series there.
    moment = (1 - (1 + x) * math.exp(-x)) / rate**2 if x > 0.1 else 28**2 * (1 / 2 - x / 3 + x**2 / 8 - x**3 / 30 + x**4 / 144 - x**5 / 840)  # fmt: skip
    assert aumc(time, peak * np.exp(-rate * time)) == pytest.approx(peak * moment, rel=1e-8)


@given(curve=curves(), share=floats(0, 1), method=sampled_from(METHODS))
def test_auc_splits_over_windows(curve, share, method):
    time, level = curve
    middle = time[0] + share * (time[-1] - time[0])
    parts = auc(time, level, end=middle, method=method) + auc(time, level, start=middle, method=method)
    assert parts == pytest.approx(auc(time, level, method=method), rel=1e-9, abs=1e-9)


@given(curve=curves(), factor=floats(1e-3, 1e3), method=sampled_from(METHODS))
def test_scaling_the_level_scales_the_areas(curve, factor, method):
    time, level = curve
    assert auc(time, factor * level, method=method) == pytest.approx(factor * auc(time, level, method=method))
    assert aumc(time, factor * level, method=method) == pytest.approx(
        factor * aumc(time, level, method=method)
    )


@given(curve=curves())
def test_the_linear_rule_is_never_below_the_logarithmic_one(curve):
    time, level = curve
    assert auc(time, level, method="linear") >= auc(time, level) * (1 - 1e-12)


@given(curve=curves(), share=floats(0, 1), method=sampled_from(METHODS))
def test_a_sample_on_the_interpolated_curve_leaves_the_area_unless_it_falls_to_zero(curve, share, method):
    time, level = curve
    level = np.maximum(level, 1e-3)
    extra = time[0] + share * (time[1] - time[0])
    if not time[0] < extra < time[1]:
        return
    between = float(interpolate(time, level, extra, method=method))
    more = auc(np.insert(time, 1, extra), np.insert(level, 1, between), method=method)
    assert more == pytest.approx(auc(time, level, method=method), rel=1e-6)


@given(curve=curves(), method=sampled_from(METHODS))
def test_interpolation_gives_back_the_samples(curve, method):
    time, level = curve
    np.testing.assert_allclose(interpolate(time, level, time, method=method), level, rtol=1e-12)


def test_a_window_inside_a_fall_to_zero_keeps_the_straight_line():
    # From 100 on day 0 straight to 0 on day 10: the first half holds three quarters of the area.
    assert auc([0.0, 10.0], [100.0, 0.0], end=5.0) == pytest.approx(375.0)


def test_almost_equal_levels_lose_no_digits():
    level = [1.0, 1.0 - 2**-40]
    assert auc([0.0, 1.0], level) == pytest.approx(1.0 - 2**-41, rel=1e-15)


def test_a_window_far_from_a_steep_interval_stays_finite():
    time, level = [0.0, 1.0, 1000.0, 1000.1], [5.0, 5.0, 5.0, 1e-3]
    assert auc(time, level, end=28.0) == pytest.approx(140.0)


@pytest.mark.parametrize(("method", "level"), [("linear", 2677.777778), ("linear-up/log-down", 2396.417736)])
def test_level_on_day_28_of_the_reference_patient(method, level):
    # Acceptance B10.
    assert float(interpolate(TIME, LEVEL, 28, method=method)) == pytest.approx(level, abs=1e-6)


@pytest.mark.parametrize(
    ("time", "level", "part"),
    [
        ([0, 1], [1, 2, 3], "expected two equal"),
        ([1, 1], [1, 2], "strictly increasing"),
        ([0, np.nan], [1, 2], "strictly increasing"),
        ([0, 1], [1, -2], "at least 0"),
        ([0, 1], [1, np.nan], "at least 0"),
        ([], [], "expected two equal"),
    ],
)
def test_arrays_that_are_no_curve_are_refused(time, level, part):
    with pytest.raises(DataError, match=part):
        auc(time, level)


def test_nothing_is_extrapolated():
    with pytest.raises(DataError, match="window 0 to 120 d is not within the sampled 0 to 90 d"):
        auc(TIME, LEVEL, start=0, end=120)
    with pytest.raises(DataError, match="not within the sampled"):
        interpolate(TIME, LEVEL, 91.0)


def test_an_unknown_method_names_the_near_one():
    with pytest.raises(ConfigError, match="did you mean 'linear'"):
        auc(TIME, LEVEL, method="linaer")

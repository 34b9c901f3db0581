import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from hypothesis.strategies import floats, integers

from carkinetics.diagnostics.binning import ranked_quantile, time_bins
from carkinetics.errors import ConfigError

VISITS = np.array([1, 3, 7, 10, 14, 21, 28, 60, 90, 180, 365.0])


@pytest.mark.parametrize("jitter", [0.0, 0.02])
def test_nominal_bins_are_the_visits(jitter):
    rng = np.random.default_rng(3)
    time = (VISITS * np.exp(jitter * rng.standard_normal((40, len(VISITS))).clip(-2, 2))).ravel()
    expected = np.tile(np.arange(len(VISITS)), 40)
    np.testing.assert_array_equal(time_bins(time), expected)


@given(time=arrays(float, integers(1, 60), elements=floats(0, 800)))
def test_bins_follow_time_and_are_large_enough(time):
    number = time_bins(time)
    assert set(number) == set(range(number.max() + 1))
    order = np.argsort(time, kind="stable")
    assert (np.diff(number[order]) >= 0).all()
    assert number.max() == 0 or np.bincount(number).min() >= 5


@given(time=arrays(float, integers(1, 60), elements=floats(0, 800)), bins=integers(1, 12))
def test_bins_by_count_follow_time_and_are_not_more_than_asked(time, bins):
    number = time_bins(time, bins)
    assert number.max() < bins
    order = np.argsort(time, kind="stable")
    assert (np.diff(number[order]) >= 0).all()


def test_bins_by_count_are_equally_large():
    assert np.bincount(time_bins(np.arange(80.0), "count")).tolist() == [10] * 8


def test_bins_by_edges_take_their_lower_edge():
    assert time_bins([1, 7, 7.5, 14, 20], [0, 7, 14, 28]).tolist() == [0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("nomnal", "did you mean 'nominal'"),
        (0, "at least 1"),
        ([0, 10], "1 observations lie outside the bins, the first on day 20"),
        ([0, 30, 10], "increase"),
        ([0, np.nan, 30], "increase"),
    ],
)
def test_bins_that_make_no_sense_are_refused(rule, message):
    with pytest.raises(ConfigError, match=message):
        time_bins([1.0, 20.0], rule)


@given(values=arrays(float, integers(1, 30), elements=floats(-1e3, 1e3)), p=floats(0, 1))
def test_quantile_without_blq_is_the_usual_one(values, p):
    assert ranked_quantile(values, p) == pytest.approx(np.quantile(values, p), abs=1e-6)


def test_quantile_among_blq_values_is_blq():
    values = np.array([-np.inf] * 6 + [10.0] * 4)
    assert ranked_quantile(values, 0.5) == -np.inf
    assert ranked_quantile(values, 0.95) == 10.0

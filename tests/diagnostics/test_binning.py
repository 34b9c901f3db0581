import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis.extra.numpy import array_shapes, arrays
from hypothesis.strategies import floats, integers, sampled_from
from scipy.special import ndtri
from statsmodels.duration.survfunc import SurvfuncRight

from carkinetics.diagnostics.binning import censored_quantile, ranked_quantile, time_bins
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


def _levels():
    return arrays(
        float, array_shapes(min_dims=1, max_dims=1, min_side=1, max_side=30), elements=floats(0.01, 1e4)
    )


@given(values=_levels(), p=floats(0, 1))
@example(values=np.array([1.0] * 11 + [0.01]), p=1e-12)
def test_censored_quantile_without_censoring_is_the_plain_one(values, p):
    for limits in (np.full(len(values), np.nan), np.full(len(values), 50.0), values / 2):
        # Places are sums of some 30 rounded masses, and between two levels an error of them counts by the gap.
        near = pytest.approx(np.quantile(values, p), rel=1e-9, abs=1e-12 * np.ptp(values))
        assert censored_quantile(values, limits, p) == near


@given(values=_levels(), limit=floats(0.01, 1e4), p=sampled_from([0.05, 0.1, 0.31, 0.5, 0.9, 0.95]))
def test_censored_quantile_with_one_limit_ranks_blq_lowest(values, limit, p):
    level = np.where(values < limit, -np.inf, values)
    place = p * (len(values) - 1)
    assume(abs(place - round(place)) > 1e-6 or place == round(place))
    found, ranked = censored_quantile(level, np.full(len(values), limit), p), ranked_quantile(level, p)
    assert np.isneginf(found) == np.isneginf(ranked)
    if np.isfinite(ranked):
        assert found == pytest.approx(ranked, rel=1e-9, abs=1e-12 * np.ptp(values))


@given(values=_levels(), scale=floats(0.01, 100), p=floats(0.01, 0.99), seed=integers(0, 10**6))
def test_censored_quantile_scales_with_levels_and_limits_and_knows_no_order(values, scale, p, seed):
    rng = np.random.default_rng(seed)
    limits = np.exp(rng.normal(3, 3, len(values)))
    level = np.where(values < limits, -np.inf, values)
    found = censored_quantile(level, limits, p)
    again = rng.permutation(len(values))
    rounding = {"rel": 1e-9, "abs": 1e-12 * np.ptp(values) * max(scale, 1.0)}
    assert censored_quantile(level[again], limits[again], p) == pytest.approx(found, **rounding)
    assert censored_quantile(scale * level, scale * limits, p) == pytest.approx(scale * found, **rounding)
    # A row of a table is the same as the row alone.
    assert censored_quantile(np.stack([level, level]), limits, p)[1] == pytest.approx(found)


def test_censored_quantile_by_hand():
    # 1, 20, below 50, 100. Product limit: F(100-) = 3/4; at 20 two of the four are at risk: F(20-) = 3/8. The masses are
    # 3/8, 3/8 and 1/4 with middles 3/16, 9/16 and 7/8, at places 4 m - 1/2 = 0.25, 1.75, 3; the median's place is 1.5.
    level = np.array([1.0, 20.0, -np.inf, 100.0])
    assert censored_quantile(level, np.full(4, 50.0), 0.5) == pytest.approx(1 + 19 * 1.25 / 1.5)
    # A limit above everything says nothing: the same masses of one third, at places 1/6, 3/2 and 17/6.
    assert censored_quantile(level, np.full(4, 1e6), 0.5) == pytest.approx(20.0)


def test_censored_quantile_is_the_product_limit_of_another_library(rng):
    # Left-censored at 8 is right-censored at -8; statsmodels has Kaplan-Meier for the latter.
    values, limits = np.exp(rng.normal(2, 1, 300)), np.exp(rng.normal(1.8, 1, 300))
    below = values < limits
    level = np.where(below, -np.inf, values)
    other = SurvfuncRight(-np.where(below, limits, values), (~below).astype(int))
    for p in (0.3, 0.5, 0.8, 0.95):
        # S(t) = P(-X > t) = F(-t): the quantile lies where S falls to p; ours is in the middle of masses of 1/300 and more.
        at = -other.surv_times[np.flatnonzero(other.surv_prob <= p)[0]]
        near = np.sort(values[~below])
        place = np.searchsorted(near, at)
        found = censored_quantile(level, limits, p)
        assert near[max(place - 2, 0)] <= found <= near[min(place + 2, len(near) - 1)]


def test_censored_quantile_finds_what_ranking_cannot(rng):
    # Levels of one distribution, seen with limits that differ a hundredfold by chance: 40 % are censored.
    values = np.exp(rng.normal(0, 1.2, (200, 60)))
    limits = np.resize([0.05, 0.7, 5.0], 60)
    level = np.where(values < limits, -np.inf, values)
    assert np.isneginf(level).mean() == pytest.approx(0.4, abs=0.05)
    truth = np.exp(1.2 * ndtri([0.05, 0.5, 0.95]))
    found = [np.median(censored_quantile(level, limits, p)) for p in (0.05, 0.5, 0.95)]
    np.testing.assert_allclose(found[1:], truth[1:], rtol=0.1)
    assert found[0] == pytest.approx(truth[0], rel=0.25)
    ranked = [np.median(ranked_quantile(level, p)) for p in (0.05, 0.5)]
    assert np.isneginf(ranked[0])
    assert ranked[1] < 0.8 * truth[1]

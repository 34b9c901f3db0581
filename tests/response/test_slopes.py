"""Partially pooled slopes: exact at both ends of pooling, and equal to other roads between them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from carkinetics.errors import ConfigError, DataError
from carkinetics.response import dose_exposure
from carkinetics.response.slopes import _inverse_wishart, slopes_by_measurement, slopes_by_part

N_DRAWS = 8_000
X = np.log([1, 1, 3, 3, 10, 10, 1, 3, 3, 10, 1, 3, 10, 10, 30])
GROUP = np.array([0] * 6 + [1] * 4 + [2] * 5)
SIGMA = 0.4


@pytest.fixture(scope="module")
def y():
    rng = np.random.default_rng(8)
    return (
        np.array([1.0, 2.0, 0.0])[GROUP]
        + np.array([0.7, 1.3, 0.9])[GROUP] * X
        + SIGMA * rng.standard_normal(15)
    )


def many(values):
    return np.broadcast_to(values, (N_DRAWS, *np.shape(values)))


def within(x, y, group):
    """Slopes, sums of squares and the residual sum of squares of separate lines."""
    own, squares, rest = [], [], 0.0
    for g in range(group.max() + 1):
        at, value = x[group == g], y[group == g]
        line = np.polyfit(at, value, 1)
        own.append(line[0])
        squares.append(((at - at.mean()) ** 2).sum())
        rest += float(((value - np.polyval(line, at)) ** 2).sum())
    return np.array(own), np.array(squares), rest


def test_without_spread_between_groups_the_slope_is_that_of_parallel_lines(y, rng):
    own, squares, rest = within(X, y, GROUP)
    slope = (own * squares).sum() / squares.sum()
    degrees = len(X) - 3 - 1
    error = np.sqrt((rest + (squares * (own - slope) ** 2).sum()) / degrees / squares.sum())
    found = slopes_by_part(X, many(y), GROUP, 1e-7, rng)
    assert stats.kstest((found.slope - slope) / error, "t", args=(degrees,)).pvalue > 0.01
    np.testing.assert_allclose(found.slopes, found.slope[:, None] + np.zeros(3), atol=1e-5)


def test_with_boundless_spread_the_slopes_are_those_of_separate_lines(y, rng):
    own, squares, rest = within(X, y, GROUP)
    degrees = len(X) - 6
    found = slopes_by_part(X, many(y), GROUP, 1e4, rng)
    for g in range(3):
        error = np.sqrt(rest / degrees / squares[g])
        assert stats.kstest((found.slopes[:, g] - own[g]) / error, "t", args=(degrees,)).pvalue > 0.01


# The second study has one residual degree of freedom beyond its five lines.
FEW = np.array([0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4])
FEW_X = np.log([1.0, 3, 10, *[1, 10] * 4])


@pytest.mark.parametrize(("x", "group"), [(X, GROUP), (FEW_X, FEW)])
def test_between_them_it_is_the_integral_of_the_density(x, group, rng):
    # The joint density of (log sigma, tau, common slope) on a dense grid, from its definition.
    scale, groups = 0.5, group.max() + 1
    y = np.linspace(0.7, 1.2, groups)[group] * x + SIGMA * rng.standard_normal(len(x))
    own, squares, rest = within(x, y, group)
    sigma = np.exp(np.linspace(np.log(0.02), np.log(8), 160))[:, None, None]
    tau = ((np.arange(120) + 0.5) / 120 * 4 * scale)[None, :, None]
    mu = np.linspace(-4, 6, 301)[None, None, :]
    log_density = -(len(x) - 2 * groups) * np.log(sigma) - rest / (2 * sigma**2) - tau**2 / (2 * scale**2)
    for b, s in zip(own, squares, strict=True):
        variance = sigma**2 / s + tau**2
        log_density = log_density - 0.5 * np.log(variance) - 0.5 * (b - mu) ** 2 / variance
    density = np.exp(log_density - log_density.max())
    found = slopes_by_part(x, many(y), group, scale, rng)
    for axis, grid, draws in (
        ((1, 2), sigma, found.residual_sd), ((0, 2), tau, found.tau), ((0, 1), mu, found.slope)
    ):  # fmt: skip
        marginal = density.sum(axis=axis) / density.sum()
        cumulative = np.cumsum(marginal) - marginal / 2
        for q in (0.05, 0.25, 0.5, 0.75, 0.95):
            at = np.interp(q, cumulative, grid.ravel())
            # Four standard errors of a share of the draws.
            assert (draws < at).mean() == pytest.approx(q, abs=4 * np.sqrt(q * (1 - q) / N_DRAWS))


def test_a_group_at_one_dose_is_of_the_population(y, rng):
    x = X.copy()
    x[GROUP == 1] = np.log(3)
    found = slopes_by_part(x, many(y), GROUP, 0.5, rng)
    away = (found.slopes[:, 1] - found.slope) / found.tau
    assert stats.kstest(away, "norm").pvalue > 0.01


def test_the_common_line_goes_through_the_mean_of_the_subjects(y, rng):
    found = slopes_by_part(X, many(y), GROUP, 0.5, rng)
    at_mean = found.intercept + found.slope * X.mean()
    # A flat intercept per group: the mean has the exact posterior of a mean of 15 residuals.
    assert at_mean.mean() == pytest.approx(y.mean(), abs=4 * at_mean.std() / np.sqrt(N_DRAWS))
    assert at_mean.std() == pytest.approx(np.sqrt((found.residual_sd**2).mean() / 15), rel=0.03)


def test_inverse_wishart_draws_have_its_mean(rng):
    scatter = np.array([[4.0, 1.5], [1.5, 2.0]])
    draws = _inverse_wishart(many(scatter), 12, rng).reshape(-1, 2, 2)
    np.testing.assert_allclose(draws.mean(axis=0), scatter / (12 - 2 - 1), rtol=0.01)
    # A diagonal element is scatter over a chi-square with 12 - 1 degrees of freedom.
    assert stats.kstest(4.0 / draws[:: len(draws) // N_DRAWS, 0, 0], "chi2", args=(11,)).pvalue > 0.01


def gibbs(x, y, scale, rng, n=6000):
    """The same model for two measurements, one block after the other."""
    x = x - x.mean()
    squares, own = x @ x, y @ x / (x @ x)
    residual = y - y.mean(axis=1, keepdims=True) - own[:, None] * x
    scatter, k = residual @ residual.T, len(y)
    b, mu, tau, kept = own.copy(), float(own.mean()), 0.3, []
    grid = np.linspace(1e-3, 3, 400)
    for _ in range(n):
        # The intercept takes one of n residuals; the prior |Sigma|^(-(k + 1) / 2) adds none.
        sigma = stats.invwishart.rvs(
            y.shape[1] - 1, scatter + squares * np.outer(b - own, b - own), random_state=rng
        )
        precision = squares * np.linalg.inv(sigma) + np.eye(k) / tau**2
        centre = np.linalg.solve(precision, squares * np.linalg.solve(sigma, own) + mu / tau**2)
        b = rng.multivariate_normal(centre, np.linalg.inv(precision))
        mu = b.mean() + tau / np.sqrt(k) * rng.standard_normal()
        density = (
            stats.halfnorm.logpdf(grid, scale=scale)
            - k * np.log(grid)
            - ((b - mu) ** 2).sum() / (2 * grid**2)
        )
        weight = np.exp(density - density.max())
        tau = float(np.interp(rng.random(), np.cumsum(weight) / weight.sum(), grid))
        kept.append((mu, tau, *b))
    return np.array(kept)


@pytest.mark.slow
def test_measurements_of_the_same_subjects_agree_with_a_gibbs_sampler(rng):
    both = SIGMA * rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], size=15).T
    y = np.array([[1.0], [5.0]]) + np.array([[0.6], [1.2]]) * X + both
    found = slopes_by_measurement(X, many(y), 0.5, rng)
    other = gibbs(X, y, 0.5, rng)[500:]
    ours = np.column_stack([found.slope, found.tau, found.slopes])
    for one, two in zip(ours.T, other.T, strict=True):
        # tau moves slowly in the chain: some 500 independent draws, four standard errors of a share.
        for q in (0.1, 0.5, 0.9):
            assert (two < np.quantile(one, q)).mean() == pytest.approx(q, abs=4 * np.sqrt(q * (1 - q) / 500))


def test_with_boundless_spread_measurements_have_the_slopes_of_their_own_lines(rng):
    y = (
        np.array([[1.0], [5.0]])
        + X
        + SIGMA * rng.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], size=15).T
    )
    found = slopes_by_measurement(X, many(y), 1e4, rng)
    x = X - X.mean()
    own = y @ x / (x @ x)
    residual = y - y.mean(axis=1, keepdims=True) - own[:, None] * x
    scatter = residual @ residual.T
    # A diagonal element of an inverse Wishart matrix with 13 degrees of freedom has 13 - 1 of its own.
    for g in range(2):
        error = np.sqrt(scatter[g, g] / 12 / (x @ x))
        assert stats.kstest((found.slopes[:, g] - own[g]) / error, "t", args=(12,)).pvalue > 0.01
    expected = scatter[0, 1] / np.sqrt(scatter[0, 0] * scatter[1, 1])
    assert np.corrcoef(found.slopes.T)[0, 1] == pytest.approx(expected, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("groups", [2, 4])
def test_intervals_cover_the_truth_of_simulated_studies(groups, rng):
    studies, draws, level = 400, 200, 0.9  # ends from 200 draws lower the coverage to 0.891
    group = np.repeat(np.arange(groups), 9)
    x = np.log(np.tile([1.0, 3.0, 10.0], 3 * groups))
    tau = np.abs(rng.normal(0, 0.5, studies))
    slopes = 1 + tau[:, None] * rng.standard_normal((studies, groups))
    intercepts = rng.normal(0, 2, (studies, groups))
    y = intercepts[:, group] + slopes[:, group] * x + 0.6 * rng.standard_normal((studies, len(x)))
    found = slopes_by_part(x, np.repeat(y, draws, axis=0), group, 0.5, rng)
    for drawn, truth in (
        (found.slope, np.ones((studies, 1))),
        (found.slopes, slopes),
        (found.tau, tau[:, None]),
    ):
        low, high = np.quantile(drawn.reshape(studies, draws, -1), [0.05, 0.95], axis=1)
        covered = ((low <= truth) & (truth <= high)).mean()
        # Four standard errors of a share of the studies.
        assert covered == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / studies))


def test_copies_of_a_measurement_are_refused():
    line = X + SIGMA * np.cos(7 * np.arange(15))
    with pytest.raises(DataError, match="differ by one factor in all subjects"):
        slopes_by_measurement(X, np.stack([line, line + 1])[None], 0.5, np.random.default_rng(1))


def test_dose_exposure_by_product(make_study):
    rng = np.random.default_rng(3)
    doses = [1.0, 3.0, 10.0] * 8
    product = np.repeat(["A", "B"], 12)
    values = np.exp(np.where(product == "A", 0.6, 1.0) * np.log(doses) + 0.3 * rng.standard_normal(24) + 5)
    exposure, data = make_study(values, doses=doses, spread=0.1, n_draws=2000, product=product)
    found = dose_exposure(exposure, data, by="product", seed=1)
    groups = found.groups.set_index("group")
    assert groups["n"].to_dict() == {"A": 12, "B": 12}
    for name, block in found.observed.groupby("group"):
        own = np.polyfit(np.log(block["dose"]), np.log(block["value"]), 1)[0]
        assert groups.loc[name, "unpooled"] == pytest.approx(own)
        assert min(own, found.draws["slope"].median()) - 0.05 < groups.loc[name, "slope"]
        assert groups.loc[name, "slope"] < max(own, found.draws["slope"].median()) + 0.05
    assert found.settings["between_prior"] == "half-normal, scale 0.5"
    assert "By product, partially pooled: A 0." in found.statement
    assert "half-normal prior, scale 0.5" in found.statement
    row = found.table.set_index("quantity").loc["between_groups_sd"]
    assert row["lower"] < row["value"] < row["upper"]
    again = dose_exposure(exposure, data, by="product", seed=1)
    assert again.draws.equals(found.draws)


def test_dose_exposure_by_assay_takes_who_has_all(make_study):
    doses = [1.0, 3.0, 10.0] * 4
    rng = np.random.default_rng(5)
    values = np.array(doses) * np.exp(0.2 * rng.standard_normal(12))
    qpcr, data = make_study(values, doses=doses, spread=0.1, n_draws=300)
    other = values / 50 * np.exp(0.2 * rng.standard_normal(12))
    flow, _ = make_study(np.where(np.arange(12) == 4, np.nan, other), doses=doses, spread=0.1, n_draws=200)
    found = dose_exposure({"qpcr": qpcr, "flow": flow}, data, between=0.2)
    assert found.excluded.to_numpy().tolist() == [["s04", "flow: all values below the LLOQ"]]
    assert (found.n, len(found.draws), len(found.observed)) == (11, 200, 22)
    assert found.settings["by"] == "measurement"
    # The two assays differ by a factor: no reason for different slopes, and intercepts apart by it.
    apart = found.draws["intercept[qpcr]"] - found.draws["intercept[flow]"]
    assert apart.median() == pytest.approx(np.log(50), abs=0.3)
    points = dose_exposure(
        {name: replace(one, draws=None) for name, one in (("qpcr", qpcr), ("flow", flow))}, data, between=0.2
    )
    assert len(points.draws) == 4000
    with pytest.raises(ConfigError, match="qpcr has posterior draws and flow has none"):
        dose_exposure({"qpcr": qpcr, "flow": replace(flow, draws=None)}, data)


def test_groups_that_make_no_sense_are_refused(make_study):
    doses = [1.0, 3.0, 10.0, 1.0, 3.0, 10.0]
    exposure, data = make_study(doses, doses=doses, product=["A"] * 6, level=[1, 2, 3] * 2)
    with pytest.raises(ConfigError, match="all 6 subjects are in 'A'"):
        dose_exposure(exposure, data, by="product")
    with pytest.raises(ConfigError, match="did you mean 'product'"):
        dose_exposure(exposure, data, by="produkt")
    with pytest.raises(DataError, match="6 subjects in 3 groups, 0 of them with two dose levels"):
        dose_exposure(exposure, data, by="level")
    with pytest.raises(ConfigError, match="expected two or more exposures without by="):
        dose_exposure({"qpcr": exposure, "flow": exposure}, data, by="product")
    with pytest.raises(ConfigError, match="between is 0"):
        dose_exposure(exposure, data, by="product", between=0)


def test_a_subject_without_a_group_is_named(make_study):
    doses = [1.0, 3.0, 10.0] * 3
    exposure, data = make_study(
        np.array(doses) * np.exp(0.1 * np.arange(9)), doses=doses, product=["A"] * 4 + ["B"] * 4 + [None]
    )
    found = dose_exposure(exposure, data, by="product")
    assert found.excluded.to_numpy().tolist() == [["s08", "no product"]]

"""Predictive criteria from a matrix: exact where a conjugate model says what they are."""

import warnings

import arviz as az
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from carkinetics.diagnostics.criteria import monte_carlo_error, psis, psis_loo, stacking_weights, waic
from carkinetics.errors import ConfigError

# Acceptance G2: y ~ N(mu, 1), mu ~ N(0, variance 4).
Y = np.array([1.2, -0.4, 0.8, 2.1, 0.3])
MEAN, SD = 0.7619047619047619, 0.43643578047198484


def log_likelihood(mu):
    return -0.5 * np.log(2 * np.pi) - 0.5 * (Y - np.asarray(mu)[:, None]) ** 2


def test_the_posterior_is_that_of_the_acceptance_case():
    precision = len(Y) + 1 / 4
    assert Y.sum() / precision == pytest.approx(MEAN)
    assert precision**-0.5 == pytest.approx(SD)


def test_waic_is_exact_at_quadrature_nodes():
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    found = waic(log_likelihood(MEAN + SD * nodes), weights).sum()
    assert found["lppd"] == pytest.approx(-6.52042375, abs=5e-9)
    assert found["p_waic"] == pytest.approx(0.76637080, abs=5e-9)
    assert found["elpd_waic"] == pytest.approx(-7.28679456, abs=1e-8)


def test_exact_leave_one_out_by_the_closed_form_and_by_psis(rng):
    exact = 0.0
    for i in range(5):
        others = np.delete(Y, i)
        precision = len(others) + 1 / 4
        exact += stats.norm.logpdf(Y[i], others.sum() / precision, np.sqrt(1 + 1 / precision))
    assert exact == pytest.approx(-7.31391778, abs=5e-9)
    matrix = log_likelihood(MEAN + SD * rng.standard_normal(40_000))
    found = [psis(matrix[:, i], matrix[:, i]) for i in range(5)]
    assert sum(elpd for elpd, _ in found) == pytest.approx(exact, abs=0.05)
    assert max(k for _, k in found) < 0.5


def test_waic_of_draws_is_arvizs_formula():
    matrix = log_likelihood(np.random.default_rng(1).normal(MEAN, SD, 500))
    found = waic(matrix)
    np.testing.assert_allclose(found["lppd"], np.log(np.exp(matrix).mean(axis=0)))
    np.testing.assert_allclose(found["p_waic"], matrix.var(axis=0, ddof=1))
    with pytest.raises(ConfigError, match="1 of them not finite"):
        waic(np.where(np.arange(10).reshape(5, 2) == 3, np.nan, 0.0))


def test_too_few_usable_draws_are_no_answer():
    assert psis(np.full(30, np.nan), np.zeros(30)) == (-np.inf, np.inf)
    assert psis(np.zeros(22), np.zeros(22)) == (-np.inf, np.inf)


def test_a_unit_without_data_is_left_out_for_nothing():
    assert psis(np.zeros(100), np.zeros(100)) == pytest.approx((0.0, 0.0))


def arviz_weights(elpd):
    """Stacking as arviz-stats does it, from its own objects."""
    import arviz_base
    from arviz_stats import compare
    from arviz_stats.utils import ELPDDataLOO

    rows = {}
    for name in elpd:
        data = arviz_base.convert_to_dataset({"y": elpd[name].to_numpy()}, sample_dims=[])["y"]
        rows[name] = ELPDDataLOO(
            elpd=float(data.sum()), se=1.0, p=1.0, n_samples=100, n_data_points=len(elpd), scale="log",
            warning=False, good_k=0.7, elpd_i=data, pareto_k=data * 0 + 0.1,
        )  # fmt: skip
    return compare(rows, method="stacking", round_to="none")["weight"].reindex(elpd.columns)


def test_stacking_weights_are_arvizs(rng):
    truth = rng.normal(size=60)
    elpd = pd.DataFrame(
        {f"m{k}": stats.norm.logpdf(truth, centre, 0.8) for k, centre in enumerate((-0.6, 0.7, 2.5))}
    )
    found = stacking_weights(elpd)
    np.testing.assert_allclose(found, arviz_weights(elpd), atol=2e-4)
    assert found["m2"] == 0.0, "no weight is no 1e-12"


@settings(max_examples=25)
@given(st.lists(st.tuples(*[st.floats(-6, 0)] * 3), min_size=3, max_size=12), st.integers(0, 2**31))
def test_no_other_weights_predict_better(rows, seed):
    elpd = pd.DataFrame(rows, columns=["a", "b", "c"])
    weight = stacking_weights(elpd)
    assert weight.sum() == pytest.approx(1)
    assert (weight >= 0).all()
    score = np.log(np.exp(elpd) @ weight).sum()
    others = np.random.default_rng(seed).dirichlet(np.ones(3), 50)
    assert np.log(np.exp(elpd.to_numpy()) @ others.T).sum(axis=0).max() <= score + 1e-5


def test_an_impossible_unit_has_no_weights():
    elpd = pd.DataFrame({"a": [-1.0, -np.inf], "b": [-1.0, -2.0]}, index=["S1", "S2"])
    with pytest.raises(ConfigError, match="no finite density for S2"):
        stacking_weights(elpd)


def test_a_matrix_of_draws_is_left_out_column_by_column(rng):
    matrix = log_likelihood(MEAN + SD * rng.standard_normal(4000))
    found = psis_loo(matrix)
    for i, row in enumerate(found.itertuples()):
        assert (row.elpd, row.k) == psis(matrix[:, i], matrix[:, i])
    assert found["elpd"].sum() == pytest.approx(-7.31391778, abs=0.05)
    # log of the mean density less what is predicted: the effective number of parameters, here of one mean.
    assert found["p_loo"].sum() == pytest.approx(waic(matrix)["lppd"].sum() - found["elpd"].sum())
    broken = matrix.copy()
    broken[:3, 0] = -np.inf
    broken[5, 1] = np.nan
    assert np.isfinite(psis_loo(broken)[["elpd", "p_loo", "k"]]).all(axis=None)
    assert psis_loo(np.full((5, 1), -1.0))["elpd"].tolist() == [-np.inf], "too few draws are no answer"
    with pytest.raises(ConfigError, match="expected \\(draws, units\\)"):
        psis_loo(matrix[:, 0])


def test_eight_schools_as_arviz_has_them():
    """Rubin's eight schools, 2,000 draws that come with ArviZ: elpd of leaving out one school, and of WAIC."""
    schools = az.load_arviz_data("centered_eight")["log_likelihood"]["obs"]
    matrix = schools.stack(sample=("chain", "draw")).transpose("sample", "school").to_numpy()
    found = psis_loo(matrix)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that k is large for one school
        theirs = az.loo(az.load_arviz_data("centered_eight"), pointwise=True, reff=1.0)
    np.testing.assert_allclose(found["elpd"], theirs.elpd_i, atol=1e-10)
    np.testing.assert_allclose(found["k"], theirs.pareto_k, atol=1e-10)
    assert found["elpd"].sum() == pytest.approx(-30.76, abs=0.01)
    assert waic(matrix)["elpd_waic"].sum() == pytest.approx(-30.72, abs=0.01)


def test_waic_of_one_draw_has_no_variance():
    with pytest.raises(ConfigError, match="two draws or more"):
        waic(np.zeros((1, 3)))


def test_likelihoods_that_no_number_holds_are_no_problem():
    # log mean(exp(-10000), exp(-10001)) = -10000 + log((1 + 1/e) / 2); variance of two values one apart: 1/2.
    found = waic([[-1e4], [-1e4 - 1]]).iloc[0]
    assert found["lppd"] == pytest.approx(-1e4 + np.log((1 + np.exp(-1)) / 2), rel=1e-12)
    assert found["p_waic"] == pytest.approx(0.5)


def test_weights_by_hand():
    # log(w2) - 1 + log(e^-3 (1 + w1 (e - 1))) has its maximum at w1 = (e - 2) / (2 (e - 1)); the first model's unit is impossible.
    weight = stacking_weights([[-1000.0, -1.0], [-2.0, -3.0]])
    assert weight[0] == pytest.approx((np.e - 2) / (2 * (np.e - 1)), abs=1e-5)
    assert stacking_weights([[-1.0], [-2.0]]).tolist() == [1.0]
    np.testing.assert_allclose(stacking_weights([[-1.0, -2.0]]), [1, 0], atol=1e-6)


@pytest.mark.slow
def test_the_monte_carlo_error_is_the_spread_over_sets_of_draws():
    """G2's posterior of the mean, drawn anew 300 times: 300 independent sums of five log densities."""
    y, rng = np.array([1.2, -0.4, 0.8, 2.1, 0.3]), np.random.default_rng(4)
    sums, told = [], []
    for _ in range(300):
        mu = rng.normal(0.76190476, 0.43643578, 400)
        matrix = -0.5 * np.log(2 * np.pi) - 0.5 * (y - mu[:, None]) ** 2
        sums.append(psis_loo(matrix)["elpd"].sum())
        told.append(monte_carlo_error(matrix, matrix))
    assert np.mean(told) == pytest.approx(
        np.std(sums, ddof=1), rel=4 / np.sqrt(2 * 299)
    )  # four standard errors of an SD
    assert monte_carlo_error(matrix, matrix) > 0
    assert monte_carlo_error(matrix[:20], matrix[:20]) == 0, "too few draws to say"

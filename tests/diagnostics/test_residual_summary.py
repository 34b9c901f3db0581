from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from carkinetics.diagnostics import residual_summary, residuals
from carkinetics.diagnostics.residual_summary import _statistics
from carkinetics.diagnostics.residuals import normal_scores
from carkinetics.errors import ConfigError
from carkinetics.model import load_model, simulate
from carkinetics.model.observe import STUDENT_DF
from carkinetics.model.residual import residual_error


def made(z, ipred=None):
    n = len(z)
    return pd.DataFrame({"z": z, "time": np.arange(n), "ipred": np.arange(n) if ipred is None else ipred})


def test_statistics_by_hand():
    found = _statistics(made([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 4.0]))
    assert found["n"] == 8
    assert found["mean"] == 0.5
    # Squared deviations from 0.5: 6.25 + 2.25 + 1 + .25 + 0 + .25 + 2.25 + 12.25 = 24.5, over 7.
    assert found["sd"] == pytest.approx(np.sqrt(3.5))
    assert found["epsilon_shrinkage"] == pytest.approx(100 * (1 - np.sqrt(3.5)))
    assert found["trend_time"] == pytest.approx(1.0)
    # |z| has ranks 6.5, 4.5, 2.5, 1, 2.5, 4.5, 6.5, 8 against 1..8.
    ranks = [6.5, 4.5, 2.5, 1, 2.5, 4.5, 6.5, 8]
    assert found["spread_ipred"] == pytest.approx(np.corrcoef(ranks, range(8))[0, 1])


def test_few_residuals_tell_nothing_of_shape_and_trend():
    found = _statistics(made([0.1, -0.2, 0.3]))
    assert found[["mean", "sd"]].notna().all()
    assert found[["normality", "skewness", "trend_time", "spread_ipred"]].isna().all()
    assert _statistics(made([])).isna().sum() == 8


def test_a_trend_and_another_shape_show():
    z = np.random.default_rng(1).normal(size=200)
    assert _statistics(made(z))["normality"] > 0.985  # the 1 % point of W at n = 200 is 0.982
    assert _statistics(made(np.exp(z)))["normality"] < 0.9
    assert _statistics(made(np.exp(z)))["skewness"] > 1.5
    assert _statistics(made(np.sort(z)))["trend_ipred"] == pytest.approx(1.0)


@pytest.fixture(scope="module")
def exact(around):
    model = load_model("stein2019")
    data = simulate(model, {"times": (3, 7, 10, 14, 28, 90), "lloq": 300, "lod": 80}, n=100, seed=3)
    return around(model, data, noise=0.0)


def test_the_truth_has_no_shrinkage_and_imputed_rows_mend_the_mean(exact):
    """The fit is the truth itself: residuals are those that were simulated, and what is left out by the limit shows."""
    found = residual_summary(exact)
    assert found.loc["n", "all"] == len(residuals(exact))
    assert found.loc["n", "quantified"] < 0.8 * found.loc["n", "all"]
    assert abs(found.loc["epsilon_shrinkage", "all"]) < 6  # 2 standard errors of an SD of 600
    assert abs(found.loc["mean", "all"]) < 0.1
    assert found.loc["mean", "quantified"] > 0.1  # near the limit only what lies above it is seen
    assert abs(found.loc["trend_ipred", "all"]) < 0.1
    assert found["expected"].dropna().tolist() == [0, 1, 0, 1, 0, 0, 0, 0]


def test_student_residuals_become_normal_ones():
    error = residual_error("student_t")
    raw = stats.t.ppf([1e-30, 0.025, 0.5, 0.975], STUDENT_DF)
    raw[3] = -raw[0]
    expected = stats.norm.ppf([1e-30, 0.025, 0.5])
    np.testing.assert_allclose(normal_scores(pd.Series(raw), error), [*expected, -expected[0]], atol=1e-9)
    same = normal_scores(pd.Series(raw), residual_error("lognormal"))
    np.testing.assert_array_equal(same, raw)


def test_subjects_without_an_estimate_do_not_count(made_fit, alone):
    individual = alone(made_fit)
    nobody = replace(individual, parameters=individual.parameters.assign(median=np.nan))
    assert residual_summary(nobody).loc["n", "all"] == 0
    with pytest.raises(ConfigError, match="nothing"):
        residual_summary(made_fit, output="nothing")


def test_the_table_of_a_student_t_fit_is_of_normal_scores(exact):
    fit = replace(exact, settings=exact.settings | {"error": "student_t"})
    raw = residuals(fit, n_sim=1)["iwres"].to_numpy()
    scores = stats.norm.ppf(stats.t.cdf(raw, STUDENT_DF))
    found = residual_summary(fit)
    assert found.loc["sd", "all"] == pytest.approx(scores.std(ddof=1), rel=1e-6)
    assert found.loc["sd", "all"] < 0.97 * raw.std(ddof=1)

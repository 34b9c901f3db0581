"""Monte-Carlo errors are those of other roads to them, and belong to estimated quantities only."""

from dataclasses import replace

import numpy as np
import pytest
from arviz_stats.base import array_stats
from scipy.stats import norm

from carkinetics.diagnostics import monte_carlo_errors
from carkinetics.errors import FitError


def autoregressive(phi, shape, rng):
    x = np.zeros(shape)
    x[:, 0] = rng.normal(size=shape[0])
    for k in range(1, shape[1]):
        x[:, k] = phi * x[:, k - 1] + np.sqrt(1 - phi**2) * rng.normal(size=shape[0])
    return x


@pytest.fixture(scope="module")
def fit(around, completed, made_fit):
    found = completed(around(made_fit.model, made_fit.data))
    draws = autoregressive(0.6, (4, 4000), np.random.default_rng(3))
    posterior = found.tree["posterior"].to_dataset().isel(draw=np.resize(np.arange(250), 4000))
    found.tree["posterior"] = posterior.assign_coords(draw=range(4000)).assign(
        cmax_typical=(("chain", "draw"), 5 + 2 * draws)
    )
    return found


def test_an_autoregressive_chain_has_its_closed_form(fit):
    row = monte_carlo_errors(fit).loc["cmax_typical"]
    n, inefficiency = 16_000, (1 + 0.6) / (1 - 0.6)
    # The estimate of the inefficiency has an error of some percent itself, from 16000 draws that are worth 4000.
    assert row["mcse_mean"] == pytest.approx(2 * np.sqrt(inefficiency / n), rel=0.1)
    assert row["mean"] == pytest.approx(5, abs=4 * row["mcse_mean"])
    assert row["share"] == pytest.approx(row["mcse_mean"] / row["sd"], rel=1e-12)
    assert abs(row["sd"] - 2) < 4 * row["mcse_sd"]


def test_the_error_of_the_mean_is_sd_over_root_ess(fit):
    draws = fit.tree["posterior"]["cmax_typical"].to_numpy()
    size = float(array_stats.ess(draws, method="mean"))
    found = monte_carlo_errors(fit).loc["cmax_typical", "mcse_mean"]
    assert found == pytest.approx(draws.std(ddof=1) / np.sqrt(size), rel=1e-3)


def test_an_end_of_the_interval_is_known_less_well_than_the_mean(fit):
    row = monte_carlo_errors(fit).loc["cmax_typical"]
    # Of independent draws: sqrt(p (1 - p)) / density, 2.1 SD at 5 %; dependence costs a tail less than the mean.
    independent = 2 * np.sqrt(0.05 * 0.95) / norm.pdf(norm.ppf(0.05)) / np.sqrt(16_000)
    assert independent < row["mcse_lower"] < 2 * independent
    assert row["mcse_lower"] > row["mcse_mean"]


def test_fixed_quantities_have_none_and_an_individual_fit_no_draws(fit, alone, made_fit):
    table = fit.parameters.copy()
    table.loc[table["parameter"] == "half_life_typical", "sd"] = 1e-14
    found = monte_carlo_errors(replace(fit, parameters=table))
    assert set(fit.population().index) - set(found.index) == {"half_life_typical"}
    with pytest.raises(FitError, match="method 'individual' has none"):
        monte_carlo_errors(alone(made_fit))

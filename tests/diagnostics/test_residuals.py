from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from carkinetics.dataset.table import is_censored
from carkinetics.diagnostics.residuals import RESIDUAL_COLUMNS, misfit, residuals
from carkinetics.fit.predictive import individual_curves, typical_curve
from carkinetics.fit.result import Fit
from carkinetics.model import load_model, simulate


@pytest.fixture(scope="module")
def exact(around):
    model = load_model("stein2019")
    data = simulate(model, {"times": (3, 7, 10, 14, 28, 90), "lloq": 300, "lod": 80}, n=100, seed=3)
    return around(model, data, noise=0.0)


@pytest.fixture(scope="module")
def table(exact):
    return residuals(exact)


def test_one_row_per_fitted_observation(exact, table):
    assert tuple(table.columns) == RESIDUAL_COLUMNS
    assert len(table) == len(exact.observations)
    assert table["imputed"].tolist() == is_censored(exact.observations).tolist()
    assert not table[["dv", "pred", "ipred", "iwres", "npd"]].isna().any().any()


def test_predictions_are_those_of_the_curves(exact, table):
    row = table.iloc[17]
    own = individual_curves(exact, [row["time"]]).sel(subject=row["subject"]).median()
    assert row["ipred"] == pytest.approx(float(own), rel=1e-9)
    assert row["pred"] == pytest.approx(float(typical_curve(exact, [row["time"]]).median()), rel=1e-9)


def test_residual_of_a_quantified_value_is_its_distance_in_standard_deviations(table):
    known = table[~table["imputed"]]
    np.testing.assert_allclose(known["iwres"], np.log(known["value"] / known["ipred"]) / 0.56, rtol=1e-9)


def test_residuals_of_the_right_model_are_standard_normal_with_blq_rows_among_them(table):
    assert table["imputed"].mean() > 0.2
    # 600 independent residuals.
    assert stats.kstest(table["iwres"], "norm").pvalue > 0.01
    assert stats.kstest(table.loc[table["time"] == 14, "npd"], "norm").pvalue > 0.01
    assert stats.kstest(table.loc[table["time"] == 90, "npd"], "norm").pvalue > 0.01


def test_imputed_values_lie_where_the_blq_row_says(exact, table):
    rows = exact.observations[table["imputed"].to_numpy()]
    imputed = table.loc[table["imputed"], "dv"].to_numpy()
    assert (imputed < rows["upper"]).all()
    assert (imputed >= rows["lower"] * (1 - 1e-9)).all()
    assert set(rows["status"]) == {"below_lloq", "not_detected"}


def _with_error(fit: Fit, name: str, **sigmas: float) -> Fit:
    posterior = fit.tree["posterior"].to_dataset().drop_vars("sigma")
    same = {key: (("chain", "draw"), np.full((2, 50), value)) for key, value in sigmas.items()}
    tree = xr.DataTree.from_dict(
        {"posterior": posterior.assign(same), "constant_data": fit.tree["constant_data"].to_dataset()}
    )
    return replace(fit, tree=tree, settings={**fit.settings, "error": name})


@pytest.mark.parametrize(
    ("name", "sigmas", "sd"),
    [
        ("additive", {"sigma": 500.0}, lambda f: 500.0),
        ("proportional", {"sigma": 0.5}, lambda f: 0.5 * f),
        ("combined1", {"sigma_add": 100.0, "sigma_prop": 0.3}, lambda f: 100 + 0.3 * f),
        ("combined2", {"sigma_add": 100.0, "sigma_prop": 0.3}, lambda f: np.sqrt(100**2 + (0.3 * f) ** 2)),
    ],
)
def test_residuals_on_the_natural_scale(exact, name, sigmas, sd):
    table = residuals(_with_error(exact, name, **sigmas), n_sim=50)
    known = table[~table["imputed"]]
    np.testing.assert_allclose(
        known["iwres"], (known["value"] - known["ipred"]) / sd(known["ipred"]), rtol=1e-9
    )
    rows = exact.observations[table["imputed"].to_numpy()]
    imputed = table.loc[table["imputed"], "dv"].to_numpy()
    assert (imputed <= rows["upper"] * (1 + 1e-9)).all()
    below = (rows["lower"] > 0).to_numpy()
    assert (imputed[below] >= rows["lower"][below] * (1 - 1e-9)).all()


@pytest.mark.parametrize("name", ["lognormal", "student_t"])
def test_blq_rows_far_from_their_prediction_have_finite_residuals(exact, name):
    # A sigma of 0.01 puts BLQ rows hundreds of standard deviations below their prediction.
    table = residuals(_with_error(exact, name, sigma=0.01), n_sim=50)
    assert np.isfinite(table["iwres"]).all()
    assert table.loc[table["imputed"], "iwres"].min() < -50
    assert (table.loc[table["imputed"], "dv"] < 300).all()


def test_individual_fit_has_residuals_but_no_population_prediction(exact, alone):
    table = residuals(alone(exact))
    assert table[["pred", "npd"]].isna().all().all()
    assert stats.kstest(table["iwres"], "norm").pvalue > 0.01


def test_same_seed_same_imputation(exact, table):
    np.testing.assert_array_equal(residuals(exact)["iwres"], table["iwres"])
    assert (residuals(exact, seed=2)["iwres"] != table["iwres"]).any()


def test_misfit_is_the_mean_square_and_finds_a_subject_that_was_moved(exact, table, alone):
    expected = (table["iwres"] ** 2).groupby(table["subject"]).mean()
    found = misfit(exact)
    assert found.to_dict() == pytest.approx(expected.to_dict())
    assert found.is_monotonic_decreasing
    rows = exact.observations.copy()
    mine = rows["subject"] == "S042"
    rows.loc[mine, ["value", "lower", "upper"]] *= 30
    assert misfit(replace(exact, observations=rows)).index[0] == "S042"
    assert np.isinf(misfit(alone(exact, failed="S007"))["S007"])

"""Exposure from a fit: every draw of every subject, with what could not be computed said."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from carkinetics.errors import ConfigError
from carkinetics.exposure import exposure_from
from carkinetics.fit import fit_individuals
from carkinetics.model import load_model, simulate

DESIGN = {"times": (3, 7, 10, 14, 21, 28, 60, 120), "lloq": 50, "lod": 20, "doses": (1e6,)}


@pytest.fixture(scope="module")
def fit(around):
    model = load_model("stein2019")
    return around(model, simulate(model, DESIGN, 6, 4))


def test_every_subject_and_metric_has_a_row_with_unit_and_interval(fit):
    exposure = exposure_from(fit)
    assert exposure.table.groupby("metric")["subject"].nunique().eq(6).all()
    assert exposure.unit("auc_0_28") == "copies*day/ug"
    rows = exposure.table[exposure.table["excluded"] == ""]
    assert ((rows["lower"] <= rows["value"]) & (rows["value"] <= rows["upper"])).all()
    assert exposure.draws is not None
    assert dict(exposure.draws["cmax"].sizes) == dict(fit.tree["posterior"]["cmax"].sizes)
    xr.testing.assert_allclose(
        exposure.draws["cmax"], fit.tree["posterior"]["cmax"].reset_coords(drop=True), rtol=1e-6
    )
    assert exposure.settings["interval"] == "90% equal-tailed"


def test_areas_add_up_and_windows_are_free(fit):
    exposure = exposure_from(
        fit, ["auc_0_14", "auc_0_28", "auc_last", "auc_inf_pred", "auc_extrapolated_percent"]
    )
    draws = exposure.draws
    assert (draws["auc_0_14"] < draws["auc_0_28"]).all()
    assert (draws["auc_last"] < draws["auc_inf_pred"]).all()
    share = 100 * (1 - draws["auc_last"] / draws["auc_inf_pred"])
    np.testing.assert_allclose(draws["auc_extrapolated_percent"], share, rtol=1e-9)


def test_half_life_is_that_of_the_slow_phase(fit):
    exposure = exposure_from(fit, ["half_life", "lambda_z"])
    posterior = fit.tree["posterior"]
    slow = np.minimum(posterior["alpha"], posterior["beta"])
    np.testing.assert_allclose(exposure.draws["lambda_z"], slow, rtol=1e-9)
    np.testing.assert_allclose(exposure.draws["half_life"], np.log(2) / slow, rtol=1e-9)


def test_last_sampling_day_is_a_sampling_day(fit):
    exposure = exposure_from(fit, ["tlast", "clast", "persistence"])
    seen = exposure.draws["tlast"].to_numpy()
    days = fit.data.observations["time"].unique()
    assert np.isin(seen[~np.isnan(seen)], days).all()
    assert (exposure.draws["clast"].fillna(50) >= 50).all()


def test_a_metric_of_the_samples_is_refused(fit):
    with pytest.raises(ConfigError, match="use nca for it"):
        exposure_from(fit, ["lambda_z_n"])
    with pytest.raises(ConfigError, match="did you mean 'cmax'"):
        exposure_from(fit, ["cmx"])


def test_without_an_lloq_there_is_no_persistence(fit):
    blind = replace(fit, data=replace(fit.data, observations=fit.data.observations.assign(lloq=np.nan)))
    exposure = exposure_from(blind, ["persistence", "tlast", "cmax"])
    assert exposure.metric("persistence").isna().all()
    assert (exposure.rows("persistence")["excluded"] == "no LLOQ is known for this subject").all()
    assert exposure.metric("cmax").notna().all()


def test_an_individual_fit_gives_values_for_those_that_converged():
    model = load_model("stein2019")
    data = simulate(
        model, {**DESIGN, "times": (1, 2, 4, 6, 8, 10, 14, 21, 28, 60, 90, 180, 360)}, 3, 8, sigma=0.05
    )
    few = data.observations["subject"].eq("S002") & (data.observations["time"] > 5)
    data = replace(data, observations=data.observations[~few].reset_index(drop=True))
    fit = fit_individuals(model, data, sigma=0.05)
    exposure = exposure_from(fit, ["cmax", "auc_0_28"])
    assert exposure.draws is None
    assert exposure.rows("cmax").loc["S002", "excluded"].startswith("its fit is not converged")
    assert pd.isna(exposure.metric("cmax")["S002"])
    truth = data.subjects.set_index("subject")["true_cmax"]
    assert exposure.metric("cmax")["S001"] == pytest.approx(truth["S001"], rel=0.2)

"""All subjects at once: small sampled fits, their files and their verdicts."""

import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from carkinetics.dataset import read_nonmem
from carkinetics.diagnostics import contraction, cross_check, diagnose
from carkinetics.errors import ConfigError, DataError
from carkinetics.exposure import exposure_from
from carkinetics.fit import fit_hierarchical, load_fit
from carkinetics.fit.hierarchical import problem_of
from carkinetics.model import load_model, simulate

pytestmark = pytest.mark.slow
OMEGA = {"foldx": 0.6, "tmax": 0.3, "cmax": 0.8, "alpha": 0.4, "fb": 0.5, "beta": 0.4}
DESIGN = {"times": (2, 4, 7, 10, 14, 21, 28, 60, 120, 240), "lloq": 50, "lod": 20, "doses": (1e5, 1e6)}


@pytest.fixture(scope="module")
def model():
    return load_model("stein2019")


@pytest.fixture(scope="module")
def fit(model):
    data = simulate(model, DESIGN, 14, 11, omega=OMEGA, sigma=0.4, on_log_dose={"cmax": 0.3})
    return fit_hierarchical(
        model, data, covariates={"cmax": "log(dose)"}, draws=400, tune=600, chains=3, seed=3
    )


def test_the_tree_has_arviz_groups_with_our_dimensions(fit):
    groups = {"posterior", "prior", "posterior_predictive", "prior_predictive", "log_likelihood", "sample_stats",
              "observed_data", "constant_data"}  # fmt: skip
    assert groups <= set(fit.tree.children)
    assert dict(fit.tree["posterior"]["cmax"].sizes) == {"chain": 3, "draw": 400, "subject": 14}
    hidden = [
        name for name in fit.tree["posterior"].data_vars if name.endswith(("_z", "_location", "_individual"))
    ]
    assert hidden == []
    assert fit.tree.attrs["seed"] == 3
    assert len(fit.tree.attrs["model_sha256"]) == len(fit.tree.attrs["data_sha256"]) == 64


def test_arviz_functions_work_on_the_tree(fit):
    import arviz as az

    assert az.rhat(fit.tree["posterior"].to_dataset()[["cmax_typical"]])["cmax_typical"] < 1.1
    with warnings.catch_warnings():  # single observations of a hierarchical model often have a high Pareto k
        warnings.simplefilter("ignore", UserWarning)
        loo = az.loo(fit.tree, var_name="obs")
    assert np.isfinite(loo.elpd)


def test_the_log_likelihood_has_the_rows_and_parts_of_the_pymc_model(fit):
    problem = problem_of(fit)
    assert len(problem.time) == len(fit.observations)
    per_subject = fit.tree["log_likelihood"]["subject"].sum("subject_id")
    per_row = fit.tree["log_likelihood"]["obs"].sum("obs_id")
    xr.testing.assert_allclose(per_subject.drop_vars([]), per_row.drop_vars([]))
    assert {p.name for p in fit.pymc_model.potentials} == {"quantified", "not_detected", "below_lloq"}


def test_saving_and_loading_is_exact_and_whole(fit, tmp_path):
    path = fit.save(tmp_path / "deep" / "fit.nc")
    assert [p.name for p in path.parent.iterdir()] == ["fit.nc"], "no half-written file stays behind"
    again = load_fit(path)
    for group in fit.tree.children:
        xr.testing.assert_identical(again.tree[group].to_dataset(), fit.tree[group].to_dataset())
    pd.testing.assert_frame_equal(again.parameters, fit.parameters)
    assert again.parameters.attrs == fit.parameters.attrs
    assert again.settings == fit.settings
    assert again.model.sha256 == fit.model.sha256
    assert again.data.sha256 == fit.data.sha256
    assert diagnose(again).equals(diagnose(fit))
    (tmp_path / "other.nc").write_bytes(b"not a fit")
    with pytest.raises(DataError, match="not a fit"):
        load_fit(tmp_path / "other.nc")


def test_the_same_seed_gives_the_same_draws(fit, model):
    again = fit_hierarchical(
        model, fit.data, covariates={"cmax": "log(dose)"}, draws=400, tune=600, chains=3, seed=3
    )
    pd.testing.assert_frame_equal(again.parameters, fit.parameters)


def test_parameters_are_long_with_units_and_quality(fit):
    population = fit.population()
    assert population.loc["cmax_typical", "unit"] == "copies/ug"
    assert population.loc["cmax_omega", "unit"] == "SD of log"
    assert population.loc["fb_omega", "unit"] == "SD of logit"
    assert {"cmax_on_log_dose", "sigma", "doubling_time_typical", "half_life_typical"} <= set(
        population.index
    )
    assert (population["rhat"] < 1.1).all()
    individual = fit.individual("cmax")
    assert individual["subject"].tolist() == fit.data.subject_ids
    assert (individual["lower"] < individual["median"]).all()


def test_exposure_agrees_with_the_parameters_of_a_hard_switch(fit):
    exposure = exposure_from(fit, ["cmax", "tmax", "auc_0_28", "persistence"])
    for metric in ("cmax", "tmax"):
        found = exposure.metric(metric).to_numpy()
        np.testing.assert_allclose(found, fit.individual(metric)["median"], rtol=1e-6)
    rows = exposure.rows("auc_0_28")
    assert ((rows["lower"] < rows["value"]) & (rows["value"] < rows["upper"])).all()
    assert (rows["unit"] == "copies*day/ug").all()


def test_a_short_run_is_not_called_converged(model):
    data = simulate(model, DESIGN, 5, 2, omega=OMEGA)
    fit = fit_hierarchical(model, data, random=["cmax"], draws=20, tune=50, chains=2, seed=1)
    verdict = diagnose(fit)
    assert not verdict.attrs["converged"]
    assert verdict.attrs["verdict"].startswith("not converged: ")
    assert "ess-bulk" in set(verdict["rule"])


def test_what_weekly_samples_cannot_tell_is_said(model):
    data = simulate(model, {**DESIGN, "times": (10, 14, 21, 28)}, 10, 5, omega=OMEGA)
    fit = fit_hierarchical(
        model, data, random=["tmax", "cmax", "alpha"], draws=200, tune=400, chains=2, seed=1
    )
    learnt = contraction(fit)["contraction"]
    assert learnt["beta_typical"] < 0.75
    assert learnt["cmax_typical"] > 0.8
    table = diagnose(fit)
    assert "beta_typical" in set(table.loc[table["rule"] == "prior-dominated", "where"])


def test_correlated_effects_and_heavy_tails_are_sampled(model):
    data = simulate(model, DESIGN, 10, 6, omega=OMEGA, sigma=0.4)
    fit = fit_hierarchical(
        model,
        data,
        random=["tmax", "cmax", "alpha"],
        correlated=True,
        error="student_t",
        draws=150,
        tune=300,
        chains=2,
        seed=1,
    )
    correlation = fit.tree["posterior"]["effect_correlation"]
    assert dict(correlation.sizes) == {"chain": 2, "draw": 150, "effect": 3, "effect_aux": 3}
    np.testing.assert_allclose(correlation.sel(effect="cmax", effect_aux="cmax"), 1.0)
    names = {"tmax_omega", "cmax_omega", "alpha_omega", "corr_tmax_cmax", "corr_cmax_alpha"}
    assert names <= set(fit.population().index)
    assert set(fit.settings["centred"]) in (set(), {"tmax", "cmax", "alpha"}), (
        "a block is centred all or none"
    )


def test_only_blq_and_a_single_subject_give_a_sound_result(model):
    frame = pd.DataFrame({"ID": "a", "TIME": [7, 14, 28], "DV": "BLQ"})
    data = read_nonmem(frame, value_unit="copies/ug", lloq=50)
    fit = fit_hierarchical(model, data, random=["cmax"], draws=200, tune=300, chains=2, seed=1)
    population = fit.population()
    assert np.isfinite(population["median"]).all()
    assert population.loc["cmax_typical", "median"] < model.parameters["cmax"].prior.centre


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"draws": 0}, "at least 1"),
        ({"seed": -1}, "seed -1"),
        ({"target_accept": 2.0}, "target_accept is 2.0"),
        ({"centred": ["foldy"]}, "no random effect"),
    ],
)
def test_settings_that_make_no_sense_are_refused(model, asked, said):
    data = simulate(model, DESIGN, 2, 2)
    with pytest.raises(ConfigError, match=said):
        fit_hierarchical(model, data, **asked)


def test_both_engines_draw_from_the_same_posterior(model):
    data = simulate(model, DESIGN, 12, 21, omega=OMEGA, sigma=0.4)
    asked = {"random": ["tmax", "cmax", "alpha"], "covariates": {"cmax": "log(dose)"}, "seed": 4}
    fit = fit_hierarchical(model, data, sampler="structured", **asked)
    assert fit.settings["sampler"] == "structured"
    assert fit.settings["reached"]
    compared = cross_check(fit)
    assert compared.attrs["other_sampler"] == "nutpie"
    assert compared.attrs["agree"], compared["z"].round(1).to_dict()
    assert compared["shift_sd"].abs().max() < 0.25


def test_differential_equations_with_two_outputs_are_fitted():
    model = load_model("effector_memory_tumour")
    days = (1, 4, 7, 10, 14, 21, 28, 60, 120)
    tumour = {"tumour": {"times": days, "lloq": 0.01, "every": 2, "assay": "tumour"}}
    data = simulate(model, {"times": days, "lloq": 50, "assay": "car"}, 8, 5, others=tumour)
    fit = fit_hierarchical(model, data, draws=100, chains=2, seed=1, sampler="structured")
    assert fit.settings["assays"] == {"car": "car", "tumour": "tumour"}
    population = fit.population()
    assert population.loc["sigma_tumour", "unit"] == "SD of log"
    assert np.isfinite(population["median"]).all()
    assert set(fit.observations["assay"]) == {"car", "tumour"}

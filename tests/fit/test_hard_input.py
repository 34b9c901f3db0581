"""Few subjects, equations that explode, breaks out of order: a sound result, or a finding that names the place."""

import numpy as np
import pytest

from carkinetics.diagnostics import diagnose
from carkinetics.errors import ConfigError
from carkinetics.fit import fit_hierarchical, fit_individuals, fit_population
from carkinetics.model import load_model, simulate
from carkinetics.model.library import model_from_text

pytestmark = pytest.mark.slow
DESIGN = {"times": (2, 4, 7, 10, 14, 21, 28, 60, 120), "lloq": 50}
EXPLODES = """
schema = 1
name = "explodes"
title = "Growth that reaches infinity in finite time"
value_unit = "copies/ug"
[parameters.start]
meaning = "level at the infusion"
unit = "copies/ug"
typical = 100
omega = 0.5
prior = { dist = "lognormal", median = 100, sigma = 1 }
[parameters.growth]
meaning = "rate per level"
unit = "ug/(copies day)"
typical = 0.0002
omega = 1.0
prior = { dist = "lognormal", median = 0.0002, sigma = 2 }
[constants]
square = "4e5 copies^2/ug^2"
[states.cells]
initial = "start"
rate = "growth * cells * cells"
[observation]
of = "cells"
error = "lognormal"
residual = 0.3
"""


@pytest.mark.parametrize("n", [1, 2])
def test_one_and_two_subjects_give_a_finite_result(n):
    model = load_model("stein2019")
    fit = fit_hierarchical(
        model, simulate(model, DESIGN, n, 3), draws=200, chains=2, seed=1, sampler="structured"
    )
    assert np.isfinite(fit.population()[["median", "sd"]]).all().all()
    assert not diagnose(fit).attrs["converged"]


@pytest.mark.parametrize("sampler", ["structured", "nuts"])
def test_equations_that_explode_are_refused_counted_and_named(sampler):
    model = model_from_text(EXPLODES)
    data = simulate(
        model, {"times": (1, 3, 7, 14, 21), "lloq": 10}, 6, 2, omega={"growth": 0.2, "start": 0.3}
    )
    fit = fit_hierarchical(model, data, draws=200, tune=200, chains=2, seed=1, sampler=sampler)
    assert np.isfinite(fit.population()["median"]).all()
    found = diagnose(fit)
    rows = found[found["rule"] == "failed-solve"]
    assert len(rows)
    assert rows["where"].str.startswith("subject S").all()
    assert rows["message"].str.contains("growth").all()


def test_a_lag_beyond_the_peak_does_not_stop_a_fit():
    model = load_model("ogasawara2021")
    data = simulate(model, DESIGN, 6, 4)
    lag = next(name for name in model.parameters if "lag" in name)
    wide = model.with_priors(**{lag: {"dist": "lognormal", "median": 9.0, "sigma": 1.0}})
    fit = fit_hierarchical(wide, data, draws=100, chains=2, seed=1, sampler="structured")
    assert np.isfinite(fit.population()["median"]).all()


DRAINS = EXPLODES.replace('"growth * cells * cells"', '"-growth * square"').replace("explodes", "drains")


@pytest.mark.parametrize("sampler", ["structured", "nuts"])
def test_no_draw_takes_a_measured_level_below_zero(sampler):
    """A constant rate of loss takes any number of cells below 0 in time; measured levels say that it has not."""
    model = model_from_text(DRAINS)
    design = {"times": (0.2, 0.4, 0.6), "lloq": 1}
    data = simulate(model, design, 6, 2, omega={"growth": 0.1, "start": 0.1})
    assert (data.observations["status"] == "quantified").all()
    fit = fit_hierarchical(model, data, draws=200, tune=400, chains=2, seed=1, sampler=sampler)
    draws = fit.tree["posterior"]
    assert float((draws["start"] - 4e5 * 0.6 * draws["growth"]).min()) > 0
    assert np.isfinite(fit.population()[["median", "sd"]]).all().all()


@pytest.mark.parametrize("sampler", ["structured", "nuts"])
def test_random_effects_that_the_data_do_not_inform_are_said_to_be_the_prior(sampler):
    """Samples end at the peak: nothing is known of the slow decline, and all random effects are on its rate."""
    model = load_model("stein2019")
    data = simulate(
        model,
        {"times": (1, 2, 3, 5, 7), "lloq": 1},
        8,
        2,
        omega=dict.fromkeys(("foldx", "tmax", "cmax"), 0.0),
    )
    fit = fit_hierarchical(model, data, random=["beta"], draws=400, tune=400, seed=1, sampler=sampler)
    said = diagnose(fit).query("rule == 'prior-dominated'").set_index("where")
    for name in ("beta_typical", "beta_omega"):
        assert said.loc[name, "severity"] == "warning"
        assert "not informed by the data" in said.loc[name, "message"]


@pytest.mark.parametrize("fit", [fit_hierarchical, fit_individuals, fit_population])
def test_a_model_for_simulation_only_is_not_fitted(fit):
    model = load_model("singh2021")
    data = simulate(model, {"times": (3, 7, 14), "lloq": 0.01, "doses": (450,)}, 2, 1)
    with pytest.raises(
        ConfigError, match=r"singh2021 is for simulation only: it was fitted to mean curves.*copy of its file"
    ):
        fit(model, data)

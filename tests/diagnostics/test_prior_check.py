"""What the priors expect of data: needs no fit, holds the truth, and contradicts what they exclude."""

from dataclasses import replace

import numpy as np
import pytest

from carkinetics.diagnostics import prior_check
from carkinetics.errors import ConfigError, DataError
from carkinetics.model import Prior, load_model, simulate

DESIGN = {"times": (3, 7, 10, 14, 28, 60), "lloq": 50, "doses": (1e5, 1e6)}


@pytest.fixture(scope="module")
def model():
    return load_model("stein2019")


@pytest.fixture(scope="module")
def data(model):
    return simulate(model, DESIGN, n=30, seed=1)


def test_it_needs_only_a_model_and_data(model, data):
    check = prior_check(model, data, n_sim=60)
    assert check.settings["draws_of"] == "prior"
    assert check.settings["n_sim"] == 60
    assert len(check.points) == len(data.observations)
    # The shipped priors allow the shipped typical values.
    low, seen, high = (check.percentiles[name].fillna(0) for name in ("lower", "observed", "upper"))
    assert ((low <= seen) & (seen <= high)).mean() > 0.9


def test_a_prior_that_excludes_the_data_is_seen(model, data):
    far = model.with_priors(cmax=Prior("lognormal", 10.0, 0.1))
    check = prior_check(far, data, n_sim=60)
    at_peak = check.percentiles.query("time == 10 and percentile == 50").iloc[0]
    assert not at_peak["observed"] <= at_peak["upper"]


def test_without_uncertainty_it_is_the_check_of_the_fit(model, data, around):
    # Two roads: priors of no width, and a posterior of no width, at the same population.
    # Their omegas and sigma stay as wide as their half-normal priors, so that only the medians are alike.
    tight = model.with_priors(
        **{name: Prior(p.prior.dist, p.typical, 1e-6) for name, p in model.parameters.items() if not p.fixed}
    )
    check = prior_check(tight, data, n_sim=400, random=[])
    at_peak = check.percentiles.query("time == 10 and percentile == 50").iloc[0]
    typical = float(np.median(around(model, data, noise=0.0).tree["posterior"]["cmax_typical"]))
    assert at_peak["median"] == pytest.approx(typical, rel=0.2)


def test_covariates_and_strata_are_those_of_the_fit_to_come(model, data):
    check = prior_check(model, data, covariates={"cmax": "log(dose)"}, by="dose", n_sim=20)
    assert check.strata == ["100000", "1e+06"]


def test_a_fit_knows_its_model_and_data(made_fit):
    fit = replace(made_fit, settings=made_fit.settings | {"requested_covariates": {}})
    check = prior_check(fit, n_sim=20)
    assert len(check.points) == len(fit.observations)
    with pytest.raises(ConfigError, match="data is known from the fit"):
        prior_check(fit, fit.data)
    with pytest.raises(ConfigError, match="covariates is known from the fit"):
        prior_check(fit, covariates={"cmax": "log(dose)"})


def test_requests_that_make_no_sense_are_refused(model, data):
    with pytest.raises(ConfigError, match="found Model and NoneType; expected a Model and a Dataset"):
        prior_check(model)
    with pytest.raises(ConfigError, match="n_sim is 0"):
        prior_check(model, data, n_sim=0)
    empty = replace(data, observations=data.observations.iloc[:0])
    with pytest.raises(DataError, match="no observation"):
        prior_check(model, empty)

"""What a prior says comes from its closed form: held against SciPy's distributions, and against the draws that a fit stores."""

from math import pi, sqrt

import numpy as np
import pytest
from scipy.stats import beta, halfnorm, kstest, lognorm, norm

from carkinetics.fit.draws import _with_quantities, prior_draws
from carkinetics.fit.problem import make_problem
from carkinetics.fit.stated_prior import StatedPrior, stated_priors
from carkinetics.model import load_model, simulate
from carkinetics.model.prior import Prior

P = np.array([0.05, 0.5, 0.95])


def test_quantiles_are_scipys():
    cmax = StatedPrior("cmax_typical", Prior("lognormal", 350.0, 1.5), "")
    np.testing.assert_allclose(cmax.quantile(P), lognorm(1.5, scale=350).ppf(P), rtol=1e-12)
    assert cmax.quantile(0.5) == pytest.approx(350, rel=1e-15)
    omega = StatedPrior("cmax_omega", 1.0, "")
    np.testing.assert_allclose(omega.quantile(P), halfnorm().ppf(P), rtol=1e-12)
    slope = StatedPrior("cmax_on_age", Prior("normal", 0.0, 1.0), "")
    np.testing.assert_allclose(slope.quantile(P), norm.ppf(P), atol=1e-15)
    pair = StatedPrior("corr_a_b", 3, "")
    np.testing.assert_allclose(pair.quantile(P), 2 * beta(2.5, 2.5).ppf(P) - 1, atol=1e-12)


def test_standard_deviations_are_on_the_scale_of_comparison():
    assert StatedPrior("cmax_typical", Prior("lognormal", 350.0, 1.5), "").sd == 1.5
    x = (np.arange(200_000) + 0.5) / 200_000
    logs = np.log(halfnorm(scale=0.3).ppf(x))
    assert StatedPrior("cmax_omega", 0.3, "").sd == pytest.approx(pi / sqrt(8), rel=1e-15)
    assert StatedPrior("cmax_omega", 0.3, "").sd == pytest.approx(logs.std(), rel=1e-3)
    assert StatedPrior("corr_a_b", 3, "").sd == pytest.approx(2 * beta(2.5, 2.5).std(), rel=1e-12)


@pytest.mark.parametrize("asked", [{"correlated": ["tmax", "cmax", "alpha"]}, {"error": "combined1"}])
def test_every_stored_prior_follows_what_is_stated(asked, around):
    model = load_model("stein2019")
    data = simulate(model, {"times": (1, 7, 28, 90), "lloq": 50, "doses": (1e5, 1e6)}, 4, 7)
    problem = make_problem(model, data, covariates={"cmax": "log(dose)"}, **asked)
    draws = _with_quantities(problem, prior_draws(problem, 4000, np.random.default_rng(1)))
    fit = around(model, data)
    covariates = [
        {
            "parameter": c.parameter,
            "name": c.name,
            "text": c.text,
            "centre": c.centre,
            "prior": c.prior.as_entry(),
        }
        for c in problem.covariates
    ]
    fit.settings.update(
        covariates=covariates, correlated=list(problem.correlated), random=list(problem.random),
        requested_covariates={"cmax": "log(dose)"}, error=problem.measured[0].error.name,
    )  # fmt: skip
    stated = stated_priors(fit)
    scalars = {str(name) for name in draws.data_vars if draws[name].dims == ("chain", "draw")}
    assert scalars - set(stated) == {f"{name}_typical" for name in model.quantities}
    places = (np.arange(4000) + 0.5) / 4000
    for name, prior in stated.items():
        values = draws[name].to_numpy().ravel()
        inverse = np.interp(values, prior.quantile(places), places)
        assert kstest(inverse, "uniform").pvalue > 1e-4, name


def test_a_half_normal_has_its_published_median():
    # 0.6745: the upper quartile of the standard normal.
    assert float(StatedPrior("sigma", 2.0, "").quantile(0.5)) == pytest.approx(2 * 0.67449, rel=1e-5)


def test_a_computed_spread_is_written_with_four_digits():
    slope = StatedPrior("cmax_on_age", Prior("normal", 0.0, 0.52797612), "")
    assert slope.text == "normal(mean 0, sd 0.528)"
    assert StatedPrior("sigma", 1.0, "").text == "half-normal(scale 1)"
    assert StatedPrior("corr_a_b", 3, "").text == "LKJ(2) of 3"

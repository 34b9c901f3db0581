"""The PyMC model is the same density as the NumPy functions, and its gradient is right."""

import numpy as np
import pytensor
import pytest

from carkinetics.fit.draws import _auxiliary, prior_draws
from carkinetics.fit.em import laplace_em
from carkinetics.fit.graph import build_pymc_model
from carkinetics.fit.nuts import starting_point
from carkinetics.fit.problem import make_problem
from carkinetics.model import Prior, load_model, simulate

DESIGN = {"times": (1, 3, 7, 14, 28, 90), "lloq": 50, "lod": 20, "doses": (1e5, 1e6)}
MODE = pytensor.compile.mode.Mode(linker="py", optimizer=None)  # no compilation: seconds matter here


def small_problem(name="stein2019", n=3, **asked):
    model = load_model(name)
    return make_problem(model, simulate(model, DESIGN, n, 7), **asked)


def normal_log_density(x, mean, sd):
    return -0.5 * ((x - mean) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)


def numpy_log_density(problem, point):
    """The joint density on the sampler's scale, written with NumPy and SciPy alone (no correlation)."""
    total = 0.0
    values = {}
    slopes = {c.name: point[c.name] for c in problem.covariates}
    for name in problem.model.free_parameters:
        parameter = problem.model.parameters[name]
        location = point[f"{name}_location"]
        total += normal_log_density(location, parameter.prior.location, parameter.prior.spread)
        mean = location + problem.shift(name, slopes)
        if name in problem.random:
            log_omega = point[f"{name}_omega_log__"]
            scale = parameter.omega_prior
            total += np.log(2) + normal_log_density(np.exp(log_omega), 0, scale) + log_omega
            individual = point[f"{name}_individual"]
            total += normal_log_density(individual, mean, np.exp(log_omega)).sum()
            mean = individual
        values[name] = parameter.from_free(np.asarray(mean))
    for c in problem.covariates:
        total += normal_log_density(point[c.name], c.prior.centre, c.prior.spread)
    sigmas = {}
    for name in problem.error.parameters:
        sigmas[name] = np.exp(point[f"{name}_log__"])
        scale = problem.sigma_scale(name)
        total += np.log(2) + normal_log_density(sigmas[name], 0, scale) + point[f"{name}_log__"]
    return total + problem.log_likelihood(problem.level(values), sigmas).sum()


CASES = [
    {"error": "lognormal", "covariates": {"cmax": "log(dose)"}},
    {"error": "student_t"},
    {"error": "combined1", "blq": "M4"},
    {"error": "combined2"},
    {"error": "proportional", "blq": "M2"},
    {"error": "lognormal", "blq": "M5", "random": ["cmax"], "covariates": {"tmax": "log(dose)"}},
]


@pytest.mark.parametrize("asked", CASES, ids=lambda c: "-".join(str(v) for v in c.values())[:40])
def test_pymc_and_numpy_give_the_same_density(asked, rng):
    problem = small_problem(**asked)
    model = build_pymc_model(problem, centred=problem.random)
    approximation = laplace_em(problem, iterations=3)
    logp = model.compile_logp(mode=MODE)
    names = [variable.name for variable in model.value_vars]
    for _ in range(2):
        point = starting_point(problem, approximation, rng)
        found = float(logp({name: np.asarray(point[name]) for name in names}))
        assert found == pytest.approx(numpy_log_density(problem, point), rel=1e-9)


def test_centred_and_not_centred_are_the_same_density_up_to_the_jacobian(rng):
    problem = small_problem()
    approximation = laplace_em(problem, iterations=3)
    point = starting_point(problem, approximation, rng)
    for name in problem.random:  # the same individuals in both coordinates
        mean, omega = point[f"{name}_location"], np.exp(point[f"{name}_omega_log__"])
        point[f"{name}_z"] = (point[f"{name}_individual"] - mean) / omega
    found = {}
    for centred in ((), problem.random):
        model = build_pymc_model(problem, centred=centred)
        logp = model.compile_logp(mode=MODE)
        found[centred] = float(logp({v.name: np.asarray(point[v.name]) for v in model.value_vars}))
    jacobian = sum(problem.n_subjects * point[f"{name}_omega_log__"] for name in problem.random)
    assert found[()] == pytest.approx(found[problem.random] + jacobian, rel=1e-9)


def test_prior_draws_have_the_quantiles_of_the_priors(rng):
    problem = small_problem(covariates={"cmax": "log(dose)"}, correlated=["tmax", "cmax", "alpha"])
    draws = prior_draws(problem, 4000, rng)
    for name in ("tmax", "cmax"):
        prior = problem.model.parameters[name].prior
        expected = Prior.as_scipy(prior).ppf([0.1, 0.5, 0.9])
        np.testing.assert_allclose(
            np.quantile(draws[f"{name}_typical"], [0.1, 0.5, 0.9]), expected, rtol=0.12
        )
    correlation = draws["effect_correlation"].to_numpy()[0]
    np.testing.assert_allclose(np.diagonal(correlation, axis1=1, axis2=2), 1.0)
    # Under LKJ(eta) in d dimensions a correlation is 2 Beta(a, a) - 1 with a = eta - 1 + d / 2: variance 1 / (2 a + 1).
    assert correlation[:, 0, 1].var() == pytest.approx(1 / (2 * 2.5 + 1), rel=0.1)
    assert correlation[:, 1, 2].var() == pytest.approx(1 / (2 * 2.5 + 1), rel=0.1)


def test_subjects_drawn_from_the_prior_have_the_correlation_of_their_draw(rng):
    problem = small_problem(n=20, correlated=["tmax", "cmax"])
    draws = prior_draws(problem, 3000, rng).isel(chain=0)
    z = {}
    for name in ("tmax", "cmax"):
        parameter = problem.model.parameters[name]
        free = parameter.to_free(draws[name]) - parameter.to_free(draws[f"{name}_typical"])
        z[name] = (free / draws[f"{name}_omega"]).to_numpy()
    product = (z["tmax"] * z["cmax"]).mean(axis=1)
    correlation = draws["effect_correlation"].sel(effect="tmax", effect_aux="cmax").to_numpy()
    slope, intercept = np.polyfit(correlation, product, 1)
    assert slope == pytest.approx(1.0, abs=0.05)
    assert intercept == pytest.approx(0.0, abs=0.02)


def test_a_covariate_that_ends_like_an_auxiliary_keeps_its_slope():
    data = simulate(load_model("stein2019"), DESIGN, 3, 7)
    data.subjects["age_z"] = [-1.0, 0.0, 1.0]
    problem = make_problem(load_model("stein2019"), data, covariates={"cmax": "age_z"})
    model = build_pymc_model(problem)
    hidden = set(_auxiliary(problem))
    assert "cmax_on_age_z" in {rv.name for rv in model.free_RVs} - hidden
    assert {rv.name for rv in model.free_RVs} & hidden >= {"cmax_location", "cmax_z"}

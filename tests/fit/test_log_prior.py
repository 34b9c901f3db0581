"""The prior density that is computed from draws is the one that PyMC has for its free variables."""

import numpy as np
import pytensor
import pytest
import xarray as xr
from scipy.special import logit

from carkinetics.fit.draws import _with_quantities, prior_draws
from carkinetics.fit.graph import build_pymc_model
from carkinetics.fit.log_prior import CORRELATIONS, population_log_prior
from carkinetics.fit.problem import make_problem
from carkinetics.model import load_model, simulate

DESIGN = {"times": (1, 3, 7, 14, 28, 90), "lloq": 50, "lod": 20, "doses": (1e5, 1e6)}
MODE = pytensor.compile.mode.Mode(linker="py", optimizer=None)
MIXTURE = {
    "class": "low",
    "share": {"dist": "logitnormal", "median": 0.25, "sigma": 0.7},
    "shift": {"cmax": {"dist": "normal", "mean": -3, "sd": 0.7}},
}


def drawn(**asked):
    model = load_model("stein2019")
    problem = make_problem(model, simulate(model, DESIGN, 4, 7), **asked)
    draws = _with_quantities(problem, prior_draws(problem, 4, np.random.default_rng(1)))
    return problem, draws, population_log_prior(problem, draws)


@pytest.mark.parametrize(
    "asked",
    [
        {"covariates": {"cmax": "log(dose)", "tmax": "log(dose)"}},
        {"error": "combined1", "random": ["cmax"]},
        {"mixture": MIXTURE},
    ],
    ids=["covariates", "combined1", "classes"],
)
def test_every_term_is_pymcs(asked):
    problem, draws, found = drawn(**asked)
    model = build_pymc_model(problem, centred=problem.random)
    of_location = {f"{name}_location": f"{name}_typical" for name in problem.model.free_parameters}
    if problem.mixture:
        of_location[f"{problem.mixture.share_name}_location"] = problem.mixture.share_name
    subject = {"mixture_individual", *(f"{name}_individual" for name in problem.random)}
    variables = [v for v in model.free_RVs if v.name not in subject]
    assert {of_location.get(v.name, v.name) for v in variables} == set(found.data_vars)
    terms = model.logp(vars=variables, jacobian=False, sum=False)
    densities = model.compile_fn(terms, inputs=model.value_vars, mode=MODE, on_unused_input="ignore")
    start = model.initial_point()
    for k in range(3):
        point = dict(start)
        for v in variables:
            name = of_location.get(v.name, v.name)
            value = float(draws[name][0, k])
            if v.name != name:
                share = problem.mixture and name == problem.mixture.share_name
                to_free = logit if share else problem.model.parameters[name.removesuffix("_typical")].to_free
                value = float(to_free(value))
            logged = v.name not in start
            point[f"{v.name}_log__" if logged else v.name] = np.array(np.log(value) if logged else value)
        for v, theirs in zip(variables, densities(point), strict=True):
            name = of_location.get(v.name, v.name)
            assert float(found[name][0, k]) == pytest.approx(float(theirs), rel=1e-9), name


def packed(omega, matrix):
    """PyMC's coordinates of a covariance: the lower triangle of its Cholesky factor."""
    root = np.linalg.cholesky(matrix * np.outer(omega, omega))
    return root[np.tril_indices(len(omega))]


def log_jacobian(omega, matrix):
    """Of PyMC's coordinates with respect to omega and the correlations, by differences."""
    pairs, columns, step = list(zip(*np.tril_indices(len(omega), -1), strict=True)), [], 1e-6
    for k in range(len(omega) + len(pairs)):
        sides = []
        for sign in (1, -1):
            o, m = omega.copy(), matrix.copy()
            if k < len(omega):
                o[k] += sign * step
            else:
                a, b = pairs[k - len(omega)]
                m[a, b] = m[b, a] = m[a, b] + sign * step
            sides.append(packed(o, m))
        columns.append((sides[0] - sides[1]) / (2 * step))
    return np.linalg.slogdet(np.column_stack(columns))[1]


def test_correlations_and_their_omegas_are_pymcs_up_to_a_constant():
    names = ["tmax", "cmax", "alpha"]
    problem, draws, found = drawn(correlated=names)
    model = build_pymc_model(problem, centred=problem.random)
    (chol,) = [v for v in model.free_RVs if v.name == "effect_chol"]
    density = model.compile_logp(vars=[chol], jacobian=False, mode=MODE)
    start = model.initial_point()
    differences = []
    for k in range(4):
        omega = np.array([float(draws[f"{name}_omega"][0, k]) for name in names])
        matrix = draws["effect_correlation"][0, k].to_numpy().copy()
        coordinates = packed(omega, matrix)
        diagonal = np.cumsum(np.arange(1, 4)) - 1
        coordinates[diagonal] = np.log(coordinates[diagonal])
        theirs = float(density(start | {"effect_chol_cholesky-cov-packed__": coordinates}))
        ours = float(found[CORRELATIONS][0, k]) + sum(float(found[f"{n}_omega"][0, k]) for n in names)
        differences.append(ours - theirs - log_jacobian(omega, matrix))
    assert np.ptp(differences) < 1e-5


def test_terms_keep_chains_and_draws():
    _, draws, found = drawn()
    assert isinstance(found, xr.Dataset)
    assert found["cmax_typical"].dims == ("chain", "draw")
    assert found.sizes == {"chain": 1, "draw": 4}
    assert draws.sizes["draw"] == 4

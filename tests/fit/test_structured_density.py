"""The structured sampler's posterior is the PyMC model's, up to a constant, for every option."""

import numpy as np
import pytensor
import pytest

from carkinetics.fit.em import laplace_em
from carkinetics.fit.graph import build_pymc_model
from carkinetics.fit.layout import TOLERANCE
from carkinetics.fit.nuts import starting_point
from carkinetics.fit.population_start import make_population
from carkinetics.fit.problem import make_problem
from carkinetics.fit.sweep import log_posterior
from carkinetics.fit.vector import covariance, set_covariance, sizes
from carkinetics.model import load_model, simulate

DESIGN = {"times": (1, 3, 7, 14, 28, 90), "lloq": 50, "lod": 20, "doses": (1e5, 1e6)}
MODE = pytensor.compile.mode.Mode(linker="py", optimizer=None)  # no compilation: seconds matter here


def low_class(*names):
    """A quarter of patients in whom some parameters are lower."""
    shift = {name: {"dist": "normal", "mean": -3, "sd": 0.7} for name in names}
    return {"class": "low", "share": {"dist": "logitnormal", "median": 0.25, "sigma": 0.7}, "shift": shift}


CASES = [
    {"covariates": {"cmax": "log(dose)"}},
    {"error": "student_t", "random": ["cmax", "tmax"], "covariates": {"alpha": "log(dose)"}},
    {"error": "combined1", "blq": "M4"},
    {"error": "combined2"},
    {"error": "additive", "blq": "M1"},
    {"error": "proportional", "blq": "M2"},
    {"blq": "M5", "random": ["cmax"], "covariates": {"tmax": "log(dose)"}},
    {"blq": "M6", "correlated": ["tmax", "cmax", "alpha"]},
    {"correlated": True, "random": ["cmax", "beta"], "covariates": {"cmax": "log(dose)"}},
    {"mixture": low_class("cmax"), "covariates": {"cmax": "log(dose)"}},
    {"mixture": low_class("cmax", "foldx"), "correlated": ["foldx", "tmax", "cmax"]},
]


def vector_and_effects(problem, population, point, between):
    """The point of the PyMC model in the coordinates of the structured sampler."""
    c, d, q, r = sizes(population)
    effects = np.column_stack([point[f"{name}_individual"] for name in problem.random])
    known = {f"{name}": point[f"{name}_location"] for name in problem.model.free_parameters}
    known |= {name: point[name] for name in problem.slope_names}
    from carkinetics.fit.effects import make_effects

    e = make_effects(problem)
    share = [point[f"{problem.mixture.share_name}_location"]] if problem.mixture else []
    x = np.empty(c + d + q + r + len(problem.sigma_names) + len(share))
    x[:c] = [known[name] for name in e.mean.names]
    x[c : c + d] = [known[name] for name in e.shared.names]
    set_covariance(x, population, between)
    x[c + d + q + r :] = [*(point[f"{name}_log__"] for name in problem.sigma_names), *share]
    return x, np.ascontiguousarray(effects)


def packed(x, problem, population):
    """PyMC's coordinates of the covariance of the correlated effects."""
    q, block = len(problem.random), population.block
    between = np.empty((q, q))
    covariance(x, population, between)
    root = np.linalg.cholesky(between[np.ix_(block, block)])
    root[np.diag_indices(len(block))] = np.log(np.diag(root))
    return root[np.tril_indices(len(block))]


def log_jacobian(x, problem, population):
    """From log omega and partial correlations of the block to PyMC's coordinates, by differences."""
    c, d, q, r = sizes(population)
    at = [*(c + d + population.block), *range(c + d + q, c + d + q + r)]
    columns = []
    for k in at:
        up, down = x.copy(), x.copy()
        up[k] += 1e-6
        down[k] -= 1e-6
        columns.append((packed(up, problem, population) - packed(down, problem, population)) / 2e-6)
    return np.linalg.slogdet(np.column_stack(columns))[1]


@pytest.mark.parametrize("asked", CASES, ids=lambda c: "-".join(str(v) for v in c.values())[:50])
def test_both_densities_differ_by_a_constant(asked, rng):
    model = load_model("stein2019")
    problem = make_problem(model, simulate(model, DESIGN, 4, 7), **asked)
    approximation = laplace_em(problem, iterations=3)
    # Any classes: the density is summed over them.
    classes = np.arange(problem.n_subjects) % 2.0
    population = make_population(approximation.effects.with_membership(classes))
    pymc_model = build_pymc_model(problem, centred=problem.random)
    logp = pymc_model.compile_logp(mode=MODE)
    differences = []
    for _ in range(3):
        point = starting_point(problem, approximation, rng)
        omega = np.exp([point[f"{name}_omega_log__"] for name in problem.random])
        correlation, block = np.eye(len(omega)), population.block
        if len(block):
            draw = np.corrcoef(rng.standard_normal((len(block), len(block) + 3)))
            correlation[np.ix_(block, block)] = draw
        x, effects = vector_and_effects(problem, population, point, correlation * np.outer(omega, omega))
        jacobian = 0.0
        if len(block):
            point["effect_chol_cholesky-cov-packed__"] = packed(x, problem, population)
            point["effect_individual"] = point["mixture_individual"] = effects[:, block]
            jacobian = log_jacobian(x, problem, population)
        ours = log_posterior(
            problem.layout.values.address, x, effects, population, problem.layout.data, TOLERANCE
        )
        values = {v.name: np.asarray(point[v.name]) for v in pymc_model.value_vars}
        differences.append(ours - jacobian - float(logp(values)))
    assert np.ptp(differences) < 1e-6 * max(1.0, np.abs(ours) * 1e-3)

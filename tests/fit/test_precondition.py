"""Preconditioning changes coordinates and nothing else."""

import numpy as np
import pytensor
import pytest

from carkinetics.fit.em import laplace_em
from carkinetics.fit.graph import build_pymc_model
from carkinetics.fit.nuts import starting_point
from carkinetics.fit.precondition import coupling_of, precondition
from carkinetics.fit.problem import make_problem
from carkinetics.model import load_model, simulate

MODE = pytensor.compile.mode.Mode(linker="py", optimizer=None)
DESIGN = {"times": (1, 3, 7, 14, 28, 90), "lloq": 50, "lod": 20, "doses": (1e5, 1e6)}
CASES = [
    ({"random": ["cmax", "tmax", "alpha"], "covariates": {"fb": "log(dose)"}}, ["cmax", "tmax"]),
    ({"random": ["cmax", "tmax", "alpha"], "correlated": ["cmax", "alpha"]}, ["cmax", "alpha"]),
    ({"random": ["cmax", "tmax", "alpha"], "correlated": ["cmax", "alpha"], "covariates": {"cmax": "log(dose)"}}, ["tmax"]),
    ({"random": ["cmax"]}, []),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "centred"), CASES)
def test_the_density_differs_by_a_constant_and_the_quantities_are_the_same(asked, centred):
    model = load_model("stein2019")
    problem = make_problem(model, simulate(model, DESIGN, 4, 7), **asked)
    found = laplace_em(problem, iterations=3)
    plain = build_pymc_model(problem, centred)
    coupling = coupling_of(found, centred)
    moved = precondition(plain, coupling)
    densities = plain.compile_logp(mode=MODE), moved.compile_logp(mode=MODE)
    names = [variable.name for variable in plain.deterministics]
    quantities = [
        one.compile_fn(one.replace_rvs_by_values([one[n] for n in names]), inputs=one.value_vars, mode=MODE, on_unused_input="ignore")
        for one in (plain, moved)
    ]  # fmt: skip
    differences = []
    for seed in range(3):
        point = starting_point(problem, found, np.random.default_rng(seed))
        both = point | coupling.standardise(point)
        own = [{v.name: np.asarray(both[v.name]) for v in one.value_vars} for one in (plain, moved)]
        differences.append(float(densities[0](own[0])) - float(densities[1](own[1])))
        for before, after in zip(quantities[0](own[0]), quantities[1](own[1]), strict=True):
            np.testing.assert_allclose(after, before, rtol=1e-9)
    assert np.ptp(differences) < 1e-8 * abs(float(densities[0](own[0])))


def test_standardised_coordinates_are_uncoupled_near_the_mode():
    """A step of the coefficients carries the subjects along their conditional modes."""
    model = load_model("stein2019")
    problem = make_problem(model, simulate(model, DESIGN, 6, 3), random=["cmax", "tmax"])
    found = laplace_em(problem)
    coupling = coupling_of(found, ["cmax", "tmax"])
    from dataclasses import replace

    from carkinetics.fit.approximate import individual_gaussians

    step = 0.02 * np.ones(len(found.mean))
    there = individual_gaussians(replace(found, mean=found.mean + step), steps=50)
    moved = there.modes - found.modes
    away = np.concatenate([step, np.zeros(len(found.shared))])
    np.testing.assert_allclose(coupling.carry @ away, moved, rtol=0.2, atol=5e-4)

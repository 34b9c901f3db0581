"""Likelihood of each subject at each posterior draw of the population, averaged over the subject's random effects.

By importance sampling around each subject's mode at that draw. It answers for subjects as a whole: what one would be leaving
out, or scaling, when there is more or less of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from carkinetics.fit.approximate import approximation_at, individual_gaussians
from carkinetics.fit.chosen import Draws
from carkinetics.fit.effects import Coefficients, make_effects
from carkinetics.fit.em import laplace_em
from carkinetics.fit.objective import subject_log_likelihood
from carkinetics.fit.problem import Problem

Floats = NDArray[np.float64]


def marginal_log_likelihood(
    problem: Problem, draws: Draws, n_inner: int, seed: int, *, common: bool = False
) -> Floats:
    """Log-likelihood of every subject at every draw, averaged over random effects.

    Parameters
    ----------
    problem : Problem
        Whose subjects.
    draws : Draws
        Population values.
    n_inner : int
        Importance draws per subject and population draw.
    seed : int
        Of these.
    common : bool
        Whether every population draw has the same importance draws. Then differences between population draws are sharper and all
        share one error; without, errors are independent and an average over population draws is sharper.

    Returns
    -------
    ndarray, shape (n_draws, n_subject)
        Densities of log y for errors on the log scale.
    """
    effects, model = make_effects(problem), problem.model
    values = {name: model.parameters[name].to_free(draws.typical[name]) for name in model.free_parameters}
    values |= draws.slopes
    sd = (
        np.column_stack([draws.omega[name] for name in problem.random])
        if problem.random
        else np.empty((0, 0))
    )
    modes = laplace_em(problem).modes
    found = np.empty((len(next(iter(values.values()))), problem.n_subjects))
    seeds = [seed] * len(found) if common else np.random.default_rng(seed).integers(2**63, size=len(found))
    for s in range(len(found)):
        between = _between(problem, draws, s, sd)
        state = approximation_at(
            problem, _at(effects.mean, values, s), _at(effects.shared, values, s), between,
            np.array([draws.sigmas[name][s] for name in problem.sigma_names]), modes,
        )  # fmt: skip
        if problem.mixture is None:
            found[s], _ = subject_log_likelihood(individual_gaussians(state), n_inner, seeds[s])
            continue
        of_class = []
        for member, share in ((0.0, 1 - draws.share[s]), (1.0, draws.share[s])):
            effects_there = state.effects.with_membership(np.full(problem.n_subjects, member))
            there = individual_gaussians(replace(state, effects=effects_there))
            of_class.append(np.log(share) + subject_log_likelihood(there, n_inner, seeds[s])[0])
        found[s] = np.logaddexp(*of_class)
    return found


def _at(coefficients: Coefficients, values: Mapping[str, Floats], s: int) -> Floats:
    return np.array([values[name][s] for name in coefficients.names], dtype=float)


def _between(problem: Problem, draws: Draws, s: int, sd: Floats) -> Floats:
    q = len(problem.random)
    correlation = np.eye(q)
    block = [problem.random.index(name) for name in draws.correlated]
    if block:
        correlation[np.ix_(block, block)] = draws.correlation[s]
    return correlation * np.outer(sd[s], sd[s]) if q else np.empty((0, 0))

"""Where the structured sampler begins: an approximate fit as a population vector, and a guess of its spread."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from carkinetics.fit.approximate import Approximation, coefficient_system, inverse
from carkinetics.fit.effects import Effects
from carkinetics.fit.vector import Population, set_covariance, sizes

Floats = NDArray[np.float64]


def make_population(effects: Effects) -> Population:
    """A population as compiled code takes it.

    Parameters
    ----------
    effects : Effects
        The population of a problem.

    Returns
    -------
    Population
        The same numbers.
    """
    m, s = effects.mean, effects.shared
    return Population(
        effects.random, effects.common, m.of, np.ascontiguousarray(m.design), m.centre, m.spread,
        np.ascontiguousarray(m.design @ m.design.T), s.of, np.ascontiguousarray(s.design), s.centre, s.spread,
        effects.omega_scale, effects.block, effects.sigma_scale, effects.member, effects.share,
    )  # fmt: skip


def vector_of(state: Approximation, population: Population) -> Floats:
    """Population vector of an approximate fit.

    Parameters
    ----------
    state : Approximation
        Its population values.
    population : Population
        Prior and design.

    Returns
    -------
    ndarray
        See `carkinetics.fit.surrogate`.
    """
    c, d, q, r = sizes(population)
    share = [logit(state.share)] if state.problem.mixture else []
    x = np.empty(c + d + q + r + len(state.sigma) + len(share))
    x[:c], x[c : c + d] = state.mean, state.shared
    set_covariance(x, population, np.ascontiguousarray(state.between))
    x[c + d + q + r :] = [*np.log(state.sigma), *share]
    return x


def spread_of(state: Approximation, population: Population) -> Floats:
    """A first guess of the posterior covariance of the population vector.

    Parameters
    ----------
    state : Approximation
        An approximate fit.
    population : Population
        Prior and design.

    Returns
    -------
    ndarray, shape (n_x, n_x)
        By the curvature of the coefficients, and by counting subjects and rows for the spreads.
    """
    c, d, q, r = sizes(population)
    problem, n = state.problem, state.problem.n_subjects
    curvature, _ = coefficient_system(state)
    prior = np.concatenate([population.mean_spread, population.shared_spread]) ** -2.0
    certain = (
        [n * state.share * (1 - state.share) + state.effects.share[1] ** -2.0] if problem.mixture else []
    )
    spread = np.zeros((c + d + q + r + len(state.sigma) + len(certain),) * 2)
    spread[: c + d, : c + d] = inverse(curvature + np.diag(prior))
    share = np.array([*state.information().values()])
    rows = np.bincount(problem.layout.sigma_at[problem.layout.output, 0], minlength=len(state.sigma))
    scale = np.concatenate([2 * n * share**2 + 1, np.full(r, n * 0.5 + 1), rows + 1.0, certain])
    at = np.arange(c + d, len(spread))
    spread[at, at] = 1 / scale
    return spread

"""How sure an approximate population fit is: scores of the subjects and standard errors."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from carkinetics.fit.approximate import Approximation, coefficient_system, inverse

Array = NDArray[np.float64]
SIGMA_STEP = 1e-3


def correlated_pairs(state: Approximation) -> list[tuple[int, int]]:
    """Positions of the correlations among the random effects, the later one first.

    Parameters
    ----------
    state : Approximation
        Whose block.

    Returns
    -------
    list of (int, int)
        In the order in which they stand in a vector.
    """
    block = state.effects.block.tolist()
    return [(a, b) for k, a in enumerate(block) for b in block[:k]]


def scores(state: Approximation) -> Array:
    """Slope of every subject's marginal log-likelihood in all population values, by the subjects' Gaussians.

    Parameters
    ----------
    state : Approximation
        At the modes.

    Returns
    -------
    ndarray, shape (n_subject, n)
        Coefficients, log omega, correlations of the block, log sigma.

    References
    ----------
    .. [1] Louis TA. J R Stat Soc B 1982;44:226-233.
    """
    e, n = state.effects, state.problem.n_subjects
    precision = inverse(state.between)
    away = state.modes - state.expected
    slope = np.concatenate([away @ precision, state.score[:, e.common]], axis=1)
    of = np.concatenate([e.mean.of, e.n_random + e.shared.of])
    parts = [slope[:, of] * np.concatenate([e.mean.design, e.shared.design]).T]
    second = away[:, :, None] * away[:, None, :] + state.covariance
    pull = 0.5 * (precision @ second @ precision - precision)
    parts.append(2 * np.einsum("nab,ba->na", pull, state.between))
    omega = np.sqrt(np.diag(state.between))
    parts.append(
        np.array([2 * pull[:, a, b] * omega[a] * omega[b] for a, b in correlated_pairs(state)])
        .reshape(-1, n)
        .T
    )
    parts.append(_sigma_scores(state))
    return np.concatenate(parts, axis=1)


def _sigma_scores(state: Approximation) -> Array:
    problem, width = state.problem, np.sqrt(state.prediction_variance)

    def expected(sigmas: Mapping[str, float]) -> Array:
        levels = [problem.natural(state.predicted + sign * width) for sign in (-1, 1)]
        rows = 0.5 * sum(problem.log_likelihood(level, sigmas) for level in levels)
        return problem.by_subject(np.asarray(rows))

    columns = []
    for name, value in state.sigmas.items():
        up, down = (expected(state.sigmas | {name: value * math.exp(s * SIGMA_STEP)}) for s in (1, -1))
        columns.append((up - down) / (2 * SIGMA_STEP))
    return np.column_stack(columns)


def standard_errors(state: Approximation) -> Array:
    """Standard errors: coefficients from their curvature, standard deviations from the spread of the scores.

    Parameters
    ----------
    state : Approximation
        At the modes.

    Returns
    -------
    ndarray
        In the order of `scores`.
    """
    n_coefficients = len(state.mean) + len(state.shared)
    curvature, _ = coefficient_system(state)
    each = scores(state)
    information = each.T @ each
    both = np.sqrt(np.abs(np.diag(inverse(information))))
    both[:n_coefficients] = np.sqrt(np.diag(inverse(curvature)))
    return both

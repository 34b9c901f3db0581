"""The marginal log-likelihood by importance sampling: exact up to its stated Monte-Carlo error."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from carkinetics.fit.approximate import Approximation, inverse
from carkinetics.fit.layout import TOLERANCE
from carkinetics.fit.modes import importance_log_weights

DF = 5.0  # of the Student t around each subject's mode


def minus_two_log_likelihood(state: Approximation, draws: int, seed: int) -> tuple[float, float]:
    """Minus twice the marginal log-likelihood by importance sampling around the modes.

    Parameters
    ----------
    state : Approximation
        At the modes.
    draws : int
        Per subject.
    seed : int
        Of the draws.

    Returns
    -------
    tuple of float
        The value and its Monte-Carlo standard error. Densities are of log y for errors on the log scale.
    """
    each, error = subject_log_likelihood(state, draws, seed)
    return float(-2 * each.sum()), 2 * error


def subject_log_likelihood(state: Approximation, draws: int, seed: int) -> tuple[NDArray[np.float64], float]:
    """Log-likelihood of each subject, averaged over its random effects, by importance sampling.

    Parameters
    ----------
    state : Approximation
        At the modes.
    draws : int
        Per subject.
    seed : int
        Of the draws.

    Returns
    -------
    each : ndarray, shape (n_subject,)
        Log-likelihoods.
    error : float
        Monte-Carlo standard error of their sum.
    """
    layout, effects, n = state.problem.layout, state.effects, state.problem.n_subjects
    q = effects.n_random
    if not q:
        return state.objective.copy(), 0.0
    rng = np.random.default_rng(seed)
    normal, chi = rng.standard_normal((draws, q)), rng.chisquare(DF, draws)
    roots = np.linalg.cholesky(state.covariance)
    log_weight = np.empty((n, draws))
    precision, expected = inverse(state.between), state.expected
    address = layout.values.address
    workers = os.cpu_count() or 1
    cuts = np.linspace(0, n, workers + 1).astype(int)

    def work(part: int) -> None:
        importance_log_weights(
            address, cuts[part], cuts[part + 1], np.ascontiguousarray(state.modes), roots, state.theta,
            expected, precision, effects.random, layout.data, state.sigma, TOLERANCE, normal, chi, DF,
            np.empty(len(layout.time)), log_weight,
        )  # fmt: skip

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(workers)))
    constant = math.lgamma((DF + q) / 2) - math.lgamma(DF / 2) - q / 2 * math.log(DF * math.pi)
    log_root = np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(axis=1)
    among = np.linalg.slogdet(state.between)[1]
    top = log_weight.max(axis=1, keepdims=True)
    weight = np.exp(log_weight - top)
    mean = weight.mean(axis=1)
    each = np.log(mean) + top[:, 0] - q / 2 * math.log(2 * math.pi) - 0.5 * among - constant + log_root
    # The same random numbers serve every subject, so their errors do not cancel as independent ones would.
    error = (weight / mean[:, None]).sum(axis=0).std(ddof=1) / math.sqrt(draws)
    return each, float(error)

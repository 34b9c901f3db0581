"""Pareto's k: how far draws of an approximation are from the posterior, told by the tail of their weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Above it, weights do not correct an approximation at any size that can be afforded (Vehtari A et al. JMLR 2024;25:72).
GOOD_K = 0.7
SAME = 1e-9  # log weights that differ by less do so by rounding
FEWEST = 30  # draws with a weight: a fifth is the tail, whose first quartile has to lie above its smallest


def choose(
    log_weight: NDArray[np.float64], n: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], float]:
    """Choose draws of an approximation, by their weights where these can be trusted.

    Parameters
    ----------
    log_weight : ndarray, shape (m,)
        Log density of the posterior less that of the approximation; draws without a finite one are never chosen.
    n : int
        How many, at most m.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    tuple of (ndarray, float)
        Positions, and k. Up to k = 0.7 they are resampled by the smoothed weights without replacement (Zhang L et al.
        JMLR 2022;23:306); above, the first ones, unweighted: the few heaviest would pretend to be the posterior.
    """
    finite = np.flatnonzero(np.isfinite(log_weight))
    if len(finite) < max(n, FEWEST):
        return np.resize(finite if len(finite) else np.arange(len(log_weight)), n), np.inf
    weight, k = smooth(log_weight[finite])
    if not k <= GOOD_K:
        return finite[:n], k
    # Heavy ones are chosen early: in that order the first chain would be another than the last.
    return rng.permutation(rng.choice(finite, n, replace=False, p=weight)), k


def smooth(log_weight: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Weights with a smoothed tail, and Pareto's k.

    Parameters
    ----------
    log_weight : ndarray, shape (m,)
        Finite, or minus infinity for weight 0; at least `FEWEST` finite ones.

    Returns
    -------
    tuple of (ndarray, float)
        Weights that sum to 1, and k; infinity where too few draws have a weight or their tail is like no Pareto distribution.
        Largest weights that are all the same have no tail: they stay as they are, and k is 0.

    Examples
    --------
    >>> weight, k = smooth(np.zeros(50))
    >>> float(weight.max()), k
    (0.02, 0.0)
    """
    from arviz_stats.base import array_stats  # takes two seconds to import

    weight, finite = np.zeros(len(log_weight)), np.flatnonzero(np.isfinite(log_weight))
    if len(finite) < FEWEST:
        weight[finite] = 1 / max(len(finite), 1)
        return weight, np.inf
    known = np.sort(log_weight[finite])
    n_tail = int(3 * len(known) ** 0.5) if len(known) > 225 else len(known) // 5
    if known[-1] - known[-n_tail] < SAME:
        smoothed, found = log_weight[finite], 0.0
    else:
        smoothed, found = array_stats.psislw(
            -log_weight[finite]
        )  # arviz takes minus the log weights, as of LOO
    weight[finite] = np.exp(smoothed - smoothed.max())
    return weight / weight.sum(), float(found) if np.isfinite(found) else np.inf

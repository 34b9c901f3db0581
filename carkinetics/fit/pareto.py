"""Pareto's k: how far draws of an approximation are from the posterior, told by the tail of their weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Above it, weights do not correct an approximation at any size that can be afforded (Vehtari A et al. JMLR 2024;25:72).
GOOD_K = 0.7


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
    from arviz_stats.base import array_stats  # takes two seconds to import

    finite = np.flatnonzero(np.isfinite(log_weight))
    if len(finite) < max(n, 20):
        return np.resize(finite if len(finite) else np.arange(len(log_weight)), n), np.inf
    smoothed, found = array_stats.psislw(-log_weight[finite])  # arviz takes minus the log weights, as of LOO
    k = float(found)
    if not k <= GOOD_K:
        return finite[:n], k
    weight = np.exp(smoothed - smoothed.max())
    return rng.choice(finite, n, replace=False, p=weight / weight.sum()), k

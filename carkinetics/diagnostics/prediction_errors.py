"""Observations and replicates of them → npd, PWRES and NPDE: the arithmetic, which knows of no fit.

Rows are replicates, columns observations; a subject's columns stand in the order of time. See `carkinetics.diagnostics.npde`
for the conventions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import rankdata

from carkinetics.model.observe import TINY

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Limited:
    """Observations, of which some are only known to lie outside a limit.

    Parameters
    ----------
    value : ndarray, shape (n,)
        NaN, or anything, where the value is not known.
    blq, above : ndarray of bool, shape (n,)
        Which lie below ``floor``, and which above ``ceiling``.
    floor, ceiling : ndarray, shape (n,)
        Limits of every row, also of those that were quantified: replicates are cut there; infinite where there is none.
    """

    value: Floats
    blq: Mask
    above: Mask
    floor: Floats
    ceiling: Floats


def prediction_errors(
    seen: Limited, simulated: Floats, subject: NDArray[np.object_], rng: np.random.Generator
) -> tuple[pd.DataFrame, Floats]:
    """Prediction errors of a study, and those of its replicates among each other.

    Parameters
    ----------
    seen : Limited
        The study.
    simulated : ndarray, shape (n_sim, n)
        Replicates before any censoring, finite; more than any subject has observations.
    subject : ndarray, shape (n,)
        Whose each observation is.
    rng : numpy.random.Generator
        For what is imputed, and for ties.

    Returns
    -------
    table : pandas.DataFrame
        ``value`` (imputed where it is not known), ``npd, pwres, npde``; NaN for what is missing, or has replicates that the
        subject's earlier samples determine.
    studies : ndarray, shape (1 + n_sim, n)
        NPDE of the study and of each replicate, every one of them ranked among all, which are treated alike: what
        is said of one of them as a whole has the distribution that the others show.
    """
    observed, filled, npd = impute(seen, simulated, rng)
    n = len(observed)
    pwres, rank, studies = np.full(n, np.nan), np.full(n, np.nan), np.full((len(simulated) + 1, n), np.nan)
    known = np.isfinite(observed)
    for own_rows in pd.Series(np.arange(n)).groupby(subject, sort=False).indices.values():
        at = own_rows[known[own_rows]]
        own, others, kept = decorrelate(observed[at], filled[:, at])
        at = at[kept]
        pwres[at] = own
        rank[at] = _rank(own, others, rng.uniform(size=len(own)))
        together = np.vstack([observed[at], filled[:, at]])
        _, alike, some = decorrelate(observed[at], together)
        first, last = rankdata(alike, "min", axis=0) - 1, rankdata(alike, "max", axis=0)
        studies[:, at[some]] = ndtri((first + rng.uniform(size=alike.shape) * (last - first)) / len(together))
    return pd.DataFrame({"value": observed, "npd": npd, "pwres": pwres, "npde": ndtri(rank)}), studies


def impute(seen: Limited, simulated: Floats, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Draw what lies outside the limits, in the study and in its replicates, and rank each observation.

    Parameters
    ----------
    seen : Limited
        The study.
    simulated : ndarray, shape (n_sim, n)
        Replicates before any censoring.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    tuple of ndarray, shapes (n,), (n_sim, n) and (n,)
        Observations and replicates with all values known, and npd: the normal quantile of a rank that is uniform below the
        predicted probability of being BLQ for such a row. NaN where an observation is missing.
    """
    filled, n = simulated.copy(), len(simulated) + 1
    observed, rank = seen.value.copy(), np.full(len(seen.value), np.nan)
    for j in range(len(rank)):
        ordered, u = np.sort(simulated[:, j]), rng.uniform()
        below, up_to = int(np.searchsorted(ordered, seen.floor[j], "left")), int(np.searchsorted(ordered, seen.ceiling[j], "right"))  # fmt: skip
        low, high = simulated[:, j] < seen.floor[j], simulated[:, j] > seen.ceiling[j]
        if low.any():
            filled[low, j] = rng.choice(ordered[:below], int(low.sum()))
        if high.any():
            filled[high, j] = rng.choice(ordered[up_to:], int(high.sum()))
        if seen.blq[j]:
            rank[j] = u * (below + 1) / n
            observed[j] = ordered[int(u * below)] if below else seen.floor[j]
        elif seen.above[j]:
            rank[j] = (up_to + u * (n - up_to)) / n
            observed[j] = ordered[up_to + int(u * (n - 1 - up_to))] if up_to < n - 1 else seen.ceiling[j]
        elif np.isfinite(observed[j]):
            first, last = (int(np.searchsorted(ordered, observed[j], side)) for side in ("left", "right"))
            rank[j] = (first + u * (last - first + 1)) / n
    return observed, filled, ndtri(rank)


def decorrelate(observed: Floats, simulated: Floats) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Take the correlation out of a vector and of draws from its predictive distribution.

    Parameters
    ----------
    observed : ndarray, shape (n,)
        One subject's samples in order of time.
    simulated : ndarray, shape (n_sim, n)
        Replicates of them; more than n.

    Returns
    -------
    own : ndarray, shape (n_kept,)
        L⁻¹ (observed − mean).
    others : ndarray, shape (n_sim, n_kept)
        The same of the replicates: mean 0 and covariance the identity.
    kept : ndarray of int, shape (n_kept,)
        Samples whose replicates vary by more than the others explain; the rest has no decorrelated value.

    Examples
    --------
    >>> sims = np.array([[0.0, 0.0], [2.0, 2.0], [0.0, 2.0], [2.0, 4.0]])
    >>> own, others, kept = decorrelate(np.array([1.0, 5.0]), sims)
    >>> own.round(6).tolist()
    [0.0, 2.598076]
    """
    mean, covariance = simulated.mean(axis=0), np.atleast_2d(np.cov(simulated, rowvar=False))
    kept: list[int] = []
    for j in range(len(observed)):  # a pivot of 0 is a sample that the earlier ones determine
        block = covariance[np.ix_([*kept, j], [*kept, j])]
        before = np.linalg.solve(block[:-1, :-1], block[:-1, -1]) if kept else np.empty(0)
        if block[-1, -1] - block[-1, :-1] @ before > 1e-10 * max(block[-1, -1], TINY):
            kept.append(j)
    at = np.array(kept, dtype=np.intp)
    if not len(at):
        return np.empty(0), np.empty((len(simulated), 0)), at
    root = np.linalg.cholesky(covariance[np.ix_(at, at)])
    every = np.vstack([observed[at], simulated[:, at]]) - mean[at]
    # Not solve_triangular: its BLAS starts threads for these few rows, 0.05 ms become 8 on a busy machine.
    solved = np.linalg.solve(root, every.T).T
    return solved[0], solved[1:], at


def _rank(own: Floats, others: Floats, u: Floats) -> Floats:
    """Place among the others, between 0 and 1; uniform if it is one of them."""
    below, equal = (others < own).sum(axis=0), (others == own).sum(axis=0)
    return np.asarray((below + u * (equal + 1)) / (len(others) + 1))

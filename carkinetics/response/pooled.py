"""Coefficients drawn for many possible exposures and pooled: how two stages, and one, come to a table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from carkinetics.response.bayes import Regression, sample_regression

Floats = NDArray[np.float64]
POOLED = 4000


@dataclass(frozen=True, eq=False)
class PooledDraws:
    """Draws of the coefficients over the exposures.

    Parameters
    ----------
    draws : pandas.DataFrame
        ``exposure_draw`` and the coefficients on their natural scales.
    naive : pandas.DataFrame
        The same for point values of the exposure: what an analysis says that takes them for known.
    theta : ndarray, shape (n, n_parameters)
        Free parameters of ``draws``.
    rows : ndarray of int, shape (n_kept,)
        Draws of the exposures that were kept, in the order of ``exposure_draw``.
    ess : float
        Least effective sample size of the proposals at a draw of the exposures.
    k : float
        Pareto's k of the weights of the exposure draws; NaN where they had none.
    """

    draws: pd.DataFrame
    naive: pd.DataFrame
    theta: Floats
    rows: NDArray[np.int64]
    ess: float
    k: float


def pooled_draws(
    regression: Regression, exposures: Floats, points: Floats, rng: np.random.Generator
) -> PooledDraws:
    """Draw the coefficients for each draw of the exposures, and pool.

    Parameters
    ----------
    regression : Regression
        What relates outcome and exposure.
    exposures : ndarray, shape (n_draws, n_rows)
        Possible exposures.
    points : ndarray, shape (n_rows,)
        Their point values.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    PooledDraws
        About 4000 draws, one at least for each of the exposures.
    """
    each = -(-POOLED // len(exposures))
    found = sample_regression(regression, exposures, each, rng)
    rows = np.arange(len(exposures))
    theta = found.theta.reshape(-1, found.theta.shape[-1])
    draws = regression.natural(theta)
    draws.insert(0, "exposure_draw", np.repeat(np.arange(len(rows)), each))
    known = len(exposures) == 1 and np.array_equal(exposures[0], points)
    alone = found if known else sample_regression(regression, points[None], POOLED, rng)
    naive = regression.natural(alone.theta[0])
    return PooledDraws(draws, naive, theta, rows, float(found.ess.min()), np.nan)


def summary(values: pd.Series | Floats, interval: float) -> tuple[float, float, float]:
    """Median and equal-tailed interval.

    Parameters
    ----------
    values : pandas.Series or ndarray
        Draws.
    interval : float
        Probability.

    Returns
    -------
    tuple of float
        Median, lower, upper.
    """
    found = np.quantile(np.asarray(values, dtype=float), [0.5, (1 - interval) / 2, (1 + interval) / 2])
    return float(found[0]), float(found[1]), float(found[2])

"""The likelihood of measurements under a residual error model, BLQ values censored; new measurements drawn from it.

Densities on the log scale are densities of log y.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from carkinetics.model.expression import NUMPY, Ops
from carkinetics.model.residual import ResidualError
from carkinetics.model.rows import Rows

STUDENT_DF = 4
# A level below this cannot be told from none; it keeps the log finite where exp() underflows.
TINY = 1e-300


STATISTICS: Ops = {**NUMPY, "log_ndtr": log_ndtr, "log1p": np.log1p}


def standard_deviation(
    error: ResidualError, level: Any, sigmas: Mapping[str, Any], ops: Ops = STATISTICS
) -> Any:
    """Residual standard deviation, on the scale of the error model.

    Parameters
    ----------
    error : ResidualError
        Residual error model.
    level : object
        Predicted level.
    sigmas : mapping
        Values of ``error.parameters``.
    ops : mapping
        The array library.

    Returns
    -------
    object
        One per level, or one for all.
    """
    match error.name:
        case "proportional":
            return ops["*"](sigmas["sigma"], level)
        case "combined1":
            return ops["+"](sigmas["sigma_add"], ops["*"](sigmas["sigma_prop"], level))
        case "combined2":
            proportional = ops["*"](sigmas["sigma_prop"], level)
            return ops["sqrt"](ops["+"](sigmas["sigma_add"] ** 2, proportional**2))
    return sigmas["sigma"]


def scaled_level(error: ResidualError, level: Any, ops: Ops = STATISTICS) -> Any:
    """A level on the scale of its residual error: its log, or itself.

    Parameters
    ----------
    error : ResidualError
        Residual error model.
    level : object
        Predicted level.
    ops : mapping
        The array library.

    Returns
    -------
    object
        As `log_likelihood` takes it.
    """
    return ops["log"](ops["maximum"](level, TINY)) if error.log_scale else level


def scaled_bounds(error: ResidualError, bounds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Measured values or limits on the scale of their residual error.

    Parameters
    ----------
    error : ResidualError
        Residual error model.
    bounds : ndarray
        Natural values, at least 0.

    Returns
    -------
    ndarray
        Their logs, or themselves.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(bounds) if error.log_scale else bounds


def log_likelihood(
    error: ResidualError, scaled: Any, rows: Rows, sigmas: Mapping[str, Any], ops: Ops = STATISTICS
) -> tuple[Any, Any, Any, Any]:
    """Log-likelihood of every observation, for exact, left-, interval- and right-censored ones.

    Parameters
    ----------
    error : ResidualError
        Residual error model.
    scaled : object
        Predictions on the scale of the residual error (`scaled_level`); the last axis runs over ``rows.used``.
    rows : Rows
        From `likelihood_rows`.
    sigmas : mapping
        Values of ``error.parameters``; shapes broadcast against ``scaled``.
    ops : mapping
        The array library: `STATISTICS`, or the sampler's.

    Returns
    -------
    tuple of four objects
        In the order of ``rows.kinds``.
    """

    def standardised(natural: NDArray[np.float64], at: NDArray[np.intp]) -> tuple[Any, Any]:
        f, value = scaled[..., at], scaled_bounds(error, natural)
        if error.log_scale:
            return (value - f) / sigmas["sigma"], sigmas["sigma"]
        # A proportional error at level 0 would divide by 0.
        sd = standard_deviation(error, ops["maximum"](f, TINY), sigmas, ops)
        return (value - f) / sd, sd

    def given_above(loglik: Any, at: NDArray[np.intp]) -> Any:
        if np.isnan(rows.above[at]).all():
            return loglik
        z, _ = standardised(rows.above[at], at)
        return loglik - _log_cdf(error, -z, ops)

    z, sd = standardised(rows.value[rows.exact], rows.exact)
    exact = given_above(_log_density(error, z, ops) - ops["log"](sd), rows.exact)
    z, _ = standardised(rows.upper[rows.left], rows.left)
    left = given_above(_log_cdf(error, z, ops), rows.left)
    high, _ = standardised(rows.upper[rows.between], rows.between)
    low, _ = standardised(rows.lower[rows.between], rows.between)
    between = given_above(_log_between(error, low, high, ops), rows.between)
    z, _ = standardised(rows.lower[rows.right], rows.right)
    right = given_above(_log_cdf(error, -z, ops), rows.right)
    return exact, left, between, right


def _log_density(error: ResidualError, z: Any, ops: Ops) -> Any:
    if error.student:
        return np.log(3 / 8) - 2.5 * ops["log1p"](z**2 / STUDENT_DF)
    return -0.5 * z**2 - 0.5 * np.log(2 * np.pi)


def _log_cdf(error: ResidualError, z: Any, ops: Ops) -> Any:
    """Log of the cumulative distribution, finite far into the tail."""
    if not error.student:
        return ops["log_ndtr"](z)
    # t with 4 df: F = (1 + x)² (2 - x) / 4 with x = z / sqrt(4 + z²). For z < 0, 1 + x is written
    # without the difference of nearly equal numbers: 1 + x = 4 / ((4 + z²) - z sqrt(4 + z²)).
    root = ops["sqrt"](STUDENT_DF + z**2)
    x = z / root
    negative = ops["minimum"](z, 0.0)
    root_negative = ops["sqrt"](STUDENT_DF + negative**2)
    one_plus_x = ops["where"](z < 0, STUDENT_DF / (root_negative**2 - negative * root_negative), 1 + x)
    return 2 * ops["log"](one_plus_x) + ops["log"](2 - x) - np.log(4)


def _log_between(error: ResidualError, low: Any, high: Any, ops: Ops) -> Any:
    """log(F(high) - F(low)), mirrored into the lower tail, where it loses no digits."""
    mirror = low > 0
    a = ops["where"](mirror, -high, low)
    b = ops["where"](mirror, -low, high)
    log_b = _log_cdf(error, b, ops)
    return log_b + ops["log1p"](-ops["exp"](_log_cdf(error, a, ops) - log_b))


def draw_values(
    error: ResidualError, level: NDArray[np.float64], sigmas: Mapping[str, Any], rng: np.random.Generator
) -> NDArray[np.float64]:
    """New measurements around predicted levels, before any censoring.

    Parameters
    ----------
    error : ResidualError
        Residual error model.
    level : ndarray
        Predicted levels.
    sigmas : mapping
        Values of ``error.parameters``; shapes broadcast against ``level``.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray
        Same shape as ``level``; on the natural scale, and negative only where the error is additive.
    """
    noise = rng.standard_t(STUDENT_DF, level.shape) if error.student else rng.standard_normal(level.shape)
    sd = standard_deviation(error, level, sigmas)
    return level * np.exp(sd * noise) if error.log_scale else level + sd * noise

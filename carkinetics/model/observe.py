"""Residual error, and what a value below the limit of quantification means for the likelihood.

The residual error models, by name
----------------------------------
``lognormal``     log level + sigma × normal (the default of the field)
``student_t``     log level + sigma × Student t with 4 degrees of freedom, for outliers
``additive``      level + sigma × normal
``proportional``  level + sigma·level × normal
``combined1``     sd = sigma_add + sigma_prop·level
``combined2``     sd = sqrt(sigma_add² + sigma_prop²·level²)

The BLQ methods, by name (Beal SL. J Pharmacokinet Pharmacodyn 2001;28:481-504)
------------------------------------------------------------------------------
``M1``  left out
``M2``  left out, and every quantified value is conditioned on being above its LLOQ
``M3``  censored: the probability of lying below the limit (between LOD and LLOQ where detected)
``M4``  as M3, conditioned on the level being above 0; the same as M3 on the log scale
``M5``  replaced by LLOQ/2
``M6``  the first of a run replaced by LLOQ/2, the rest left out
``M7``  replaced by 0 (needs a residual error on the natural scale)

Pre-dose zeros are never part of a likelihood. Densities on the log scale are densities of log y.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import log_ndtr

from carkinetics.dataset.table import ABOVE_ULOQ, CENSORED, PREDOSE
from carkinetics.errors import ConfigError, DataError, did_you_mean
from carkinetics.model.expression import NUMPY, Ops

BLQ_METHODS = ("M1", "M2", "M3", "M4", "M5", "M6", "M7")
STUDENT_DF = 4
# A level below this cannot be told from none; it keeps the log finite where exp() underflows.
TINY = 1e-300


@dataclass(frozen=True, slots=True)
class ResidualError:
    """A residual error model.

    Parameters
    ----------
    name : str
        See the module's list.
    log_scale : bool
        Whether the residual is normal on the log of the level.
    student : bool
        Student t instead of normal.
    parameters : tuple of str
        Names of its standard deviations.
    """

    name: str
    log_scale: bool
    student: bool
    parameters: tuple[str, ...]


RESIDUAL_ERRORS = {
    error.name: error
    for error in (
        ResidualError("lognormal", True, False, ("sigma",)),
        ResidualError("student_t", True, True, ("sigma",)),
        ResidualError("additive", False, False, ("sigma",)),
        ResidualError("proportional", False, False, ("sigma",)),
        ResidualError("combined1", False, False, ("sigma_add", "sigma_prop")),
        ResidualError("combined2", False, False, ("sigma_add", "sigma_prop")),
    )
}

STATISTICS: Ops = {**NUMPY, "log_ndtr": log_ndtr, "log1p": np.log1p}


def residual_error(name: str) -> ResidualError:
    """Look up a residual error model.

    Parameters
    ----------
    name : str
        See the module's list.

    Returns
    -------
    ResidualError
        The model.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    if name not in RESIDUAL_ERRORS:
        raise ConfigError(f"error is {name!r}{did_you_mean(name, RESIDUAL_ERRORS)}")
    return RESIDUAL_ERRORS[name]


@dataclass(frozen=True, slots=True)
class Rows:
    """Observations as the likelihood sees them; index arrays point into the rows of a table.

    Parameters
    ----------
    used : ndarray of int
        Rows that count at all.
    exact, left, between, right : ndarray of int
        Positions within ``used`` of the exact values, and of those that are left-censored (below a limit),
        interval-censored and right-censored (above the upper limit of quantification).
    value, lower, upper : ndarray of float, shape (n_used,)
        The exact value; the bounds of a censored one.
    above : ndarray of float, shape (n_used,)
        What the observation is conditioned on exceeding; NaN for nothing.
    """

    used: NDArray[np.intp]
    exact: NDArray[np.intp]
    left: NDArray[np.intp]
    between: NDArray[np.intp]
    right: NDArray[np.intp]
    value: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    above: NDArray[np.float64]

    @property
    def kinds(self) -> tuple[NDArray[np.intp], ...]:
        """Exact, left, between, right: in the order in which `log_likelihood` returns them."""
        return self.exact, self.left, self.between, self.right

    def only(self, chosen: NDArray[np.bool_]) -> Rows:
        """The same table with only the chosen rows in the lists of kinds."""
        exact, left, between, right = (at[chosen[at]] for at in self.kinds)
        return replace(self, exact=exact, left=left, between=between, right=right)


def likelihood_rows(observations: pd.DataFrame, method: str, error: ResidualError) -> Rows:
    """Apply a BLQ method.

    Parameters
    ----------
    observations : pandas.DataFrame
        Columns ``subject, time, value, status, lower, upper, lloq``, in order of time within a subject.
    method : str
        ``"M1"`` to ``"M7"``.
    error : ResidualError
        Residual error model.

    Returns
    -------
    Rows
        Which rows count, and as what.

    Raises
    ------
    ConfigError
        If the method is unknown or does not go with the residual error.
    DataError
        If a BLQ row has no limit, or a value cannot stand on the log scale.
    """
    if method not in BLQ_METHODS:
        raise ConfigError(f"blq is {method!r}{did_you_mean(method, BLQ_METHODS)}")
    if method == "M7" and error.log_scale:
        raise ConfigError(
            f"blq='M7' puts zeros into the data, which the {error.name} error cannot hold; use 'M3'"
        )
    status = observations["status"]
    blq = status.isin(CENSORED).to_numpy()
    value, lower, upper = (observations[c].to_numpy(float).copy() for c in ("value", "lower", "upper"))
    _refuse_unusable(observations, blq, method, error)
    # A level is zero before the infusion by definition; what was measured then is for `check` to report.
    keep = (status != PREDOSE).to_numpy() & (observations["time"].to_numpy(float) >= 0)
    above = np.full(len(value), np.nan)
    if method in ("M1", "M2"):
        keep &= ~blq
    if method == "M2":
        above = observations["lloq"].to_numpy(float).copy()
    if method == "M4" and not error.log_scale:
        above = np.zeros(len(value))
    if method in ("M5", "M6", "M7"):
        lloq = observations["lloq"].to_numpy(float)
        half = (
            np.where(lloq > 0, lloq, upper) / 2
        )  # also where the upper bound is the LOD: Beal's M5 is LLOQ/2
        value = np.where(blq, 0.0 if method == "M7" else half, value)
        if method == "M6":
            same = (observations["subject"] == observations["subject"].shift()).to_numpy()
            keep &= ~(blq & np.append(False, blq[:-1]) & same)
        blq = np.zeros_like(blq)
    used = np.flatnonzero(keep)
    high = (status == ABOVE_ULOQ).to_numpy()[used]
    blq, value, lower, upper, above = blq[used], value[used], lower[used], upper[used], above[used]
    if method == "M4" and not error.log_scale:  # between 0 and the limit, given above 0
        is_left = np.zeros_like(blq)
    else:
        is_left = blq & ~(lower > 0)
    return Rows(
        used,
        np.flatnonzero(~blq & ~high),
        np.flatnonzero(is_left),
        np.flatnonzero(blq & ~is_left),
        np.flatnonzero(high),
        value,
        lower,
        upper,
        above,
    )


def joined_rows(parts: Sequence[Rows], order: NDArray[np.intp]) -> Rows:
    """Rows of several tables laid one after another and then put in order.

    Parameters
    ----------
    parts : sequence of Rows
        One per table.
    order : ndarray of int
        Position in the joined tables of each row of the result.

    Returns
    -------
    Rows
        ``used`` counts through the result.
    """
    place = np.empty(len(order), dtype=np.intp)
    place[order] = np.arange(len(order))
    starts = np.cumsum([0, *(len(part.used) for part in parts)])
    kinds = [
        np.sort(
            place[np.concatenate([start + part.kinds[k] for start, part in zip(starts, parts, strict=False)])]
        )
        for k in range(4)
    ]
    columns = [
        np.concatenate([getattr(part, name) for part in parts])[order]
        for name in ("value", "lower", "upper", "above")
    ]
    return Rows(np.arange(len(order)), *kinds, *columns)


def _refuse_unusable(
    observations: pd.DataFrame, blq: NDArray[np.bool_], method: str, error: ResidualError
) -> None:
    if method not in ("M1", "M2"):
        unlimited = blq & ~(observations["upper"].to_numpy(float) > 0)
        if unlimited.any():
            row = observations[unlimited].iloc[0]
            raise DataError(
                f"subject {row['subject']}, day {row['time']:g}: below quantification, but no limit is known; "
                f"give lloq= (and lod=) when reading the data ({int(unlimited.sum())} such rows)"
            )
    if method == "M2":
        unlimited = ~blq & ~(observations["lloq"].to_numpy(float) > 0)
        if unlimited.any():
            row = observations[unlimited].iloc[0]
            raise DataError(
                f"subject {row['subject']}, day {row['time']:g}: M2 conditions every value on its LLOQ, and this one "
                "has none; give lloq= when reading the data, or use M1 or M3"
            )
    if error.log_scale:
        bad = (observations["status"] == "quantified").to_numpy() & ~(
            observations["value"].to_numpy(float) > 0
        )
        if bad.any():
            row = observations[bad].iloc[0]
            raise DataError(
                f"subject {row['subject']}, day {row['time']:g}: value {row['value']!r} is called quantified, "
                f"but the {error.name} error needs values above 0"
            )


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

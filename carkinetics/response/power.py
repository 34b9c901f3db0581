"""The power model ln(metric) = a + b ln(dose): least squares, its posterior, and which slopes are proportional."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from carkinetics.errors import ConfigError, DataError
from carkinetics.exposure.area import Floats


def equivalence_region(ratio: float, limits: tuple[float, float] = (0.8, 1.25)) -> tuple[float, float]:
    """Find the slopes of the power model that count as dose-proportional.

    Parameters
    ----------
    ratio : float
        Highest over lowest dose, above 1.
    limits : tuple of float
        Limits of the dose-normalised ratio of exposures, below and above 1.

    Returns
    -------
    lower, upper : float
        1 + ln(limit) / ln(ratio).

    Raises
    ------
    ConfigError
        If the ratio is not above 1, or the limits do not enclose 1.

    References
    ----------
    .. [1] Smith BP et al. Pharm Res 2000;17:1278-1283.

    Examples
    --------
    >>> [round(slope, 6) for slope in equivalence_region(10)]
    [0.90309, 1.09691]
    """
    low, high = limits
    if not 0 < low < 1 < high:
        raise ConfigError(f"limits are {limits!r}; expected one between 0 and 1 and one above 1")
    if not ratio > 1:
        raise ConfigError(f"dose ratio is {ratio!r}; expected highest over lowest dose, above 1")
    return 1 + float(np.log(low) / np.log(ratio)), 1 + float(np.log(high) / np.log(ratio))


def _design(log_dose: Floats) -> tuple[Floats, Floats]:
    """Design matrix and the inverse of its cross-product."""
    x = np.column_stack([np.ones_like(log_dose), log_dose])
    return x, np.linalg.inv(x.T @ x)


def _least_squares(log_dose: Floats, log_value: Floats) -> tuple[Floats, float, Floats]:
    """Coefficients, residual variance and the inverse cross-product."""
    x, inverse = _design(log_dose)
    coefficients = inverse @ x.T @ log_value
    residual = log_value - x @ coefficients
    return coefficients, float(residual @ residual) / (len(log_dose) - 2), inverse


def regression_draws(log_dose: Floats, log_values: Floats, rng: np.random.Generator) -> Floats:
    """Draw one (intercept, slope, residual SD) under flat priors for every posterior draw of the exposures.

    Parameters
    ----------
    log_dose : ndarray, shape (n,)
        Log dose of each subject.
    log_values : ndarray, shape (n_draws, n)
        Log exposure of each subject in each posterior draw.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray, shape (n_draws, 3)
        Intercept, slope, residual standard deviation.

    References
    ----------
    .. [1] Gelman A et al. Bayesian Data Analysis. 3rd ed. 2013, section 14.2.
    """
    x, inverse = _design(log_dose)
    centre = log_values @ x @ inverse
    degrees = len(log_dose) - 2
    scale = ((log_values - centre @ x.T) ** 2).sum(axis=1)
    sd = np.sqrt(scale / rng.chisquare(degrees, len(centre)))
    noise = rng.standard_normal(centre.shape) @ np.linalg.cholesky(inverse).T
    return np.column_stack([centre + sd[:, None] * noise, sd])


def from_points(log_dose: Floats, log_value: Floats, at: float, level: float) -> dict[str, tuple[float, ...]]:
    """Fit by least squares, with t and chi-square intervals.

    Parameters
    ----------
    log_dose, log_value : ndarray, shape (n,)
        Log dose and log exposure of each subject.
    at : float
        Log dose at which the log exposure is wanted.
    level : float
        Probability of the intervals.

    Returns
    -------
    dict of str to tuple of float
        Value, lower and upper of ``slope, slope_se, intercept, residual_sd, log_at_reference``.
    """
    (a, b), variance, inverse = _least_squares(log_dose, log_value)
    degrees = len(log_dose) - 2
    t = float(stats.t.ppf((1 + level) / 2, degrees))
    tails = stats.chi2.ppf([(1 + level) / 2, (1 - level) / 2], degrees)
    point = np.array([1.0, at])

    def around(value: float, unscaled: float) -> tuple[float, float, float]:
        half = t * float(np.sqrt(variance * unscaled))
        return float(value), float(value - half), float(value + half)

    return {
        "slope": around(b, inverse[1, 1]),
        "slope_se": (float(np.sqrt(variance * inverse[1, 1])), np.nan, np.nan),
        "intercept": around(a, inverse[0, 0]),
        "residual_sd": (float(np.sqrt(variance)), *(float(v) for v in np.sqrt(variance * degrees / tails))),
        "log_at_reference": around(a + b * at, float(point @ inverse @ point)),
    }


def power_model(dose: ArrayLike, value: ArrayLike, *, level: float = 0.90) -> pd.DataFrame:
    """Power model by least squares: ln(value) = a + b ln(dose).

    For point values. Exposure from a fit is a distribution: `carkinetics.dose_exposure` takes its posterior draws.

    Parameters
    ----------
    dose, value : array_like, shape (n,)
        Dose and exposure of each subject, above 0.
    level : float
        Probability of the intervals (t distribution).

    Returns
    -------
    pandas.DataFrame
        Indexed by ``term``, ``(intercept)`` and ``log(dose)``: ``coef, se, lower, upper``. In ``.attrs``: ``ratio`` of the highest
        to the lowest dose, ``normalised`` (dose-normalised ratio of exposures over it, with limits), ``region`` of slopes that
        count as proportional, ``verdict``, ``residual_sd, df, level``.

    Raises
    ------
    DataError
        If values are missing or not above 0, there are fewer than three, or one dose only.

    References
    ----------
    .. [1] Smith BP et al. Pharm Res 2000;17:1278-1283.
    """
    amounts, values = np.asarray(dose, dtype=float), np.asarray(value, dtype=float)
    if amounts.shape != values.shape or amounts.ndim != 1 or len(amounts) < 3:
        raise DataError(
            f"{amounts.size} doses and {values.size} values; expected one of each per subject, three or more"
        )
    for name, array in (("dose", amounts), ("value", values)):
        bad = np.flatnonzero(~(np.isfinite(array) & (array > 0)))
        if bad.size:
            raise DataError(
                f"{name} number {bad[0] + 1} is {array[bad[0]]:g}; expected a number above 0, as its logarithm is taken"
            )
    ratio = float(amounts.max() / amounts.min())
    if ratio == 1:
        raise DataError(f"all {len(amounts)} subjects have the dose {amounts[0]:g}; a slope needs two")
    log_dose, log_value = np.log(amounts), np.log(values)
    coefficients, variance, inverse = _least_squares(log_dose, log_value)
    se, df = np.sqrt(variance * np.diag(inverse)), len(log_dose) - 2
    width = float(stats.t.ppf((1 + level) / 2, df)) * se
    limits = coefficients - width, coefficients + width
    region = equivalence_region(ratio)
    table = pd.DataFrame(
        {"coef": coefficients, "se": se, "lower": limits[0], "upper": limits[1]},
        index=pd.Index(["(intercept)", "log(dose)"], name="term"),
    )
    table.attrs = {
        "ratio": ratio, "normalised": tuple(float(ratio ** (b - 1)) for b in (coefficients[1], limits[0][1], limits[1][1])),
        "region": region, "verdict": slope_verdict(float(limits[0][1]), float(limits[1][1]), region),
        "residual_sd": float(np.sqrt(variance)), "df": df, "level": level,
    }  # fmt: skip
    return table


def slope_verdict(lower: float, upper: float, region: tuple[float, float]) -> str:
    """What an interval of the slope says about proportionality.

    Parameters
    ----------
    lower, upper : float
        The interval.
    region : tuple of float
        Slopes that count as proportional.

    Returns
    -------
    str
        ``"proportional"``, ``"not proportional"`` or ``"cannot be shown"``.
    """
    if region[0] <= lower and upper <= region[1]:
        return "proportional"
    return "not proportional" if upper < region[0] or region[1] < lower else "cannot be shown"


def from_draws(draws: pd.DataFrame, at: float, level: float) -> dict[str, tuple[float, ...]]:
    """Summarise pooled draws by medians and equal-tailed intervals.

    Parameters
    ----------
    draws : pandas.DataFrame
        ``intercept, slope, residual_sd``.
    at : float
        Log dose at which the log exposure is wanted.
    level : float
        Probability of the intervals.

    Returns
    -------
    dict of str to tuple of float
        The same quantities as `from_points`.
    """
    quantiles = [0.5, (1 - level) / 2, (1 + level) / 2]
    columns = draws.assign(log_at_reference=draws["intercept"] + draws["slope"] * at)
    rows = {str(name): tuple(float(v) for v in columns[name].quantile(quantiles)) for name in columns}
    return rows | {"slope_se": (float(draws["slope"].std()), np.nan, np.nan)}

"""The power model ln(metric) = a + b ln(dose): least squares, its posterior, and which slopes are proportional."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from carkinetics.errors import ConfigError
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

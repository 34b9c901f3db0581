"""The likelihood of one observation in compiled code: the very terms of `carkinetics.model.observe`.

A prediction comes on the scale of its residual error (log level, or level). Bounds stand on the same scale. A test
holds every term equal to NumPy's, for every residual error and kind of row.
"""

from __future__ import annotations

import math

from carkinetics.model.jit import compiled
from carkinetics.model.observe import TINY

EXACT, LEFT, BETWEEN, RIGHT = 0, 1, 2, 3
# Residual errors by number. On the log scale, and for an additive error, the standard deviation is constant.
CONSTANT, STUDENT, PROPORTIONAL, COMBINED1, COMBINED2 = 0, 1, 2, 3, 4
ERROR_NUMBER = {
    "lognormal": CONSTANT, "additive": CONSTANT, "student_t": STUDENT, "proportional": PROPORTIONAL,
    "combined1": COMBINED1, "combined2": COMBINED2,
}  # fmt: skip
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_ROOT_HALF = math.sqrt(0.5)
_STEP = 1e-3  # standard deviations


@compiled()
def log_normal_cdf(z):
    """Log Phi(z), finite far into the tail."""
    if z > -25.0:
        return (
            math.log(0.5 * math.erfc(-z * _ROOT_HALF))
            if z < 5.0
            else math.log1p(-0.5 * math.erfc(z * _ROOT_HALF))
        )
    # Asymptotic series of the Mills ratio: better than 1e-13 here.
    r = 1.0 / (z * z)
    series = 1.0 - r * (1.0 - 3.0 * r * (1.0 - 5.0 * r * (1.0 - 7.0 * r * (1.0 - 9.0 * r))))
    return -0.5 * z * z - _HALF_LOG_2PI - math.log(-z) + math.log(series)


@compiled()
def log_cdf(z, student):
    """Log of the cumulative distribution of a standardised residual."""
    if not student:
        return log_normal_cdf(z)
    if z == math.inf:
        return 0.0
    root = math.sqrt(4.0 + z * z)
    one_plus_x = 4.0 / (root * root - z * root) if z < 0.0 else 1.0 + z / root
    return 2.0 * math.log(one_plus_x) + math.log(2.0 - z / root) - math.log(4.0)


@compiled()
def log_density(z, student):
    """Log density of a standardised residual."""
    if student:
        return math.log(0.375) - 2.5 * math.log1p(0.25 * z * z)
    return -0.5 * z * z - _HALF_LOG_2PI


@compiled()
def spread(number, predicted, first, second):
    """Residual standard deviation at a prediction."""
    if number <= STUDENT:
        return first
    level = max(predicted, TINY)
    if number == PROPORTIONAL:
        return first * level
    if number == COMBINED1:
        return first + second * level
    return math.sqrt(first * first + second * second * level * level)


@compiled()
def row_log_likelihood(number, kind, predicted, value, lower, above, first, second):
    """Log-likelihood of one row.

    Parameters
    ----------
    number, kind : int
        Residual error, and what the row is.
    predicted : float
        On the scale of the residual error.
    value : float
        The exact value, or the upper bound of a censored one.
    lower : float
        Lower bound of a row between two bounds, or of one above a limit.
    above : float
        What the row is conditioned on exceeding; NaN for nothing.
    first, second : float
        Residual standard deviations.

    Returns
    -------
    float
        Never NaN; minus infinity where it is impossible.
    """
    student = number == STUDENT
    sd = spread(number, predicted, first, second)
    if kind == EXACT:
        total = log_density((value - predicted) / sd, student) - math.log(sd)
    elif kind == LEFT:
        total = log_cdf((value - predicted) / sd, student)
    elif kind == RIGHT:
        total = log_cdf((predicted - lower) / sd, student)
    else:
        low, high = (lower - predicted) / sd, (value - predicted) / sd
        if low > 0.0:  # mirrored into the lower tail, where it loses no digits
            low, high = -high, -low
        top = log_cdf(high, student)
        total = top + math.log1p(-math.exp(log_cdf(low, student) - top))
    if above == above:
        total -= log_cdf((predicted - above) / sd, student)
    return total if total == total else -math.inf


@compiled()
def row_slope(number, kind, predicted, value, lower, above, first, second):
    """Slope of a row's log-likelihood in its prediction, and the (non-negative) curvature."""
    if number == CONSTANT and above != above:
        if kind == EXACT:
            return (value - predicted) / (first * first), 1.0 / (first * first)
        if kind == LEFT:
            z = (value - predicted) / first
            ratio = math.exp(log_density(z, False) - log_normal_cdf(z))
            return -ratio / first, max(ratio * (z + ratio), 0.0) / (first * first)
    # The other terms by differences; their Gauss-Newton curvature need not be exact.
    h = _STEP * spread(number, predicted, first, second)
    here = row_log_likelihood(number, kind, predicted, value, lower, above, first, second)
    up = row_log_likelihood(number, kind, predicted + h, value, lower, above, first, second)
    down = row_log_likelihood(number, kind, predicted - h, value, lower, above, first, second)
    return (up - down) / (2.0 * h), max(-(up - 2.0 * here + down) / (h * h), 0.0)


@compiled()
def rows_log_likelihood(
    first_row, last_row, predicted, output, kind, value, lower, above, numbers, sigma_at, sigma
):
    """Sum over some rows, minus infinity where one is impossible."""
    total, last, number, sd, log_sd = 0.0, -1, 0, 1.0, 0.0
    for r in range(first_row, last_row):
        k = output[r]
        if k != last:
            last, number, sd = k, numbers[k], sigma[sigma_at[k, 0]]
            log_sd = math.log(sd) + _HALF_LOG_2PI
        if number == CONSTANT and kind[r] <= LEFT and above[r] != above[r]:  # nearly all rows there are
            z = (value[r] - predicted[r]) / sd
            total += -0.5 * z * z - log_sd if kind[r] == EXACT else log_normal_cdf(z)
        else:
            second = sigma[sigma_at[k, 1]]
            total += row_log_likelihood(
                number, kind[r], predicted[r], value[r], lower[r], above[r], sd, second
            )
    return total if total == total else -math.inf

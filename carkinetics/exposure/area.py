"""Which line joins two samples, and what area lies under the curve that they make.

Conventions
-----------
``"linear-up/log-down"`` joins two samples by a straight line while the level rises, stays, or falls to
zero, and by an exponential while it falls to a level above zero. ``"linear"`` joins all samples by
straight lines. An interval keeps its rule when a window cuts it, so areas add up over windows.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from carkinetics.errors import ConfigError, DataError, did_you_mean

Floats = NDArray[np.float64]

METHODS = ("linear-up/log-down", "linear")


def checked_profile(time: ArrayLike, level: ArrayLike) -> tuple[Floats, Floats]:
    """Make arrays of times and levels, if they can be one subject's curve.

    Parameters
    ----------
    time : array_like, shape (n_obs,)
        Days since infusion.
    level : array_like, shape (n_obs,)
        Transgene level.

    Returns
    -------
    time, level : ndarray, shape (n_obs,)
        The same, as floats.

    Raises
    ------
    DataError
        If the shapes differ, times do not increase, or a level is negative or missing.
    """
    times, levels = np.asarray(time, dtype=float), np.asarray(level, dtype=float)
    if times.ndim != 1 or times.shape != levels.shape or times.size == 0:
        raise DataError(
            f"time has shape {times.shape} and level {levels.shape}; expected two equal, one-dimensional"
        )
    if not np.isfinite(times).all() or (times[1:] <= times[:-1]).any():
        raise DataError(f"times are {times.tolist()}; expected finite and strictly increasing days")
    if not np.isfinite(levels).all() or (levels < 0).any():
        raise DataError(f"levels are {levels.tolist()}; expected finite numbers of at least 0")
    return times, levels


def check_method(method: str) -> None:
    """Raise if there is no such rule.

    Parameters
    ----------
    method : str
        Name of a rule.

    Raises
    ------
    ConfigError
        If it is not one of ``METHODS``.
    """
    if method not in METHODS:
        raise ConfigError(f"method is {method!r}{did_you_mean(method, METHODS)}")


def _falls_by_log(level: Floats, method: str) -> NDArray[np.bool_]:
    """Which intervals are joined by an exponential."""
    check_method(method)
    falling = (level[1:] < level[:-1]) & (level[1:] > 0)
    return falling if method == "linear-up/log-down" else np.zeros_like(falling)


def _log_drop(before: Floats, after: Floats, by_log: NDArray[np.bool_]) -> Floats:
    """Log of before/after where an exponential joins them, else 0."""
    safe = np.where(by_log, after, 1.0)
    # log1p keeps its digits when the two levels are almost equal, where log(before / after) loses them.
    return np.log1p(np.where(by_log, (before - after) / safe, 0.0))


def interpolate(time: ArrayLike, level: ArrayLike, at: ArrayLike, *, method: str = METHODS[0]) -> Floats:
    """Level between the samples.

    Parameters
    ----------
    time : array_like, shape (n_obs,)
        Days since infusion, strictly increasing.
    level : array_like, shape (n_obs,)
        Transgene level, at least 0, none missing.
    at : array_like, shape (n_at,) or scalar
        Days within the sampled range.
    method : {"linear-up/log-down", "linear"}
        How two samples are joined.

    Returns
    -------
    ndarray, same shape as ``at``
        Level, unit of ``level``.

    Raises
    ------
    DataError
        If the arrays are no curve, or a day lies outside them.
    ConfigError
        If ``method`` is unknown.

    Examples
    --------
    >>> float(interpolate([21.0, 30.0], [5400.0, 1900.0], 28.0).round(6))
    2396.417736
    """
    times, levels = checked_profile(time, level)
    days = np.asarray(at, dtype=float)
    if days.size and not (days.min() >= times[0] and days.max() <= times[-1]):
        raise DataError(f"day {days.tolist()} is not within the sampled {times[0]:g} to {times[-1]:g} d")
    straight = np.interp(days, times, levels)
    by_log = _falls_by_log(levels, method)
    if not by_log.any():
        return np.asarray(straight)
    left = np.clip(np.searchsorted(times, days, side="right") - 1, 0, len(times) - 2)
    drop = _log_drop(levels[:-1], levels[1:], by_log)[left]
    share = (days - times[left]) / (times[left + 1] - times[left])
    return np.asarray(np.where(by_log[left], levels[left] * np.exp(-drop * share), straight))


def auc(
    time: ArrayLike,
    level: ArrayLike,
    *,
    start: float | None = None,
    end: float | None = None,
    method: str = METHODS[0],
) -> float:
    """Area under the transgene curve.

    Parameters
    ----------
    time : array_like, shape (n_obs,)
        Days since infusion, strictly increasing.
    level : array_like, shape (n_obs,)
        Transgene level, at least 0, none missing.
    start, end : float, optional
        Window in days, by default the first and the last sample. Nothing is extrapolated.
    method : {"linear-up/log-down", "linear"}
        How two samples are joined.

    Returns
    -------
    float
        Area in level × day.

    Raises
    ------
    DataError
        If the arrays are no curve, or the window reaches outside the samples.
    ConfigError
        If ``method`` is unknown.

    Notes
    -----
    Cells grow and die roughly exponentially, so on the way down the logarithmic rule is exact for one
    exponential, while the linear rule always overestimates.

    Examples
    --------
    >>> round(auc([10.0, 14.0], [21500.0, 15200.0]), 4)
    72673.2644
    >>> auc([10.0, 14.0], [21500.0, 15200.0], method="linear")
    73400.0
    """
    times, levels = checked_profile(time, level)
    start, end = float(times[0] if start is None else start), float(times[-1] if end is None else end)
    if not times[0] <= start <= end <= times[-1]:
        raise DataError(
            f"window {start:g} to {end:g} d is not within the sampled {times[0]:g} to {times[-1]:g} d"
        )
    check_method(method)
    # One by one: arrays of a dozen take NumPy three times as long, and replicated studies have thousands of subjects.
    samples = pairwise(zip(times.tolist(), levels.tolist(), strict=True))
    logarithmic = method == "linear-up/log-down"
    return math.fsum(
        _between(one, other, max(start, one[0]), min(end, other[0]), logarithmic)
        for one, other in samples
        if one[0] < end and other[0] > start
    )


def _between(
    one: tuple[float, float], other: tuple[float, float], left: float, right: float, logarithmic: bool
) -> float:
    """Area from day ``left`` to day ``right`` between two samples (day, level)."""
    (begin, before), (finish, after) = one, other
    width = finish - begin
    if logarithmic and 0 < after < before:
        # log1p keeps its digits when the two levels are almost equal, where log(before / after) loses them.
        drop = math.log1p((before - after) / after)
        peak = before * math.exp(-drop * (left - begin) / width)
        return peak * -math.expm1(-drop * (right - left) / width) / drop * width
    middle = ((left - begin) + (right - begin)) / (2 * width)
    return (before + (after - before) * middle) * (right - left)


def _first_moment(drop: Floats) -> Floats:
    """Integral of u exp(-drop u) for u from 0 to 1."""
    small = drop < 0.01
    x = np.where(small, 1.0, drop)
    series = 1 / 2 - drop / 3 + drop**2 / 8 - drop**3 / 30 + drop**4 / 144
    return np.where(small, series, (1 - (1 + x) * np.exp(-x)) / x**2)


def aumc(time: ArrayLike, level: ArrayLike, *, method: str = METHODS[0]) -> float:
    """Area under the curve of time × level, from the first to the last sample.

    Parameters
    ----------
    time : array_like, shape (n_obs,)
        Days since infusion, strictly increasing.
    level : array_like, shape (n_obs,)
        Transgene level, at least 0, none missing.
    method : {"linear-up/log-down", "linear"}
        How two samples are joined. The linear rule joins the products time × level.

    Returns
    -------
    float
        Area in level × day².

    Raises
    ------
    DataError
        If the arrays are no curve.
    ConfigError
        If ``method`` is unknown.

    Examples
    --------
    >>> aumc([0.0, 10.0], [0.0, 100.0], method="linear")
    5000.0
    """
    times, levels = checked_profile(time, level)
    by_log = _falls_by_log(levels, method)
    drop = _log_drop(levels[:-1], levels[1:], by_log)
    width, product = np.diff(times), times * levels
    linear = (product[:-1] + product[1:]) / 2 * width
    zeroth = -np.expm1(-drop) / np.where(by_log, drop, 1.0)
    falling = levels[:-1] * width * (times[:-1] * zeroth + width * _first_moment(drop))
    return float(np.where(by_log, falling, linear).sum())

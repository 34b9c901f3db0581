"""Groups of observations to compare: bins of time, strata in order, quantiles with BLQ values.

Binning rules, by name
----------------------
``nominal``   samples of one visit: times closer than about 10 % share a bin; a run of them that spans more
              than a factor of 2 is cut into bins of equal counts
``count``     up to 8 bins of about equal counts
a number      so many bins of about equal counts
a list        bin edges in days, each bin from its lower edge up to, not including, its upper one
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from carkinetics.errors import ConfigError, did_you_mean

Floats = NDArray[np.float64]
BINNINGS = ("nominal", "count")
FEWEST_IN_BIN, MOST_BINS = 5, 8
# Gap between visits and widest visit, on log(1 + day): about 10 % and a factor of 2 of the time.
GAP, WIDEST = 0.1, float(np.log(2))


def time_bins(time: ArrayLike, rule: str | int | Sequence[float] = "nominal") -> NDArray[np.intp]:
    """Bin of every observation.

    Parameters
    ----------
    time : array_like, shape (n,)
        Days since infusion.
    rule : str, int or sequence of float
        See the module.

    Returns
    -------
    ndarray of int, shape (n,)
        Numbered from 0 in order of time, without gaps.

    Raises
    ------
    ConfigError
        If the rule is unknown, the edges do not increase, or a time lies outside them.

    Examples
    --------
    >>> time_bins([7.0, 27.9, 6.8, 28.0, 14.0] * 5).tolist()[:5]
    [0, 2, 0, 2, 1]
    """
    t = np.asarray(time, dtype=float)
    if rule == "nominal":
        found = _merge_small(t, _visits(t))
    elif rule == "count":
        found = _equal_counts(t, max(min(MOST_BINS, len(t) // FEWEST_IN_BIN), 1))
    elif isinstance(rule, str):
        raise ConfigError(f"vpc: bins is {rule!r}{did_you_mean(rule, BINNINGS)}")
    elif isinstance(rule, int):
        if rule < 1:
            raise ConfigError(f"vpc: bins is {rule}; expected at least 1")
        found = _equal_counts(t, rule)
    else:
        found = _between(t, np.asarray(rule, dtype=float))
    return np.unique(found, return_inverse=True)[1].ravel()


def _visits(time: Floats) -> NDArray[np.intp]:
    x = np.log1p(np.maximum(time, 0.0))
    distinct, place = np.unique(x, return_inverse=True)
    runs = np.concatenate([[0], np.cumsum(np.diff(distinct) > GAP)])
    number = np.zeros(len(distinct))
    for run in np.unique(runs):
        inside = np.flatnonzero(runs == run)
        span = distinct[inside[-1]] - distinct[inside[0]]
        pieces = int(np.ceil(span / WIDEST)) if span > WIDEST else 1
        number[inside] = run + _equal_counts(distinct[inside], pieces) / (pieces + 1)
    return np.unique(number, return_inverse=True)[1].ravel()[place]


def _equal_counts(time: Floats, n: int) -> NDArray[np.intp]:
    inner = np.quantile(time, np.arange(1, n) / n)
    return np.searchsorted(inner, time, side="left").astype(np.intp)


def _merge_small(time: Floats, number: NDArray[np.intp]) -> NDArray[np.intp]:
    """Give bins that are too small for a percentile to their nearer neighbour."""
    merged = number.copy()
    while True:
        names, counts = np.unique(merged, return_counts=True)
        small = np.flatnonzero(counts < FEWEST_IN_BIN)
        if not len(small) or len(names) == 1:
            return merged
        centre = np.log1p([max(float(np.median(time[merged == name])), 0.0) for name in names])
        k = small[0]
        near = min(
            (i for i in (k - 1, k + 1) if 0 <= i < len(names)), key=lambda i: abs(centre[i] - centre[k])
        )
        merged[merged == names[k]] = names[near]


def _between(time: Floats, edges: Floats) -> NDArray[np.intp]:
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise ConfigError("vpc: bins must be at least two finite edges in days that increase")
    outside = (time < edges[0]) | (time >= edges[-1])
    if outside.any():
        raise ConfigError(
            f"vpc: {int(outside.sum())} observations lie outside the bins, the first on day "
            f"{time[outside][0]:g}; expected edges around day {time.min():g} to {time.max():g}"
        )
    return np.searchsorted(edges, time, side="right").astype(np.intp)


def ranked_quantile(values: Floats, probability: float) -> Floats:
    """Quantile along the last axis with −inf for BLQ values.

    Parameters
    ----------
    values : ndarray, shape (..., n)
        Levels; −inf ranks below every number.
    probability : float
        Between 0 and 1.

    Returns
    -------
    ndarray, shape (...)
        Linear between order statistics; −inf where the lower one of the two is BLQ.

    Examples
    --------
    >>> ranked_quantile(np.array([-np.inf, 10.0, 20.0]), 0.75).item()
    15.0
    """
    ordered = np.sort(values, axis=-1)
    place = probability * (values.shape[-1] - 1)
    below = int(np.floor(place))
    low, high = ordered[..., below], ordered[..., min(below + 1, values.shape[-1] - 1)]
    known = np.isfinite(low)
    step = np.where(known, high, 0.0) - np.where(known, low, 0.0)
    return np.asarray(low + (place - below) * step)


def censored_quantile(values: Floats, limits: Floats, probability: float) -> Floats:
    """Quantile along the last axis where values below limits that differ are only known to lie there.

    The distribution is the product-limit estimate for left-censored values (Kaplan-Meier, read from above). Where every
    limit is the same, or nothing is censored, the result is that of `ranked_quantile`.

    Parameters
    ----------
    values : ndarray, shape (..., n)
        Levels; −inf for one that is only known to lie below its limit.
    limits : ndarray, shape (n,) or (..., n)
        Limits of the censored ones; others do not count.
    probability : float
        Between 0 and 1.

    Returns
    -------
    ndarray, shape (...)
        Linear between quantified values, each at the middle of its mass; −inf where the estimate lies below all of them.

    References
    ----------
    .. [1] Gillespie BW et al. Epidemiology 2010;21(4 Suppl):S64-S70 (reverse Kaplan-Meier).

    Examples
    --------
    What lies below 50 may be near 1 or near 20, what lies below 0.5 is less than all of them:

    >>> level = np.array([1.0, 20.0, -np.inf, 100.0])
    >>> [round(censored_quantile(level, np.full(4, limit), 0.25).item(), 2) for limit in (50.0, 0.5)]
    [7.33, -inf]
    """
    seen = values > -np.inf
    key = np.where(seen, values, limits)
    order = np.lexsort(
        (seen, key), axis=-1
    )  # a value at a limit was quantified: it lies above what is below the limit
    seen, key = np.take_along_axis(seen, order, -1), np.take_along_axis(key, order, -1)
    n = values.shape[-1]
    rank = np.arange(n)
    kept = np.where(seen, rank / (rank + 1), 1.0)
    below = np.cumprod(kept[..., ::-1], axis=-1)[..., ::-1]
    above = np.concatenate([below[..., 1:], np.ones((*below.shape[:-1], 1))], axis=-1)
    at = np.where(
        seen, n * (below + above) / 2 - 0.5, np.nan
    )  # the place of equal masses is 0, 1, ..., n - 1
    return _at_place(key, at, probability * (n - 1), np.where(seen, below, np.inf).min(axis=-1) > 0)


def _at_place(key: Floats, at: Floats, place: float, unknown: NDArray[np.bool_]) -> Floats:
    """Interpolate between the neighbours of a place; −inf below the first one where there is mass that nobody knows."""
    last = key.shape[-1] - 1
    lower, upper = at <= place, at >= place
    # The place of the first value itself is not below it, whatever rounding makes of the two.
    missing = unknown & ~(at <= place + 1e-9).any(-1)
    low = np.where(lower.any(-1), last - np.argmax(lower[..., ::-1], axis=-1), -1)
    high = np.where(upper.any(-1), np.argmax(upper, axis=-1), -1)
    first, second = np.where(low < 0, high, low), np.where(high < 0, low, high)
    x0, x1 = (np.take_along_axis(key, i[..., None], -1)[..., 0] for i in (first, second))
    p0, p1 = (np.take_along_axis(at, i[..., None], -1)[..., 0] for i in (first, second))
    share = np.where(p1 > p0, (place - p0) / np.where(p1 > p0, p1 - p0, 1.0), 0.0)
    with np.errstate(invalid="ignore"):
        found = x0 + np.clip(share, 0.0, 1.0) * (x1 - x0)
    return np.asarray(np.where(missing | ((low < 0) & (high < 0)), -np.inf, found))


def stratum_order(names: Sequence[str]) -> list[str]:
    """Order strata: numbers by size, then words.

    Parameters
    ----------
    names : sequence of str
        Names of strata, with repetitions.

    Returns
    -------
    list of str
        Each name once.

    Examples
    --------
    >>> stratum_order(["1e+06", "3e+05", "missing", "1e+06"])
    ['3e+05', '1e+06', 'missing']
    """

    def key(name: str) -> tuple[bool, float, str]:
        try:
            return False, float(name), ""
        except ValueError:
            return True, 0.0, name

    return sorted(set(names), key=key)

"""Metrics of a predicted curve: the peak, areas, and how long it stays above the LLOQ.

Everything works on arrays of parameters (draws × subjects) at once and never on a fixed time grid: areas by
Gauss-Legendre quadrature between the curve's own kinks, the peak by comparing kinks with a refined search, the
last time above the LLOQ by bisection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carkinetics.model.solve import break_times, curve
from carkinetics.model.spec import Model

Array = NDArray[np.float64]
NODES, WEIGHTS = np.polynomial.legendre.leggauss(12)
# Days after a kink at which a segment is cut again. Each is at most twice the one before, so that in the
# segment where an exponential matters it falls by a few powers of e, which 12 nodes integrate to 1e-8 (to some
# 1e-5 across a gate narrower than a tenth of a day).
CUTS = 2.0 ** np.arange(-1, 13)
HORIZON = 7305.0  # 20 years: a level still above the LLOQ then is said to persist without end
SEARCH_POINTS, REFINED_POINTS, REFINEMENTS = 96, 17, 3


def levels(model: Model, time: Array, values: Mapping[str, Any]) -> Array:
    """Levels at ``time`` whose last axis is added to the shape of ``values``.

    Parameters
    ----------
    model : Model
        What predicts.
    time : ndarray, shape (..., n)
        Days.
    values : mapping
        Parameter values, shape (...).

    Returns
    -------
    ndarray, shape (..., n)
        Levels.
    """
    return curve(model, time, {name: np.asarray(value)[..., None] for name, value in values.items()})


def kinks(model: Model, values: Mapping[str, Any], shape: tuple[int, ...]) -> Array:
    """Times of the kinks, shape (..., n_kinks); at least the infusion."""
    found = [np.broadcast_to(np.asarray(at, dtype=float), shape) for at in break_times(model, values)]
    stacked = np.stack([np.zeros(shape), *found], axis=-1)
    return np.nan_to_num(np.clip(stacked, 0.0, HORIZON), nan=0.0)


def areas(
    model: Model, values: Mapping[str, Any], ends: Sequence[Any], *, moment: bool = False
) -> list[Array]:
    """Areas under the curve from the infusion to several ends.

    Parameters
    ----------
    model : Model
        What predicts.
    values : mapping
        Parameter values, arrays of one shape (...).
    ends : sequence of float or ndarray of shape (...)
        Ends of the windows in days.
    moment : bool
        Area under time × level instead.

    Returns
    -------
    list of ndarray, shape (...)
        One per end.
    """
    shape = np.broadcast_shapes(*(np.shape(value) for value in values.values()))
    windows = [np.broadcast_to(np.asarray(end, dtype=float), shape) for end in ends]
    bends = kinks(model, values, shape)
    needed = [cut for cut in CUTS if cut < max(float(np.max(end)) for end in windows)]
    later = bends.max(axis=-1, keepdims=True) + np.array(needed)
    cuts = np.sort(np.concatenate([bends, later, np.stack(windows, axis=-1)], axis=-1), axis=-1)
    start, width = cuts[..., :-1], np.diff(cuts, axis=-1)
    time = start[..., None] + width[..., None] * (NODES + 1) / 2
    level = levels(model, time.reshape(*shape, -1), values).reshape(time.shape)
    if moment:
        level = level * time
    piece = (level * WEIGHTS).sum(axis=-1) * width / 2
    return [np.where(cuts[..., 1:] <= end[..., None], piece, 0.0).sum(axis=-1) for end in windows]


def peak(model: Model, values: Mapping[str, Any]) -> tuple[Array, Array]:
    """Highest level and when it is reached.

    Parameters
    ----------
    model : Model
        What predicts.
    values : mapping
        Parameter values, arrays of one shape (...).

    Returns
    -------
    tuple of two ndarrays, shape (...)
        Cmax and Tmax.
    """
    shape = np.broadcast_shapes(*(np.shape(value) for value in values.values()))
    bends = kinks(model, values, shape)
    reach = np.maximum(60.0, 2 * bends.max(axis=-1, keepdims=True))
    grid = reach * np.linspace(0, 1, SEARCH_POINTS)
    step = reach / (SEARCH_POINTS - 1)
    best = _highest(model, np.concatenate([grid, bends], axis=-1), values)
    for _ in range(REFINEMENTS):
        near = best[1][..., None] + step * np.linspace(-1, 1, REFINED_POINTS)
        best = _highest(model, np.concatenate([np.maximum(near, 0), best[1][..., None]], axis=-1), values)
        step = step * 2 / (REFINED_POINTS - 1)
    return best


def _highest(model: Model, time: Array, values: Mapping[str, Any]) -> tuple[Array, Array]:
    level = levels(model, time, values)
    at = np.nan_to_num(level, nan=-np.inf).argmax(axis=-1)[..., None]
    return np.take_along_axis(level, at, -1)[..., 0], np.take_along_axis(time, at, -1)[..., 0]


def last_time_above(model: Model, values: Mapping[str, Any], limit: float, cmax: Array, tmax: Array) -> Array:
    """When the curve falls below a limit for good, after its peak.

    Parameters
    ----------
    model : Model
        What predicts; after the peak the curve must fall.
    values : mapping
        Parameter values, arrays of one shape (...).
    limit : float
        Level, such as the LLOQ.
    cmax, tmax : ndarray, shape (...)
        From `peak`.

    Returns
    -------
    ndarray, shape (...)
        Days since infusion; 0 where the peak is below the limit, infinity where the level is still above it
        after 20 years.
    """
    low, high = tmax.copy(), np.full_like(tmax, HORIZON)
    endless = levels(model, high[..., None], values)[..., 0] >= limit
    for _ in range(50):
        middle = (low + high) / 2
        above = levels(model, middle[..., None], values)[..., 0] >= limit
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.where(cmax < limit, 0.0, np.where(endless, np.inf, low))

"""Metrics of a predicted curve: the peak, areas, and how long it stays above the LLOQ.

Everything works on arrays of parameters (draws × subjects) at once and never on a fixed time grid: areas by
Gauss-Legendre quadrature between the curve's own kinks, the peak by comparing kinks with a refined search, the
last time above the LLOQ by bisection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carkinetics.model.course import Course
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
JUST_AFTER = 1e-9  # relative to 1 + day: where the level just after a jump is looked up
NOTHING = Course()  # one infusion and no measured input


def levels(
    model: Model, time: Array, values: Mapping[str, Any], course: Course = NOTHING, output: str | None = None
) -> Array:
    """Levels at ``time`` whose last axis is added to the shape of ``values``.

    Parameters
    ----------
    model : Model
        What predicts.
    time : ndarray, shape (..., n)
        Days.
    values : mapping
        Parameter values, shape (...).
    course : Course
        Infusions and measured inputs, the same for all.
    output : str, optional
        Another output than the CAR-T level.

    Returns
    -------
    ndarray, shape (..., n)
        Levels.
    """
    columns = {name: np.asarray(value)[..., None] for name, value in values.items()}
    return curve(
        model, time, columns, output, infusions=course.infusions, series=course.series, solver="compiled"
    )


def kinks(model: Model, values: Mapping[str, Any], shape: tuple[int, ...], course: Course = NOTHING) -> Array:
    """Times of the kinks, shape (..., n_kinks): the infusion, the model's breaks, later infusions and knots of inputs."""
    known = [0.0, *(day for day, _ in course.infusions if day > 0 and model.infused), *course.knots]
    found = [
        np.broadcast_to(np.asarray(at, dtype=float), shape) for at in (*known, *break_times(model, values))
    ]
    return np.nan_to_num(np.clip(np.stack(found, axis=-1), 0.0, HORIZON), nan=0.0)


def areas(
    model: Model,
    values: Mapping[str, Any],
    ends: Sequence[Any],
    *,
    moment: bool = False,
    course: Course = NOTHING,
    output: str | None = None,
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
    course : Course
        Infusions and measured inputs, the same for all.
    output : str, optional
        Another output than the CAR-T level.

    Returns
    -------
    list of ndarray, shape (...)
        One per end.
    """
    shape = np.broadcast_shapes(*(np.shape(value) for value in values.values()))
    windows = np.stack([np.broadcast_to(np.asarray(end, dtype=float), shape) for end in ends], axis=-1)
    cuts = _cuts(kinks(model, values, shape, course), windows, course)
    start, width = cuts[..., :-1], np.diff(cuts, axis=-1)
    time = start[..., None] + width[..., None] * (NODES + 1) / 2
    level = levels(model, time.reshape(*shape, -1), values, course, output).reshape(time.shape)
    if moment:
        level = level * time
    # A piece without width adds nothing, whatever the level there.
    piece = np.where(width > 0, (level * WEIGHTS).sum(axis=-1) * width / 2, 0.0)
    inside = (np.where(cuts[..., 1:] <= windows[..., k, None], piece, 0.0) for k in range(len(ends)))
    return [one.sum(axis=-1) for one in inside]


def _cuts(bends: Array, windows: Array, course: Course) -> Array:
    """Ends of the pieces that are integrated: kinks, ends of windows, and points ever farther apart after a kink."""
    longest = float(np.max(windows))
    after = bends.max(axis=-1, keepdims=True) + CUTS[longest > CUTS]
    days = [day for day, _ in course.infusions if 0 < day < longest]
    stops = sorted({0.0, *days, *course.knots[-1:]})
    between = [start + cut for start, end in pairwise(stops) for cut in CUTS if start + cut < end]
    fixed = np.broadcast_to(np.array(between), (*bends.shape[:-1], len(between)))
    cuts = np.sort(np.concatenate([bends, after, fixed, windows], axis=-1), axis=-1)
    return np.minimum(cuts, windows.max(axis=-1, keepdims=True))


def peak(model: Model, values: Mapping[str, Any], course: Course = NOTHING) -> tuple[Array, Array]:
    """Highest level and when it is reached.

    Parameters
    ----------
    model : Model
        What predicts.
    values : mapping
        Parameter values, arrays of one shape (...).
    course : Course
        Infusions and measured inputs, the same for all.

    Returns
    -------
    tuple of two ndarrays, shape (...)
        Cmax and Tmax.
    """
    shape = np.broadcast_shapes(*(np.shape(value) for value in values.values()))
    bends = _both_sides(kinks(model, values, shape, course))
    reach = np.maximum(60.0, 2 * bends.max(axis=-1, keepdims=True))
    grid = reach * np.linspace(0, 1, SEARCH_POINTS)
    step = reach / (SEARCH_POINTS - 1)
    best = _highest(model, np.concatenate([grid, bends], axis=-1), values, course)
    for _ in range(REFINEMENTS):
        near = np.maximum(best[1][..., None] + step * np.linspace(-1, 1, REFINED_POINTS), 0)
        best = _highest(model, np.concatenate([near, best[1][..., None]], axis=-1), values, course)
        step = step * 2 / (REFINED_POINTS - 1)
    return best


def _both_sides(bends: Array) -> Array:
    """Kinks, and just after them: a level jumps at an infusion, whose own sample is the one before it."""
    return np.concatenate([bends, np.where(bends > 0, bends + JUST_AFTER * (1 + bends), 0.0)], axis=-1)


def _highest(model: Model, time: Array, values: Mapping[str, Any], course: Course) -> tuple[Array, Array]:
    level = levels(model, time, values, course)
    at = np.nan_to_num(level, nan=-np.inf).argmax(axis=-1)[..., None]
    return np.take_along_axis(level, at, -1)[..., 0], np.take_along_axis(time, at, -1)[..., 0]


def last_time_above(
    model: Model,
    values: Mapping[str, Any],
    limit: float,
    cmax: Array,
    tmax: Array,
    course: Course = NOTHING,
) -> Array:
    """When the curve falls below a limit for good, after its peak.

    Parameters
    ----------
    model : Model
        What predicts. A rise above the limit that is narrower than the points of the search may be missed.
    values : mapping
        Parameter values, arrays of one shape (...).
    limit : float
        Level, such as the LLOQ.
    cmax, tmax : ndarray, shape (...)
        From `peak`.
    course : Course
        Infusions and measured inputs, the same for all.

    Returns
    -------
    ndarray, shape (...)
        Days since infusion; 0 where the peak is below the limit, infinity where the level is still above it
        after 20 years.
    """
    last = _crossing(model, values, limit, cmax, tmax, course, first=False)
    return np.where(cmax < limit, 0.0, last)


def first_time_below(
    model: Model,
    values: Mapping[str, Any],
    limit: float,
    cmax: Array,
    tmax: Array,
    course: Course = NOTHING,
) -> Array:
    """First day after the peak on which the curve is below a limit, whether or not it comes back.

    Parameters
    ----------
    model : Model
        What predicts. A dip below the limit that is narrower than the points of the search may be missed.
    values : mapping
        Parameter values, arrays of one shape (...).
    limit : float
        Level, such as the LLOQ.
    cmax, tmax : ndarray, shape (...)
        From `peak`.
    course : Course
        Infusions and measured inputs, the same for all.

    Returns
    -------
    ndarray, shape (...)
        Days since infusion; 0 where the peak is below the limit, infinity where the level is above it for 20 years.
    """
    first = _crossing(model, values, limit, cmax, tmax, course, first=True)
    return np.where(cmax < limit, 0.0, first)


def _crossing(
    model: Model,
    values: Mapping[str, Any],
    limit: float,
    cmax: Array,
    tmax: Array,
    course: Course,
    *,
    first: bool,
) -> Array:
    """The first or the last time after the peak at which the curve falls below a limit; infinity if never."""
    bends = _both_sides(kinks(model, values, np.shape(tmax), course))
    grid = tmax[..., None] + (HORIZON - tmax[..., None]) * np.linspace(0, 1, SEARCH_POINTS) ** 3
    time = np.sort(np.concatenate([np.maximum(bends, tmax[..., None]), grid], axis=-1), axis=-1)
    above = levels(model, time, values, course) >= limit
    bracket = _bracket_first if first else _bracket
    low, high = bracket(time, above)
    never = above.all(axis=-1) if first else above[..., -1]
    settled = (cmax < limit) | never  # nothing to search, and a solution to day 0 costs nothing
    low, high = np.where(settled, 0.0, low), np.where(settled, 0.0, high)
    edge = np.ones((*low.shape, 1), dtype=bool)  # above at the beginning, below at the end
    # Solving equations costs as much for one time as for many before it: then few rounds of many sections, and the last
    # one, in which the level falls exponentially to nine digits, is shared by logs.
    solved = model.level is None
    rounds, sections, cut = (2, 64, 0) if solved else (42, 2, 1)
    for _ in range(rounds):
        time = low[..., None] + (high - low)[..., None] * np.arange(sections + 1) / sections
        level = levels(model, time[..., cut : sections + 1 - cut], values, course)
        inner = level[..., 1 - cut : sections - cut] >= limit
        low, high = bracket(time, np.concatenate([edge, inner, ~edge], axis=-1))
    if solved:
        at_low, at_high = (
            np.take_along_axis(level, (time == end[..., None]).argmax(axis=-1)[..., None], -1)[..., 0]
            for end in (low, high)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.log(at_low / limit) / np.log(at_low / at_high)
        low = low + np.clip(np.nan_to_num(share, nan=0.0), 0.0, 1.0) * (high - low)
    return np.where(never, np.inf, low)


def _bracket(time: Array, above: NDArray[np.bool_]) -> tuple[Array, Array]:
    """The last time at which the level is above, the first if it never is, and the time after it."""
    last = np.where(above.any(axis=-1), above.shape[-1] - 1 - above[..., ::-1].argmax(axis=-1), 0)[..., None]
    after = np.minimum(last + 1, time.shape[-1] - 1)
    return np.take_along_axis(time, last, -1)[..., 0], np.take_along_axis(time, after, -1)[..., 0]


def _bracket_first(time: Array, above: NDArray[np.bool_]) -> tuple[Array, Array]:
    """The time before the level is first below, and that at which it is."""
    after = np.where(above.all(axis=-1), above.shape[-1] - 1, (~above).argmax(axis=-1))[..., None]
    before = np.maximum(after - 1, 0)
    return np.take_along_axis(time, before, -1)[..., 0], np.take_along_axis(time, after, -1)[..., 0]

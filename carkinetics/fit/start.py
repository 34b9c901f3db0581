"""Starting values from one subject's series: the peak, when it was, how fast the level fell.

Like a non-compartmental glance: no user guess is needed. A start is only a start, so every value is kept
within what the prior holds possible.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from carkinetics.model.spec import Model

# How far from the prior's centre a start may lie, in standard deviations of a new subject.
WIDEST = 2.5


def subject_features(
    time: NDArray[np.float64], upper: NDArray[np.float64], exact: NDArray[np.bool_]
) -> dict[str, float]:
    """Features of one series.

    Parameters
    ----------
    time : ndarray, shape (n,)
        Days since infusion, increasing.
    upper : ndarray, shape (n,)
        Value, or the limit of a BLQ one; rows without an upper limit are left aside.
    exact : ndarray of bool, shape (n,)
        Which values are quantified.

    Returns
    -------
    dict of str to float
        Those of ``peak, peak_time, fold, decline, lag`` that the series shows.
    """
    after = (time > 0) & np.isfinite(upper)
    t, y, quantified = time[after], upper[after], exact[after]
    if not len(t):
        return {}
    level = np.where(quantified, y, y / 2)
    top = int(np.argmax(level))
    found = {"peak": float(level[top])}
    if not quantified.any():
        return found
    found["peak_time"] = float(t[top])
    late = slice(top, min(top + 3, len(t)))
    if len(t[late]) >= 2:
        slope = np.polyfit(t[late] - t[top], np.log(level[late]), 1)[0]
        found["decline"] = float(max(-slope, 0.01))
    early = np.flatnonzero(quantified[:top])
    if len(early) and t[top] > t[early[0]]:
        rate = np.log(level[top] / level[early[0]]) / (t[top] - t[early[0]])
        if rate > 0:
            found["fold"] = float(np.exp(min(rate * t[top], 25.0)))
        found["lag"] = float(t[early[0]] / 2)
    return found


def starting_values(
    model: Model, time: NDArray[np.float64], upper: NDArray[np.float64], exact: NDArray[np.bool_]
) -> dict[str, float]:
    """Starting values on the free scale for one subject.

    Parameters
    ----------
    model : Model
        Whose parameters name the features they start at.
    time, upper, exact : ndarray, shape (n,)
        As in `subject_features`.

    Returns
    -------
    dict of str to float
        One per parameter that is not fixed.
    """
    features = subject_features(time, upper, exact)
    starts = {}
    for name in model.free_parameters:
        parameter = model.parameters[name]
        centre, spread = parameter.prior.location, np.hypot(parameter.prior.spread, parameter.omega or 0.0)
        value = features.get(parameter.start)
        free = centre if value is None else float(parameter.to_free(value))
        starts[name] = float(np.clip(free, centre - WIDEST * spread, centre + WIDEST * spread))
    return starts

"""How far a metric reaches beyond the last sample: what was seen, and what is only said by a model or not at all."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from carkinetics.exposure.table import Exposure, window_end

UNTIL_LOST = ("persistence", "time_to_blq")
AT_EVENT = 1e-12  # a product of shares that is one half up to rounding


def beyond(exposure: Exposure, metric: str) -> pd.Series:
    """Which values of a metric rest on time after the subject's last sample.

    Parameters
    ----------
    exposure : Exposure
        Of samples or of a fit.
    metric : str
        One of it.

    Returns
    -------
    pandas.Series of bool
        Indexed by subject. Of a curve: a window that ends later, and a day on which it is lost that comes later. Of samples only
        a persistence that no BLQ sample ended.
    """
    rows, last = exposure.rows(metric), exposure.settings.get("last_sample")
    if last is None:
        late = rows["upper"].eq(np.inf) if metric in UNTIL_LOST else pd.Series(False, index=rows.index)
        return late & rows["value"].notna()
    day, end = pd.Series(last, dtype=float).reindex(rows.index), window_end(metric)
    if end is not None:
        return (day < end) & rows["value"].notna()
    return rows["value"] > day if metric in UNTIL_LOST else pd.Series(False, index=rows.index)


def times_until_lost(exposure: Exposure, metric: str = "persistence") -> pd.DataFrame:
    """Persistence as the time to an event, censored at the last sample.

    Parameters
    ----------
    exposure : Exposure
        Of samples or of a fit.
    metric : {"persistence", "time_to_blq"}
        Which.

    Returns
    -------
    pandas.DataFrame
        Indexed by subject with a value: ``time`` (days), ``event`` (bool). Of samples the event is the first BLQ sample after the
        last quantified one, as a progression is dated by the visit that shows it; of a curve the day on which it is lost.
    """
    rows = exposure.rows(metric)
    rows = rows[rows["value"].notna()]
    last, event = exposure.settings.get("last_sample"), ~beyond(exposure, metric).loc[rows.index]
    if last is None:
        lost, seen = rows["upper"].where(np.isfinite(rows["upper"]), rows["value"]), rows["value"]
    else:
        lost, seen = rows["value"], pd.Series(last, dtype=float).reindex(rows.index)
    return pd.DataFrame({"time": lost.where(event, seen).astype(float), "event": event})


def median_time(time: ArrayLike, event: ArrayLike) -> float:
    """Kaplan-Meier median by R's rule: the middle of the step where the curve is one half.

    Parameters
    ----------
    time : array_like, shape (n,)
        To the event or to censoring.
    event : array_like of bool, shape (n,)
        Whether it came.

    Returns
    -------
    float
        Infinite where the curve stays above one half, NaN of nobody.

    Examples
    --------
    >>> median_time([1, 2, 3, 4], [1, 0, 1, 1]), median_time([1, 2, 3, 4], [1, 1, 0, 0])
    (3.0, 2.0)
    """
    when, had = np.asarray(time, float), np.asarray(event, bool)
    if not len(when):
        return np.nan
    days = np.unique(when[had])
    at_risk = (when[:, None] >= days).sum(axis=0)
    events = ((when[:, None] == days) & had[:, None]).sum(axis=0)
    curve = np.cumprod(1 - events / at_risk)
    at = np.flatnonzero(curve <= 0.5 + AT_EVENT)
    if not len(at):
        return np.inf
    first, later = at[0], days[at[0] + 1 :]
    equal = curve[first] >= 0.5 - AT_EVENT
    return float((days[first] + later[0]) / 2 if equal and len(later) else days[first])

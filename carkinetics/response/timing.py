"""An exposure that is complete only after the outcome has begun cannot have caused it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from carkinetics.errors import ConfigError, DataError
from carkinetics.exposure.table import Exposure, window_end

WAYS = (
    "Three sound ways: a landmark (landmark={day:g}: only those still free of it then, {lost} of {n} are lost), exposure up to each moment "
    "(an earlier window such as auc_0_7, or exposure that changes with time), or a joint model of kinetics and outcome"
)


class TimingError(ConfigError):
    """The analysis would explain an outcome by what came after it."""


def complete_on(exposure: Exposure, metric: str, subjects: pd.Index) -> pd.Series:
    """Day on which a metric of each subject is known.

    Parameters
    ----------
    exposure : Exposure
        Metrics by subject.
    metric : str
        For instance ``"auc_0_28"`` or ``"cmax"``.
    subjects : pandas.Index
        Whose.

    Returns
    -------
    pandas.Series
        The end of the window; Tmax for ``cmax`` and ``tmax`` where the exposure has it; infinite where nothing says when.
    """
    end = window_end(metric)
    if end is not None:
        return pd.Series(end, index=subjects)
    if metric in ("cmax", "tmax") and "tmax" in exposure.metrics:
        return exposure.rows("tmax")["value"].astype(float).reindex(subjects).fillna(np.inf)
    return pd.Series(np.inf, index=subjects)


def refuse_late_exposure(
    complete: pd.Series, onset: pd.Series, metric: str, outcome: str, landmark: float | None
) -> None:
    """Refuse an exposure that ends after the outcome of some subjects.

    Parameters
    ----------
    complete : pandas.Series
        Day on which each subject's exposure is known.
    onset : pandas.Series
        Day of each subject's outcome, or of the end of its observation; infinite for who never had it.
    metric, outcome : str
        For the message.
    landmark : float or None
        Day from which on the outcome counts; subjects with an earlier one must be gone already.

    Raises
    ------
    TimingError
        With the number of subjects and the ways that are sound.
    """
    day = float(landmark) if landmark is not None else 0.0
    late = complete > np.maximum(onset, day) if landmark is None else complete > day
    if not late.any():
        return
    last = (
        float(complete[late & np.isfinite(complete)].max()) if np.isfinite(complete[late]).any() else np.nan
    )
    known = f"day {last:g}" if np.isfinite(last) else "a day that the exposure does not tell"
    if landmark is not None:
        raise TimingError(
            f"landmark={day:g} is before {known}, on which {metric} is known; take a landmark from then on"
        )
    advised = last if np.isfinite(last) else 28.0
    ways = WAYS.format(day=advised, lost=int((onset < advised).sum()), n=len(onset))
    raise TimingError(
        f"{metric} against {outcome}: in {int(late.sum())} of {len(onset)} subjects the exposure is complete (up to {known}) only after the "
        f"outcome, or the end of observation, has come (subject {late.index[late][0]}: day {onset[late].iloc[0]:g}), so that a longer life "
        f"gives a larger exposure and not the reverse. {ways}"
    )


def at_landmark(time: pd.Series, event: pd.Series, day: float) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Time to an event counted from a landmark, for those still free of it then.

    Parameters
    ----------
    time, event : pandas.Series
        Indexed by subject.
    day : float
        The landmark.

    Returns
    -------
    time, event : pandas.Series
        Of who is left.
    lost : pandas.Series
        Reason by subject of who is not.

    Raises
    ------
    DataError
        If nobody is left.

    References
    ----------
    .. [1] Anderson JR, Cain KC, Gelber RD. J Clin Oncol 1983;1:710-719.
    """
    left = time > day
    if not left.any():
        raise DataError(f"landmark={day:g}: nobody is free of the event and followed then")
    reason = np.where(
        event[~left] == 1, f"event by the landmark, day {day:g}", f"not followed to the landmark, day {day:g}"
    )
    return time[left] - day, event[left], pd.Series(reason, index=time.index[~left], dtype=object)

"""An exposure that is complete only after the outcome has begun cannot have caused it."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from carkinetics.errors import ConfigError, DataError
from carkinetics.exposure.table import Exposure, window_end

LANDMARK = "a landmark (landmark={day:.3g}: only those still free of it then, {lost} of {n} are lost)"
EARLIER = "exposure up to each moment (an earlier window such as auc_0_7, or exposure that changes with time)"
JOINT = "a joint model of kinetics and outcome (fit_joint)"
_WORDS = re.compile(r"[^\W\d]\w*")
_GRADE = re.compile(r"_(max_)?(grade|onset)$|_grade_max$")


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


def onset_column(outcome: str, subjects: pd.DataFrame) -> str:
    """The column with the day of an outcome, by its name.

    Parameters
    ----------
    outcome : str
        Such as ``"crs_grade >= 3"``.
    subjects : pandas.DataFrame
        Whose columns.

    Returns
    -------
    str
        ``crs_day`` or ``crs_onset`` for an outcome over ``crs`` or ``crs_grade``; empty where there is none.
    """
    columns = [str(column) for column in subjects.columns]
    for word in _WORDS.findall(outcome):
        if word in columns:
            stem = _GRADE.sub("", word)
            for name in (f"{stem}_day", f"{stem}_onset"):
                if name in columns and name != word:
                    return name
    return ""


def refuse_late_exposure(complete: pd.Series, onset: pd.Series, metric: str, outcome: str) -> None:
    """Refuse an exposure that is complete only after the onset of a graded outcome of some subjects.

    Parameters
    ----------
    complete : pandas.Series
        Day on which each subject's exposure is known.
    onset : pandas.Series
        Day of each subject's outcome; infinite for who did not have it.
    metric, outcome : str
        For the message.

    Raises
    ------
    TimingError
        With the number of subjects and the ways that are sound.
    """
    late = complete > onset
    if late.any():
        raise TimingError(
            f"{metric} against {outcome}: in {int(late.sum())} of the {int(np.isfinite(onset).sum())} subjects with the outcome it began "
            f"before the exposure was complete{_example(complete, onset, late)}, and what came later cannot have caused it. Sound are {EARLIER}, "
            f"or {JOINT}"
        )


def refuse_late_window(
    complete: pd.Series, time: pd.Series, metric: str, outcome: str, landmark: float | None
) -> None:
    """Refuse an exposure that is complete only after the event, or the end of observation, of some subjects.

    Parameters
    ----------
    complete : pandas.Series
        Day on which each subject's exposure is known.
    time : pandas.Series
        Day of each subject's event, or of the end of its observation.
    metric, outcome : str
        For the message.
    landmark : float or None
        Day from which on events count.

    Raises
    ------
    TimingError
        With the number of subjects and the ways that are sound.
    """
    late = complete > (time if landmark is None else landmark)
    if not late.any():
        return
    known = complete[late & np.isfinite(complete)]
    last = float(known.max()) if len(known) else np.nan
    if landmark is not None:
        until = (
            f"day {last:.3g}, on which {metric} is known in all"
            if len(known)
            else f"a day by which {metric} is known"
        )
        raise TimingError(f"landmark={landmark:g} is before {until}; take a landmark from then on")
    advised = last if len(known) else 28.0
    ways = LANDMARK.format(day=advised, lost=int((time < advised).sum()), n=len(time))
    raise TimingError(
        f"{metric} against {outcome}: in {int(late.sum())} of {len(time)} subjects the event, or the end of observation, came before the "
        f"exposure was complete{_example(complete, time, late)}, so that a longer life gives a larger exposure and not the reverse. Three sound ways: {ways}, "
        f"{EARLIER}, or {JOINT}"
    )


def _example(complete: pd.Series, time: pd.Series, late: pd.Series) -> str:
    subject = late.index[late][0]
    if not np.isfinite(complete[subject]):
        return f" (subject {subject}: day {time[subject]:g}; the exposure does not tell when it is complete)"
    return f" (subject {subject}: day {time[subject]:g}, complete on day {complete[subject]:.3g})"


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

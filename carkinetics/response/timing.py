"""An exposure that is complete only after the outcome has begun cannot have caused it."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from carkinetics.dataset.subjects import column_name
from carkinetics.dataset.table import Dataset
from carkinetics.errors import ConfigError, DataError
from carkinetics.exposure.table import Exposure, window_end

LANDMARK = "a landmark (landmark={day:.3g}: only those still free of it then, {lost} of {n} are lost)"
EARLIER = "exposure up to each moment (an earlier window such as auc_0_7, or exposure that changes with time)"
JOINT = "a joint model of kinetics and outcome (fit_joint)"
_WORDS = re.compile(r"[^\W\d]\w*")
_GRADE = re.compile(r"_(max_)?(grade|onset)$|_grade_max$")
AS_TIME = "the onset as a time (antibody_effect: a loss that begins then, at once or smoothly; infinite where none came)"
CHANGING = "a covariate that changes at the onset"


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


def with_event_days(subjects: pd.DataFrame, data: Dataset) -> pd.DataFrame:
    """Subjects with the first day of every event of the data, which reading has taken out of their columns.

    Parameters
    ----------
    subjects : pandas.DataFrame
        Indexed by subject.
    data : Dataset
        Whose events.

    Returns
    -------
    pandas.DataFrame
        With a column ``crs_day`` for an event ``crs``, unless there is one: days since infusion, missing for who had none.
    """
    first = data.events.groupby(["event", "subject"])["time"].min()
    days = {f"{column_name(str(name))}_day": first[name] for name in data.events["event"].unique()}
    return subjects.assign(
        **{day: times.reindex(subjects.index) for day, times in days.items() if day not in subjects}
    )


def onset_column(outcome: str, subjects: pd.DataFrame) -> str:
    """The column with the day of an outcome, by its name.

    Parameters
    ----------
    outcome : str
        Such as ``"crs_grade >= 3"``.
    subjects : pandas.DataFrame
        Whose columns; `with_event_days` for events that are no columns.

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


def refuse_ever_status(status: pd.Series, what: str, outcome: str) -> None:
    """Refuse a mark that says whether something ever happened to a subject, where the day is needed.

    Parameters
    ----------
    status : pandas.Series
        By subject: days pass; truth values, 0 and 1 alone, and words are refused.
    what, outcome : str
        For the message, such as ``"antibodies"`` and ``"persistence"``.

    Raises
    ------
    TimingError
        With the reason and the ways that are sound.

    Notes
    -----
    Immortal time: who was ever positive was followed at least until then, so that the group begins with the best part of its
    own outcome.

    References
    ----------
    .. [1] Suissa S. Am J Epidemiol 2008;167:492-499.

    Examples
    --------
    >>> refuse_ever_status(pd.Series([14.0, float("inf")]), "antibodies", "persistence")
    >>> refuse_ever_status(pd.Series(["induced", "negative"]), "antibodies", "persistence")
    Traceback (most recent call last):
        ...
    carkinetics.response.timing.TimingError: antibodies against persistence: 'induced' says whether ...
    """
    known = status.dropna()
    words = known[[isinstance(value, str | bool | np.bool_) for value in known]]
    if words.empty and len(known) > 1 and known.isin([0, 1]).all():
        words = known
    if len(words):
        raise TimingError(
            f"{what} against {outcome}: {words.tolist()[0]!r} says whether {what} ever came and not when. Whoever was ever positive had to be "
            "followed until then, so that time is credited to the group in which nothing could happen (immortal time), and longer follow-up "
            f"alone makes more subjects positive. Three sound ways: {AS_TIME}, {CHANGING}, or a landmark (status as known on one day, and only "
            "those still followed then)"
        )

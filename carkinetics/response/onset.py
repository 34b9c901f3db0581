"""When an event began, against the subject's own peak of expansion.

A toxicity that begins before the peak cannot have been caused by the peak: where many do, Cmax and later areas are no
explanation, and the level up to each day may be one. Tmax is that of the fitted curve, in every posterior draw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from carkinetics.dataset.table import Dataset
from carkinetics.errors import ConfigError, DataError, did_you_mean
from carkinetics.exposure.curve_metrics import peak
from carkinetics.fit.course import subject_courses
from carkinetics.fit.inputs import known_inputs
from carkinetics.fit.measured import fitted_rows
from carkinetics.fit.predictive import individual_parameters, subject_levels
from carkinetics.fit.result import INTERVAL, Fit
from carkinetics.response.analysis_words import counted
from carkinetics.response.proportion import binomial_interval
from carkinetics.response.question import checked_label
from carkinetics.response.timing import with_event_days

ONSET_COLUMNS = (
    "subject",
    "onset",
    "grade",
    "level",
    "tmax",
    "lower",
    "upper",
    "before",
    "probability_before",
)
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class OnsetTiming:
    """Onsets of an event against the fitted curves of the subjects who had it.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per subject with an onset: ``subject, onset`` (day), ``grade, level`` (of the curve on that day), ``tmax`` with
        its 90 % interval ``lower, upper``, whether the onset is ``before`` the median Tmax, and ``probability_before``.
    excluded : pandas.DataFrame
        ``subject, reason``: who had an onset and is not in the table.
    n, before : int
        Number of subjects in the table, and of those with the onset before their own Tmax.
    statement : str
        The share as a sentence, with its interval.
    settings : dict
        Columns, interval, number of draws, seed.
    """

    table: pd.DataFrame
    excluded: pd.DataFrame
    n: int
    before: int
    statement: str
    settings: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<OnsetTiming: {onset_name(self.settings)}, {self.before} of {self.n} before their Tmax>"


def onset_timing(
    fit: Fit,
    data: Dataset,
    onset: str = "crs_day",
    grade: str | None = "crs_grade",
    *,
    label: str = "",
    n_draws: int | None = 400,
    seed: int = 1,
) -> OnsetTiming:
    """Lay the onset of an event beside each subject's own Tmax.

    Parameters
    ----------
    fit : Fit
        Hierarchical, or individual (no interval of Tmax).
    data : Dataset
        Whose subjects carry the onset.
    onset : str
        Column of ``data.subjects``: day since infusion; empty without the event. ``crs_day`` also for an event ``crs`` of the data.
    grade : str or None
        Column with the grade; None if there is none.
    label : str
        What the event is called in sentences and figures, such as ``"CRS"``; the column of the onset if not given.
    n_draws : int or None
        Number of posterior draws; None for all.
    seed : int
        Seed of the choice of draws.

    Returns
    -------
    OnsetTiming
        Onset, Tmax and level by subject, and the share of onsets before the peak.

    Raises
    ------
    ConfigError
        If there is no such column, or the label is no text.
    DataError
        If an onset is not a day from 0 on, or nobody can be shown.
    """
    called = checked_label(label)
    day, grades = _numbers(data, onset), _numbers(data, grade) if grade else None
    negative = day[day < 0]
    if len(negative):
        raise DataError(
            f"{onset} of subject {negative.index[0]} is {negative.iloc[0]:g}; expected a day since infusion, from 0 on"
        )
    values = individual_parameters(fit, n_draws, seed)
    had = day.dropna()
    reasons = pd.Series([_why_not(fit, values, subject) for subject in had.index], had.index, dtype=object)
    shown = had[reasons == ""]
    if shown.empty:
        raise DataError(
            f"{onset}: none of the {len(had)} subjects with an onset has a fitted curve; are fit and data of the same study?"
        )
    table = _table(fit, values, shown, None if grades is None else grades.reindex(shown.index))
    left_out = reasons[reasons != ""]
    excluded = pd.DataFrame({"subject": left_out.index.astype(str), "reason": left_out.to_numpy()})
    n, before = len(table), int(table["before"].sum())
    drawn = len(next(iter(values.values())))
    settings = {
        "onset": onset, "label": called or onset, "grade": grade or "", "model": fit.model.name, "n_draws": drawn, "seed": seed,
        "interval": f"{INTERVAL:.0%} equal-tailed" if drawn > 1 else "none",
    }  # fmt: skip
    return OnsetTiming(
        table, excluded, n, before, _statement(onset_name(settings), before, n, len(excluded)), settings
    )


def onset_name(settings: Mapping[str, Any]) -> str:
    """What begins a sentence on an onset.

    Parameters
    ----------
    settings : mapping
        Of an `OnsetTiming`.

    Returns
    -------
    str
        ``Onset of CRS``, where CRS is the label; the column if none was given.
    """
    onset, label = str(settings["onset"]), str(settings["label"])
    return onset if label == onset else f"Onset of {label}"


def _table(fit: Fit, values: Mapping[str, Floats], onset: pd.Series, grade: pd.Series | None) -> pd.DataFrame:
    """Onset, level and Tmax of the subjects with an onset and a curve."""
    index = np.array([fit.data.subject_ids.index(subject) for subject in onset.index])
    day = onset.to_numpy()
    level = np.median(subject_levels(fit.model, fit.data, index, day, values), axis=0)
    tmax = _tmax(fit, values, index)
    tail = (1 - INTERVAL) / 2
    low, middle, high = np.quantile(tmax, [tail, 0.5, 1 - tail], axis=0)
    drawn = len(tmax) > 1
    return pd.DataFrame(
        {
            "subject": onset.index,
            "onset": day,
            "grade": np.nan if grade is None else grade.to_numpy(),
            "level": level,
            "tmax": middle,
            "lower": low if drawn else np.nan,
            "upper": high if drawn else np.nan,
            "before": day < middle,
            "probability_before": (day < tmax).mean(axis=0),
        },
        columns=list(ONSET_COLUMNS),
    )


def _numbers(data: Dataset, column: str) -> pd.Series:
    """A column of the subjects as numbers."""
    subjects = with_event_days(data.subjects.set_index("subject"), data)
    known = [str(name) for name in subjects.columns]
    if column not in known:
        raise ConfigError(f"{column!r} is not a column of subjects{did_you_mean(column, known)}")
    given = subjects[column]
    numbers = pd.to_numeric(given, errors="coerce").astype(float)
    wrong = given[(numbers.isna() & given.notna()) | np.isinf(numbers)]
    if len(wrong):
        raise DataError(f"{column} of subject {wrong.index[0]} is {wrong.iloc[0]!r}; expected a number")
    return numbers


def _why_not(fit: Fit, values: Mapping[str, Floats], subject: str) -> str:
    """Why a subject has no fitted curve, or nothing."""
    if subject not in fit.data.subject_ids:
        return "not in the fit"
    if not (fitted_rows(fit)["subject"] == subject).any():
        return "no observation in the fit"
    i = fit.data.subject_ids.index(subject)
    return "" if all(np.isfinite(value[:, i]).all() for value in values.values()) else "no estimate"


def _tmax(fit: Fit, values: Mapping[str, Floats], index: NDArray[np.intp]) -> Floats:
    """Day of the peak, shape (n_draws, n)."""
    inputs, courses = known_inputs(fit.model, fit.data), subject_courses(fit.model, fit.data)
    found = []
    for i in index:
        own = {name: np.ascontiguousarray(value[:, i]) for name, value in values.items()}
        own |= {name: np.full(len(next(iter(own.values()))), value[i]) for name, value in inputs.items()}
        found.append(peak(fit.model, own, courses[i])[1])
    return np.stack(found, axis=1)


def _statement(onset: str, before: int, n: int, excluded: int) -> str:
    interval = binomial_interval(before, n)
    left = (
        f" {counted(excluded, 'subject')} with an onset {'has' if excluded == 1 else 'have'} no fitted curve."
        if excluded
        else ""
    )
    return (
        f"{onset} is before the subject's own Tmax in {before} of {n} subjects ({before / n:.0%}, 95% CI "
        f"{interval[0]:.0%} to {interval[1]:.0%}).{left}"
    )

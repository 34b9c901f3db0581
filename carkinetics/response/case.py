"""Who is analysed, with which numbers: what every exposure-response analysis begins with, and where it is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from carkinetics.dataset.table import Dataset
from carkinetics.errors import ConfigError, DataError, did_you_mean
from carkinetics.exposure.area import Floats
from carkinetics.exposure.course import ExposureCourse
from carkinetics.exposure.table import Exposure, metric_unit
from carkinetics.fit.covariate import covariate_frame, covariate_values
from carkinetics.response.inputs import usable_course, usable_exposure
from carkinetics.response.outcome import parse_outcome
from carkinetics.response.question import Question
from carkinetics.response.timing import (
    at_landmark,
    complete_on,
    onset_column,
    refuse_ever_status,
    refuse_late_exposure,
    refuse_late_window,
    with_event_days,
)

_COMEDICATION = re.compile(r"toci|steroid|dexameth|anakinra|siltuximab|vasopressor")
_ANTIBODIES = re.compile(r"ada(_|$)|anti_?drug|antibod")
_WORDS = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, eq=False)
class Case:
    """The subjects that can be analysed, in one order.

    Parameters
    ----------
    question : Question
        What was asked.
    answer : pandas.DataFrame
        Indexed by subject: ``outcome``, or the columns of duration (counted from the landmark) and event.
    points : ndarray, shape (n,)
        Exposure of each subject at point values, on the predictor's scale.
    samples : ndarray, shape (n_draws, n), or None
        Posterior draws of it.
    others : pandas.DataFrame
        What is adjusted for, indexed by subject.
    excluded : pandas.DataFrame
        ``subject, reason`` of everybody else.
    limits : ndarray, shape (n, 2)
        Interval of the exposures, in their unit.
    unit : str
        Of the exposure.
    timing_checked : bool
        Whether the days of exposure and outcome were compared.
    on_the_path : tuple of str
        What is adjusted for and is given because of the outcome: comedication.
    course : ExposureCourse or None
        Exposure that changes with time, of these subjects; ``points`` and ``samples`` are then its highest values.
    """

    question: Question
    answer: pd.DataFrame
    points: Floats
    samples: Floats | None
    others: pd.DataFrame
    excluded: pd.DataFrame
    limits: Floats
    unit: str
    timing_checked: bool = False
    on_the_path: tuple[str, ...] = ()
    course: ExposureCourse | None = None

    def __len__(self) -> int:
        return len(self.answer)

    def chosen(self, draws: int, rng: np.random.Generator) -> tuple[Floats, NDArray[np.int64] | None]:
        """Exposures to use, and which draws they are.

        Parameters
        ----------
        draws : int
            How many, of those that there are.
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        exposures : ndarray, shape (n_chosen, n)
            Posterior draws; the point values alone where there are none.
        which : ndarray of int or None
            Rows of ``samples``.
        """
        if self.samples is None:
            return self.points[None], None
        rows = np.sort(rng.choice(len(self.samples), size=min(draws, len(self.samples)), replace=False))
        return self.samples[rows], rows


def pose(
    exposure: Exposure | ExposureCourse,
    data: Dataset,
    question: Question,
    *,
    fewest: int,
    timing: bool = True,
    moving: bool = False,
) -> Case:
    """Bring a question to a study: who can be analysed, with what; refuse an exposure that came after the outcome.

    Parameters
    ----------
    exposure : Exposure or ExposureCourse
        Metrics by subject, or exposure that changes with time.
    data : Dataset
        Outcome and adjustment, in the columns of its subjects.
    question : Question
        What is asked.
    fewest : int
        Subjects that the analysis needs.
    timing : bool
        Whether an exposure that came after the outcome is refused; not where it is a latent property of a subject, as in a joint model.
    moving : bool
        Whether exposure may change with time.

    Returns
    -------
    Case
        Numbers.

    Raises
    ------
    TimingError
        If the exposure is complete only after the outcome.
    ConfigError, DataError
        If columns are missing or make no sense, or too few subjects are left.
    """
    if isinstance(exposure, ExposureCourse):
        _check_course(question, moving)
    elif not isinstance(exposure, Exposure):
        raise ConfigError(
            f"exposure is a {type(exposure).__name__}; expected exposures, from exposure_from or nca"
        )
    subjects = covariate_frame(data).set_index(pd.Index(data.subject_ids, name="subject"), drop=False)
    subjects = with_event_days(subjects, data)
    answer = _answer(subjects, question)
    reasons = _reasons(subjects, answer, question)
    _refuse_ever(subjects, question)
    if question.landmark is not None:
        known = reasons == ""
        rows = answer[known]
        _, _, lost = at_landmark(rows[question.duration], rows[question.event], question.landmark)
        reasons.loc[lost.index] = lost
    metric, log = question.metric, question.log
    if isinstance(exposure, ExposureCourse):
        course, excluded = usable_course(exposure, metric, reasons)
        case = _moving(course, metric)
    else:
        values, samples, excluded = usable_exposure(exposure, metric, reasons, positive=log)
        limits = exposure.rows(metric).loc[values.index, ["lower", "upper"]].to_numpy(dtype=float)
        case = Case(question, answer.loc[values.index], values.to_numpy(), samples, pd.DataFrame(), excluded, limits, exposure.unit(metric))  # fmt: skip
    kept = case.answer.index
    if len(kept) < fewest:
        raise DataError(
            f"{question.label} on {metric}: {len(kept)} subjects have both; expected at least {fewest}"
        )
    others = {text: covariate_values(subjects.loc[kept], text, "adjust") for text in question.adjust}
    answer = answer.loc[kept]
    checked = isinstance(exposure, ExposureCourse)
    if timing and isinstance(exposure, Exposure):
        checked = _check_timing(exposure, answer, subjects, question)
    if question.landmark is not None:
        answer = answer.assign(**{question.duration: answer[question.duration] - question.landmark})
    points, samples = case.points, case.samples
    if log:
        points, samples = np.log(points), None if samples is None else np.log(samples)
    return replace(
        case, question=question, answer=answer, excluded=excluded, others=pd.DataFrame(others, index=kept), points=points, samples=samples, timing_checked=checked,
        on_the_path=_comedication(data, question),
    )  # fmt: skip


def _moving(course: ExposureCourse, metric: str) -> Case:
    """A course as a case: its highest value stands for the exposure where one number is needed."""
    highest = course.values(metric).max(axis=-1)
    frame = pd.DataFrame(index=pd.Index(course.subject_ids, name="subject"))
    unit = metric_unit("auc_last" if metric == "auc" else "cmax", course.unit)
    limits = np.quantile(highest, [0.05, 0.95], axis=0).T
    return Case(
        Question(),
        frame,
        np.median(highest, axis=0),
        highest,
        frame,
        pd.DataFrame(),
        limits,
        unit,
        course=course,
    )


def _answer(subjects: pd.DataFrame, question: Question) -> pd.DataFrame:
    outcome = question.outcome.strip()
    if outcome and outcome not in subjects:
        return pd.DataFrame({"outcome": parse_outcome(outcome, subjects)})
    for name in [outcome] if outcome else [question.duration, question.event]:
        _expect(subjects, name)
    if outcome:
        return pd.DataFrame({"outcome": subjects[outcome]})
    names = (question.duration, question.event)
    return pd.DataFrame({name: numeric(subjects, name) for name in names})


def numeric(subjects: pd.DataFrame, name: str) -> pd.Series:
    """A column of subjects as numbers.

    Parameters
    ----------
    subjects : pandas.DataFrame
        Indexed by subject.
    name : str
        Of the column.

    Returns
    -------
    pandas.Series
        Missing where it is.

    Raises
    ------
    DataError
        If there is no such column, or it holds something else: says whose.
    """
    _expect(subjects, name)
    column = subjects[name]
    found = pd.to_numeric(column, errors="coerce").astype(float)
    wrong = found.isna() & column.notna()
    if wrong.any():
        raise DataError(f"subject {column.index[wrong][0]}: {name} is {column[wrong].iloc[0]!r}; expected a number")  # fmt: skip
    return found


def _check_course(question: Question, moving: bool) -> None:
    if not moving or question.outcome:
        raise ConfigError(
            "exposure that changes with time goes with fit_event, or with fit_joint and a duration; this analysis needs one number per subject"
        )
    if question.landmark is not None:
        raise ConfigError(
            "landmark: exposure that changes with time needs none; it never looks into the future"
        )


def _expect(subjects: pd.DataFrame, name: str) -> None:
    if name not in subjects:
        known = [str(column) for column in subjects.columns]
        raise DataError(f"subjects has no column {name!r}{did_you_mean(name, known)}")


def _reasons(subjects: pd.DataFrame, answer: pd.DataFrame, question: Question) -> pd.Series:
    """Why a subject cannot be analysed, apart from its exposure; empty if it can."""
    reasons = pd.Series("", index=subjects.index, dtype=object)
    for name, column in answer.items():
        words = f"outcome {question.outcome!r}" if question.outcome else str(name)
        reasons[column.isna() & (reasons == "")] = f"{words} is missing"
    for text in question.adjust:
        for name in {*_WORDS.findall(text)} & {str(column) for column in subjects.columns}:
            reasons[subjects[name].isna() & (reasons == "")] = f"{name}, to adjust for, is missing"
    return reasons


def _refuse_ever(subjects: pd.DataFrame, question: Question) -> None:
    """Refuse to adjust the time to an event for whether antibodies ever came."""
    for text in question.adjust if question.duration else ():
        for name in _WORDS.findall(text):
            if name in subjects and _ANTIBODIES.match(name.lower()):
                refuse_ever_status(subjects[name], name, question.label)


def _check_timing(
    exposure: Exposure, answer: pd.DataFrame, subjects: pd.DataFrame, question: Question
) -> bool:
    """Refuse what came too late; whether there were days to compare."""
    complete, metric = complete_on(exposure, question.metric, answer.index), question.metric
    if question.duration:
        time = answer[question.duration].astype(float)
        refuse_late_window(complete, time, metric, question.duration, question.landmark)
        return True
    onset = onset_column(question.outcome, subjects) if question.onset is None else question.onset
    if not onset:
        return False
    days, had = numeric(subjects, onset).loc[answer.index], _had(answer["outcome"])
    unknown = days.isna() & had
    if unknown.any():
        raise DataError(
            f"subject {unknown.index[unknown][0]}: {question.outcome} without a day in {onset} ({int(unknown.sum())} of {int(had.sum())} "
            "with the outcome); fill them in, or onset='' does not check"
        )
    refuse_late_exposure(complete, days.where(had, np.inf), metric, question.outcome)
    return True


def _had(outcome: pd.Series) -> pd.Series:
    """Who had the outcome, or more than the lowest grade: the onset of one that does not count is none."""
    if isinstance(outcome.dtype, pd.CategoricalDtype):
        codes = pd.Series(outcome.cat.codes, index=outcome.index)
        return codes > codes.min()
    try:
        return outcome.astype(float) > 0
    except (TypeError, ValueError):
        return pd.Series(True, index=outcome.index)


def _comedication(data: Dataset, question: Question) -> tuple[str, ...]:
    """Adjusted for, and an event of the data after the infusion, or named like what treats CRS."""
    after = {str(name).lower() for name in data.events.loc[data.events["time"] > 0, "event"]}
    words = {word for text in question.adjust for word in _WORDS.findall(text)}
    return tuple(sorted(word for word in words if word.lower() in after or _COMEDICATION.match(word.lower())))

"""How the hazard of an event follows exposure: Bayesian, on posterior exposures, with a Weibull or a piecewise hazard.

Exposure is a metric that is complete before the events that count, or one that changes with time (`carkinetics.exposure_course`):
then the hazard of a day follows what a subject has had by its beginning. Draws of exposure are pooled as in
`carkinetics.fit_grade`; priors: `carkinetics.response.bayes`. A hazard ratio is that of one cause: a competing event censors.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from carkinetics.dataset.table import Dataset
from carkinetics.errors import ConfigError, DataError, did_you_mean
from carkinetics.exposure.area import Floats
from carkinetics.exposure.course import ExposureCourse
from carkinetics.exposure.metric_name import metric_name
from carkinetics.exposure.table import Exposure
from carkinetics.response.analysis_words import analysis_name, event_counts, left_out, outcome_name
from carkinetics.response.bayes import Regression, Scale
from carkinetics.response.case import Case, numeric, pose
from carkinetics.response.coefficients import coefficient_rows, prior_words
from carkinetics.response.family import Piecewise, Weibull
from carkinetics.response.grade import refuse_settings
from carkinetics.response.kind import regression_of
from carkinetics.response.outcome import parse_outcome
from carkinetics.response.pooled import PooledDraws, pooled_draws
from carkinetics.response.question import Question
from carkinetics.response.survival import times_and_events
from carkinetics.response.timing import with_event_days

MODELS = {
    "weibull": "proportional hazards (Weibull)", "piecewise": "proportional hazards (piecewise constant)",
}  # fmt: skip
BASELINES = tuple(MODELS)
MINIMUM_SUBJECTS = 5
EVENTS_PER_PIECE, MOST_PIECES = 5, 4
SHOWN = (0.25, 0.75)  # quantiles of exposure whose survival is drawn
GRID_POINTS = 101


@dataclass(frozen=True, eq=False)
class EventModel:
    """Regression of the time to an event on exposure.

    Parameters
    ----------
    table : pandas.DataFrame
        ``parameter, value, lower, upper, unit``: the baseline hazard, ``slope``, ``hazard_ratio_per_doubling`` (``..._per_sd`` for the
        metric itself), what is adjusted for; ``naive, naive_lower, naive_upper`` of the regression on point values.
    draws : pandas.DataFrame
        ``exposure_draw``, coefficients: pooled posterior draws.
    curve : pandas.DataFrame
        ``day`` (from the landmark), ``quantile`` and ``exposure`` (of which subjects), ``median, lower, upper``: probability of no event
        at the lower and upper quartile of exposure, at the means of what is adjusted for. Empty where exposure changes with time.
    observed : pandas.DataFrame
        ``subject, exposure, lower, upper, duration, event``: who was analysed.
    n, events : int
        Subjects and events.
    excluded : pandas.DataFrame
        ``subject, reason``: who is not in the analysis.
    statement : str
        The result as a sentence.
    settings : dict
        What was asked.
    """

    table: pd.DataFrame
    draws: pd.DataFrame
    curve: pd.DataFrame
    observed: pd.DataFrame
    n: int
    events: int
    excluded: pd.DataFrame
    statement: str
    settings: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<EventModel: {analysis_name(self.settings)}, {event_counts(self.events, self.n)}>"


def fit_event(
    exposure: Exposure | ExposureCourse,
    data: Dataset,
    *,
    duration: str = "",
    event: str = "",
    outcome: str = "",
    onset: str = "",
    window: float = 28.0,
    on: str = "log(cmax)",
    label: str = "",
    adjust: str | Iterable[str] = (),
    landmark: float | None = None,
    baseline: str = "weibull",
    seed: int = 0,
    draws: int = 200,
    interval: float = 0.90,
    prior_slope_sd: float = 2.5,
) -> EventModel:
    """Fit a proportional-hazards model of the time to an event on exposure.

    Parameters
    ----------
    exposure : Exposure or ExposureCourse
        Metrics by subject, or exposure that changes with time.
    data : Dataset
        Times, events and what to adjust for, in columns of ``data.subjects``.
    duration, event : str
        Columns with the days from infusion to the event or to censoring, and 1 or 0 for which.
    outcome, onset : str
        Instead of ``event``: a comparison such as ``"crs_grade >= 2"`` and the column with the day it began. Who did not have it is
        censored at the end of the window, or of ``duration`` where that is given and shorter.
    window : float
        Days in which an outcome counts.
    on : str
        A metric or ``"log(metric)"``; of a course ``"log(level)"`` or ``"log(auc)"``, the area so far.
    label : str
        What the event is called in sentences, tables and figures, such as ``"progression or death"``; the expression if not given.
    adjust : str or iterable of str
        Columns or texts such as ``"log(base_sum)"``.
    landmark : float, optional
        Day from which on events count; who had one earlier, or was not followed so long, is left out, and said.
    baseline : {"weibull", "piecewise"}
        Hazard over time; ``"piecewise"`` is constant between quantiles of the event times, with 5 events or more in each piece.
    seed : int
        Seed of everything random.
    draws : int
        Number of exposure draws to use, of those that there are.
    interval : float
        Probability of the equal-tailed intervals.
    prior_slope_sd : float
        Standard deviation of the normal prior of slopes, on predictors scaled to standard deviation 0.5.

    Returns
    -------
    EventModel
        Coefficients, survival curves and sentence; subjects left out, with reasons.

    Raises
    ------
    TimingError
        If the exposure of some is complete only after their event.
    ConfigError
        If arguments make no sense or do not go together.
    DataError
        If columns are missing or make no sense, fewer than 5 subjects are left, or none had the event.

    References
    ----------
    .. [1] Ibrahim JG, Chen MH, Sinha D. Bayesian survival analysis. Springer 2001, chapters 2 and 3.
    """
    refuse_settings(interval, draws, seed, prior_slope_sd, 1.0)
    if baseline not in BASELINES:
        raise ConfigError(f"baseline is {baseline!r}{did_you_mean(baseline, BASELINES)}")
    if outcome.strip() and not event:
        data, duration, event = _as_event(data, outcome, onset, window, duration)
    elif outcome or onset:
        raise ConfigError("give either duration and event, or outcome and onset")
    question = Question.of(
        duration=duration, event=event, on=on, label=label, adjust=adjust, landmark=landmark
    )
    case = pose(exposure, data, question, fewest=MINIMUM_SUBJECTS, moving=True)
    rows = rows_at_risk(case)
    regression = event_regression(case, rows, baseline, prior_slope_sd)
    rng = np.random.default_rng(seed)
    chosen, which = case.chosen(draws, rng)
    chosen, points = chosen[:, rows.subject], case.points[rows.subject]
    if case.course is not None and which is not None:
        chosen = rows.exposures(case, which)
        points = np.median(chosen, axis=0)
        regression = dataclasses.replace(regression, exposure=Scale.of(chosen))
    pooled = pooled_draws(regression, chosen, points, rng)
    given = "point values; their uncertainty is not carried"
    if which is not None:
        given = f"posterior draws, {len(which)} of {len(case.samples if case.samples is not None else ())}"
    settings = {
        "exposure": given, "prior": prior_words(regression), "interval": interval, "seed": seed,
    }  # fmt: skip
    return event_model(case, regression, pooled, settings)


def _as_event(
    data: Dataset, outcome: str, onset: str, window: float, followed: str
) -> tuple[Dataset, str, str]:
    """The data with an outcome and its onset as the time to an event, and the names of the new columns."""
    if not onset:
        raise ConfigError("outcome needs onset, the column with the day it began")
    subjects = with_event_days(data.subjects.set_index("subject", drop=False), data)
    had = parse_outcome(outcome, data.subjects).to_numpy(dtype=float, na_value=np.nan)
    day = numeric(subjects, onset).to_numpy()
    unknown = (had == 1) & np.isnan(day)
    if unknown.any():
        raise DataError(
            f"subject {data.subject_ids[int(unknown.argmax())]}: {outcome} without a day in {onset}"
        )
    until = np.full(len(had), float(window))
    if followed:
        until = np.minimum(until, numeric(subjects, followed).to_numpy())  # a missing end stays missing
        late = (had == 1) & (day > until) & (day <= window)
        if late.any():
            raise DataError(
                f"subject {data.subject_ids[int(late.argmax())]}: {outcome} began after the end of {followed}, which is before day {window:g}"
            )
    happened = (had == 1) & (day <= until)
    time = f"{onset}_or_end"
    columns = {time: np.where(happened, day, until), outcome: np.where(np.isnan(had), np.nan, happened)}
    return dataclasses.replace(data, subjects=data.subjects.assign(**columns)), time, outcome


@dataclass(frozen=True, eq=False)
class RowsAtRisk:
    """Stretches of time at risk: one per subject, or one per day of a course.

    Parameters
    ----------
    subject, day : ndarray of int, shape (n_rows,)
        Position of the subject, and of the day of the course at the beginning of the stretch.
    start, stop, event : ndarray, shape (n_rows,)
        Days, and 1 if the event ends the stretch.
    """

    subject: NDArray[np.int64]
    day: NDArray[np.int64]
    start: Floats
    stop: Floats
    event: Floats

    def exposures(self, case: Case, draws: NDArray[np.int64]) -> Floats:
        """Exposure at the beginning of each stretch, on the predictor's scale, shape (n_draws, n_rows)."""
        assert case.course is not None
        values = case.course.values(case.question.metric)[draws][:, self.subject, self.day]
        return np.log(values) if case.question.log else values


def rows_at_risk(case: Case) -> RowsAtRisk:
    """Who was at risk, when.

    Parameters
    ----------
    case : Case
        With duration and event.

    Returns
    -------
    RowsAtRisk
        In the order of the subjects.

    Raises
    ------
    DataError
        If times or events make no sense, or there is no event.
    """
    duration, event = case.question.duration, case.question.event
    if (case.answer[duration] <= 0).any():
        who = case.answer.index[case.answer[duration] <= 0][0]
        raise DataError(
            f"subject {who}: {duration} is {case.answer.loc[who, duration]:g}; expected a day above 0 (0.5 for the day of the infusion itself)"
        )
    time, kind, label = times_and_events(case.answer[duration], case.answer[event])
    if (kind > 1).any():
        raise DataError(f"subject {label[kind > 1][0]}: {event} is {kind[kind > 1][0]}; expected 0 (censored) or 1")  # fmt: skip
    if not kind.any():
        raise DataError(f"{case.question.label}: no event among {len(time)} subjects; nothing can be estimated")  # fmt: skip
    if case.course is None:
        zero = np.zeros(len(time))
        return RowsAtRisk(np.arange(len(time)), zero.astype(np.int64), zero, time, kind.astype(float))
    days = case.course.days
    beyond = time > days[-1] + np.diff(days).max()
    if beyond.any():
        raise DataError(
            f"exposure is known to day {days[-1]:g}, and {int(beyond.sum())} of {len(time)} subjects are at risk longer, up to day {time.max():g}; "
            "give exposure_course days to the end"
        )
    counts = np.searchsorted(days, time, side="left")  # days before the end
    subject = np.repeat(np.arange(len(time)), counts)
    day = np.concatenate([np.arange(count) for count in counts])
    last = day == counts[subject] - 1
    stop = np.where(last, time[subject], np.append(days, np.inf)[day + 1])
    return RowsAtRisk(subject, day, days[day], stop, np.where(last, kind[subject], 0).astype(float))


def event_regression(case: Case, rows: RowsAtRisk, baseline: str, slope_sd: float) -> Regression:
    """The regression of the time to an event.

    Parameters
    ----------
    case : Case
        Exposures and what is adjusted for.
    rows : RowsAtRisk
        Times and events.
    baseline : str
        As of `fit_event`.
    slope_sd : float
        Prior standard deviation of slopes.

    Returns
    -------
    Regression
        With priors.
    """
    scale = float(np.median(case.answer[case.question.duration].astype(float)))
    common = (rows.start, rows.stop, rows.event, scale)
    family: Weibull | Piecewise = Weibull(*common)
    if baseline == "piecewise":
        times = rows.stop[rows.event == 1]
        pieces = int(np.clip(len(times) // EVENTS_PER_PIECE, 1, MOST_PIECES))
        cuts = np.unique(np.quantile(times, np.arange(1, pieces) / pieces))
        while len(cuts) and np.histogram(times, [-np.inf, *cuts, np.inf])[0].min() < EVENTS_PER_PIECE:
            cuts = cuts[:-1]  # ties
        family = Piecewise(*common, cuts)
    return regression_of(case, family, slope_sd=slope_sd, rows=rows.subject)


def event_model(
    case: Case, regression: Regression, pooled: PooledDraws, settings: dict[str, Any]
) -> EventModel:
    """Put pooled draws into a result.

    Parameters
    ----------
    case, regression, pooled
        Who was analysed, by which model, and what came out.
    settings : dict
        ``exposure, prior, interval`` (a probability), ``seed`` and whatever else belongs to the result.

    Returns
    -------
    EventModel
        Table, curve, sentence.
    """
    question, interval = case.question, settings["interval"]
    table = coefficient_rows(regression, pooled, case, "hazard_ratio", "log hazard", interval)
    duration, event = (case.answer[name].to_numpy(float) for name in (question.duration, question.event))
    observed = pd.DataFrame(
        {
            "subject": case.answer.index,
            "exposure": np.exp(case.points) if question.log else case.points,
            "lower": case.limits[:, 0],
            "upper": case.limits[:, 1],
            "duration": duration,
            "event": event.astype(int),
        }
    )
    settings = settings | {
        "outcome": question.expression, "label": question.label, "duration": question.duration, "event": question.event, "on": question.on, "metric": question.metric,
        "unit": case.unit, "model": MODELS[regression.family.name], "adjust": list(question.adjust), "timing_checked": case.timing_checked, "on_the_path": list(case.on_the_path),
        "cuts": [float(day) for day in getattr(regression.family, "cuts", ())],
        "landmark": question.landmark, "changes_with_time": case.course is not None,
        "interval": f"{100 * interval:g}% equal-tailed", "ess": round(pooled.ess, 1),
    }  # fmt: skip
    moving = case.course is not None
    curve = pd.DataFrame() if moving else _survival(case, regression, pooled, interval, duration.max())
    statement = _statement(table, pooled, settings, len(case), int(event.sum()), len(case.excluded), interval)
    return EventModel(
        table, pooled.draws, curve, observed, len(case), int(event.sum()), case.excluded, statement, settings
    )


def _survival(
    case: Case, regression: Regression, pooled: PooledDraws, interval: float, until: float
) -> pd.DataFrame:
    family, blocks = regression.family, []
    assert isinstance(family, Weibull | Piecewise)
    days = np.linspace(0, until, GRID_POINTS)
    n, tails = len(family.auxiliary), [(1 - interval) / 2, 0.5, (1 + interval) / 2]
    for share in SHOWN:
        at = float(np.quantile(case.points, share))
        eta = pooled.theta[:, n] * regression.exposure(at)
        lower, median, upper = np.quantile(family.survival(pooled.theta[:, :n], eta, days), tails, axis=0)
        exposure = np.exp(at) if case.question.log else at
        blocks.append(
            pd.DataFrame(
                {"day": days, "quantile": share, "exposure": exposure, "median": median, "lower": lower, "upper": upper}
            )
        )  # fmt: skip
    return pd.concat(blocks, ignore_index=True)


def _statement(
    table: pd.DataFrame, pooled: PooledDraws, settings: dict[str, Any], n: int, events: int, lost: int, interval: float
) -> str:  # fmt: skip
    row = table[table["parameter"].str.startswith("hazard_ratio")].iloc[0]
    step = "doubling" if row["parameter"].endswith("doubling") else "standard deviation"
    after = f", counted from day {settings['landmark']:g}" if settings["landmark"] is not None else ""
    adjusted = f"adjusted for {', '.join(settings['adjust'])}" if settings["adjust"] else "not adjusted for anything"  # fmt: skip
    return (
        f"{events} of {n} subjects had {outcome_name(settings)}{after}; its hazard changes by the factor {row['value']:.2f} ({100 * interval:g}% CrI "
        f"{row['lower']:.2f} to {row['upper']:.2f}) per {step} of {metric_name(settings['metric'])}, {adjusted}; probability that it rises: "
        f"{(pooled.draws['slope'] > 0).mean():.2f}{left_out(lost)}."
    )

"""An outcome on posterior exposure, in two stages: a regression for every posterior draw of the exposures, pooled.

The exposures of a fit are known up to their posterior. Each draw is one possible truth; the regression is done for each and
pooled by Rubin's rules, so that the interval carries the kinetic uncertainty. The regression on point values stands beside it. The
outcome does not feed back on the exposures: where these are very uncertain the slope is flattened, which only a joint model avoids.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from carkinetics.dataset.table import Dataset
from carkinetics.errors import ConfigError, DataError, did_you_mean
from carkinetics.exposure.area import Floats
from carkinetics.exposure.table import Exposure
from carkinetics.fit.covariate import covariate_frame, covariate_values
from carkinetics.response.binary import is_separated
from carkinetics.response.grade import split_predictor
from carkinetics.response.hazard import cox
from carkinetics.response.inputs import usable_exposure
from carkinetics.response.outcome import parse_outcome
from carkinetics.response.pooling import pool
from carkinetics.response.regression import logistic, ordinal
from carkinetics.response.timing import at_landmark, complete_on, refuse_late_exposure, refuse_late_window

FEWEST = 5
_WORDS = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, eq=False)
class ExposureResponse:
    """A regression of an outcome on exposure.

    Parameters
    ----------
    table : pandas.DataFrame
        Indexed by ``term``: ``coef, se, lower, upper, df, missing`` (share of the variance that comes from uncertain exposure);
        ``ratio, ratio_lower, ratio_upper``: odds or hazard ratio per doubling of a logarithm, per unit of anything else; and the
        regression on point values beside it: ``naive_coef, naive_se, naive_lower, naive_upper``.
    observed : pandas.DataFrame
        Who was analysed, indexed by subject: the predictors at point values, and the outcome.
    excluded : pandas.DataFrame
        ``subject, reason`` of who was not.
    statement : str
        The result as a sentence.
    settings : dict
        What was asked: model, outcome, metric, adjustment, landmark, draws, seed, level.
    """

    table: pd.DataFrame
    observed: pd.DataFrame
    excluded: pd.DataFrame
    statement: str
    settings: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<ExposureResponse: {self.settings['outcome']} on {self.settings['on']}, {len(self.observed)} subjects>"


def exposure_response(
    exposure: Exposure, data: Dataset, *, outcome: str = "", duration: str = "", event: str = "", on: str = "log(cmax)",
    adjust: Iterable[str] = (), onset: str = "", landmark: float | None = None, draws: int = 100, level: float = 0.90, seed: int = 0,
) -> ExposureResponse:  # fmt: skip
    """Relate an outcome to exposure with the uncertainty of the exposure.

    Parameters
    ----------
    exposure : Exposure
        Metrics by subject, with posterior draws or without.
    data : Dataset
        The outcome and what to adjust for, in columns of ``data.subjects``.
    outcome : str
        A comparison such as ``"crs_grade >= 3"`` (logistic regression), or a column with grades (proportional odds).
    duration, event : str
        Instead of it: columns with the time to an event or to censoring in days, and 1 or 0 for which (Cox regression).
    on : str
        ``"log(metric)"`` or a metric.
    adjust : iterable of str
        Columns or texts such as ``"log(burden)"``. Baseline tumour burden drives expansion, response and toxicity alike: adjust for
        it where it is known.
    onset : str
        Column with the day of a graded outcome; empty for who had none.
    landmark : float, optional
        Day from which on an event counts. Who had it earlier, or was not followed so long, is left out, and said.
    draws : int
        Posterior draws of the exposures to use, of those that there are.
    level : float
        Probability of the intervals.
    seed : int
        Of the choice of draws.

    Returns
    -------
    ExposureResponse
        Pooled and naive estimates, who was left out, the result as a sentence.

    Raises
    ------
    TimingError
        If the exposure is complete only after the outcome.
    ConfigError
        If arguments do not go together.
    DataError
        If columns are missing, or fewer than 5 subjects are left.
    FitError
        If no finite estimate exists.

    References
    ----------
    .. [1] Rubin DB. Multiple imputation for nonresponse in surveys. Wiley 1987.
    """
    if bool(outcome) == bool(duration and event):
        raise ConfigError("give either outcome, or duration and event")
    if landmark is not None and outcome:
        raise ConfigError(
            "landmark counts the time of an event from a day on; an outcome without a time has none: leave out who had it by then"
        )
    metric, log = split_predictor(on)
    extra = [adjust] if isinstance(adjust, str) else list(adjust)
    subjects = covariate_frame(data).set_index(pd.Index(data.subject_ids, name="subject"), drop=False)
    answer = _outcome(subjects, outcome, duration, event)
    reasons = _reasons(subjects, answer, extra)
    if landmark is not None and duration:
        known = reasons == ""
        _, _, lost = at_landmark(answer.loc[known, duration], answer.loc[known, event], landmark)
        reasons.loc[lost.index] = lost
    values, samples, excluded = usable_exposure(exposure, metric, reasons, positive=log)
    if len(values) < FEWEST:
        raise DataError(f"{len(values)} subjects have {metric} and the outcome; expected at least {FEWEST}")
    answer = answer.loc[values.index]
    _check_timing(exposure, metric, answer, subjects, outcome, duration, onset, landmark)
    if landmark is not None:
        answer = answer.assign(**{duration: answer[duration] - landmark})
    others = {text: covariate_values(subjects.loc[values.index], text, "adjust") for text in extra}
    points = values.to_numpy()
    chosen = points[None] if samples is None else _picked(samples, draws, seed)
    transform = np.log if log else np.asarray
    naive, *each = (
        _regression(
            answer.assign(**{on: transform(row)}, **others), outcome, duration, event, [on, *extra], level
        )
        for row in [points, *chosen]
    )
    table = _table(naive, each, len(values), level, [on, *extra], naive.attrs["model"])
    settings = {
        "model": naive.attrs["model"], "outcome": outcome or f"{event} after {duration}", "on": on, "metric": metric, "adjust": extra,
        "landmark": landmark, "draws": 0 if samples is None else len(chosen), "level": level, "seed": seed,
    }  # fmt: skip
    observed = answer.assign(**{on: transform(points)}, **others)
    return ExposureResponse(
        table,
        observed,
        excluded,
        _statement(table.loc[on], settings, len(values), len(excluded), log),
        settings,
    )


def _outcome(subjects: pd.DataFrame, outcome: str, duration: str, event: str) -> pd.DataFrame:
    if outcome and outcome.strip() not in subjects:
        return pd.DataFrame({"outcome": parse_outcome(outcome, subjects).to_numpy()}, index=subjects.index)
    for name in [outcome.strip()] if outcome else [duration, event]:
        if name not in subjects:
            raise DataError(
                f"subjects has no column {name!r}{did_you_mean(name, [str(c) for c in subjects.columns])}"
            )
    if outcome:
        return pd.DataFrame({"outcome": subjects[outcome.strip()]})
    return subjects[[duration, event]]


def _reasons(subjects: pd.DataFrame, answer: pd.DataFrame, extra: list[str]) -> pd.Series:
    """Why a subject cannot be analysed, apart from its exposure; empty if it can."""
    reasons = pd.Series("", index=subjects.index, dtype=object)
    for name, column in answer.items():
        reasons[column.isna() & (reasons == "")] = f"{name} is missing"
    for text in extra:
        for name in {*_WORDS.findall(text)} & {str(column) for column in subjects.columns}:
            reasons[subjects[name].isna() & (reasons == "")] = f"{name}, to adjust for, is missing"
    return reasons


def _check_timing(
    exposure: Exposure, metric: str, answer: pd.DataFrame, subjects: pd.DataFrame, outcome: str, duration: str, onset: str,
    landmark: float | None,
) -> None:  # fmt: skip
    complete = complete_on(exposure, metric, answer.index)
    if duration:
        refuse_late_window(complete, answer[duration].astype(float), metric, duration, landmark)
    elif onset:
        if onset not in subjects:
            raise DataError(
                f"subjects has no column {onset!r}{did_you_mean(onset, [str(c) for c in subjects.columns])}"
            )
        days = pd.to_numeric(subjects.loc[answer.index, onset]).astype(float).fillna(np.inf)
        if answer["outcome"].nunique() == 2:  # the onset of a grade that does not count is none
            days = days.where(answer["outcome"].astype(bool), np.inf)
        refuse_late_exposure(complete, days, metric, outcome)


def _picked(samples: Floats, draws: int, seed: int) -> Floats:
    rows = np.random.default_rng(seed).choice(len(samples), size=min(draws, len(samples)), replace=False)
    return samples[np.sort(rows)]


def _regression(
    table: pd.DataFrame, outcome: str, duration: str, event: str, on: list[str], level: float
) -> pd.DataFrame:
    if duration:
        found = cox(table, duration=duration, event=event, on=on, level=level)
        found.attrs["model"] = "Cox"
        return found
    column = table["outcome"]
    grades = column.nunique()
    if grades > 2 or (isinstance(column.dtype, pd.CategoricalDtype) and grades > 1):
        found = ordinal(table, outcome="outcome", on=on, level=level)
        found.attrs["model"] = "proportional odds"
        return found
    if (
        not is_numeric_dtype(column)
        and column.dtype != object
        and grades == 2
        and not column.isin([True, False]).all()
    ):
        raise DataError(
            f"{outcome} holds {column.iloc[0]!r}; write a comparison, such as \"{outcome} == '{column.iloc[0]}'\""
        )
    happened = column.astype(float)
    firth = is_separated(table[on].to_numpy(float), happened.to_numpy())
    found = logistic(table.assign(outcome=happened), outcome="outcome", on=on, firth=firth, level=level)
    found.attrs["model"] = "logistic (Firth)" if firth else "logistic"
    return found


def _table(
    naive: pd.DataFrame, each: list[pd.DataFrame], n: int, level: float, terms: list[str], model: str
) -> pd.DataFrame:
    df = n - len(naive) if not model.startswith("Cox") else int(naive.attrs["events"]) - len(terms)
    pooled = pool(
        [one["coef"] for one in each], [one["se"] ** 2 for one in each], complete_df=max(df, 1), level=level
    )
    pooled.index = naive.index
    scale = pd.Series(
        [np.log(2) if term.startswith("log(") else 1.0 for term in pooled.index], index=pooled.index
    )
    for name, column in (("ratio", "coef"), ("ratio_lower", "lower"), ("ratio_upper", "upper")):
        pooled[name] = np.exp(pooled[column] * scale).where(pooled.index.isin(terms))
    return pooled.join(naive[["coef", "se", "lower", "upper"]].add_prefix("naive_"))


def _statement(row: pd.Series, settings: dict[str, Any], n: int, lost: int, log: bool) -> str:
    kind = "hazard" if settings["model"] == "Cox" else "odds"
    step = "doubling" if log else "unit"
    given = (
        f"adjusted for {', '.join(settings['adjust'])}" if settings["adjust"] else "not adjusted for anything"
    )
    carried = (
        f"{settings['draws']} posterior draws of the exposures were used, whose uncertainty is {100 * row['missing']:.0f} % of the variance"
        if settings["draws"]
        else "exposures were taken as known"
    )
    after = f", from day {settings['landmark']:g} on" if settings["landmark"] is not None else ""
    return (
        f"{settings['outcome']}{after}: the {kind} change by the factor {row['ratio']:.2f} ({100 * settings['level']:g} % interval "
        f"{row['ratio_lower']:.2f} to {row['ratio_upper']:.2f}) per {step} of {settings['metric']}, {given}; {n} subjects, {lost} left out; "
        f"{carried}."
    )

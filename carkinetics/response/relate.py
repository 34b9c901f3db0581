"""An outcome on posterior exposure, in two stages: a regression for every posterior draw of the exposures, pooled.

The exposures of a fit are known up to their posterior. Each draw is one possible truth; the regression is done for each and
pooled by Rubin's rules, so that the interval carries the kinetic uncertainty. The regression on point values stands beside it. The
outcome does not feed back on the exposures: where these are very uncertain the slope is flattened, which only a joint model avoids.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from carkinetics.dataset.table import Dataset
from carkinetics.errors import ConfigError, DataError
from carkinetics.exposure.metric_name import metric_name
from carkinetics.exposure.table import Exposure
from carkinetics.response.analysis_words import analysis_name, counted, outcome_name
from carkinetics.response.binary import is_separated
from carkinetics.response.case import Case, pose
from carkinetics.response.family import WIDE, Family
from carkinetics.response.grade import refuse_settings
from carkinetics.response.hazard import cox
from carkinetics.response.kind import kind_of
from carkinetics.response.pooling import pool
from carkinetics.response.question import LOG, Question
from carkinetics.response.regression import logistic, ordinal

FEWEST = 5


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
        What was asked: model, outcome, label, metric, adjustment, landmark, draws, seed, level.
    """

    table: pd.DataFrame
    observed: pd.DataFrame
    excluded: pd.DataFrame
    statement: str
    settings: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<ExposureResponse: {analysis_name(self.settings)}, {counted(len(self.observed), 'subject')}>"


def exposure_response(
    exposure: Exposure, data: Dataset, *, outcome: str = "", duration: str = "", event: str = "", on: str = "log(cmax)", label: str = "",
    adjust: str | Iterable[str] = (), onset: str | None = None, landmark: float | None = None, draws: int = 100, level: float = 0.90, seed: int = 0,
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
    label : str
        What the outcome is called in sentences, tables and figures, such as ``"objective response"``; the expression if not given.
    adjust : iterable of str
        Columns or texts such as ``"log(burden)"``. Baseline tumour burden drives expansion, response and toxicity alike: adjust for
        it where it is known.
    onset : str, optional
        Column with the day of an outcome, empty for who had none. If not given, a column or an event of the data named alike is looked
        for (``crs_day`` or the event ``crs`` of ``crs_grade``); ``""`` does not check.
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
    refuse_settings(level, draws, seed, 1.0, 1.0)
    question = Question.of(
        outcome=outcome,
        duration=duration,
        event=event,
        on=on,
        label=label,
        adjust=adjust,
        onset=onset,
        landmark=landmark,
    )
    case = pose(exposure, data, question, fewest=FEWEST)
    rng = np.random.default_rng(seed)
    chosen, rows = case.chosen(draws, rng)
    if on in question.adjust:
        raise ConfigError(f"adjust: {on} is the exposure itself")
    terms = [on, *question.adjust]
    kind, tables = (
        _kind(case),
        [case.answer.assign(**{on: row}, **case.others) for row in [case.points, *chosen]],
    )
    # Decided once: estimates with and without a penalty are not to be pooled.
    firth = kind is not None and kind.name == "binary" and _separates(tables, terms, kind)
    naive, *each = (_regression(table, question, kind, firth, terms, level) for table in tables)
    table = _table(naive, each, len(case), level, terms, naive.attrs["model"])
    settings = {
        "model": naive.attrs["model"], "outcome": question.expression, "label": question.label, "on": on, "metric": question.metric, "adjust": list(question.adjust), "on_the_path": list(case.on_the_path),
        "landmark": landmark, "draws": 0 if rows is None else len(rows), "level": level, "seed": seed,
    }  # fmt: skip
    observed = case.answer.assign(**{on: case.points}, **case.others)
    statement = _statement(table.loc[on], settings, len(case), len(case.excluded), question.log)
    return ExposureResponse(table, observed, case.excluded, statement, settings)


def _regression(
    table: pd.DataFrame, question: Question, kind: Family | None, firth: bool, on: list[str], level: float
) -> pd.DataFrame:
    if kind is None:
        found = cox(table, duration=question.duration, event=question.event, on=on, level=level)
        found.attrs["model"] = "Cox"
        return found
    table = table.assign(outcome=kind.y)  # type: ignore[attr-defined]
    if kind.name == "ordinal":
        found = ordinal(table, outcome="outcome", on=on, level=level)
        found.attrs["model"] = "proportional odds"
        return found
    found = logistic(table, outcome="outcome", on=on, firth=firth, level=level)
    found.attrs["model"] = "logistic (Firth)" if firth else "logistic"
    return found


def _separates(tables: list[pd.DataFrame], terms: list[str], kind: Family) -> bool:
    """Whether the predictors separate who had the outcome at any of the exposures."""
    y = np.asarray(kind.y)  # type: ignore[attr-defined]
    return any(is_separated(table[terms].to_numpy(float), y) for table in tables)


def _kind(case: Case) -> Family | None:
    """Kind of the outcome: two values, or grades; None of a time to an event."""
    if case.question.duration:
        return None
    found = kind_of(case, "auto", WIDE)
    if found.name not in ("binary", "ordinal"):
        raise DataError(
            f"{case.question.outcome} holds numbers; exposure_response takes a comparison, or grades; fit_grade takes numbers too"
        )
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
        [np.log(2) if LOG.fullmatch(term) else 1.0 for term in pooled.index], index=pooled.index
    )
    for name, column in (("ratio", "coef"), ("ratio_lower", "lower"), ("ratio_upper", "upper")):
        pooled[name] = np.exp(pooled[column] * scale).where(pooled.index.isin(terms))
    return pooled.join(naive[["coef", "se", "lower", "upper"]].add_prefix("naive_"))


def _statement(row: pd.Series, settings: dict[str, Any], n: int, lost: int, log: bool) -> str:
    kind, verb = ("hazard", "changes") if settings["model"] == "Cox" else ("odds", "change")
    step = "doubling" if log else "unit"
    given = (
        f"adjusted for {', '.join(settings['adjust'])}" if settings["adjust"] else "not adjusted for anything"
    )
    carried = (
        f"{settings['draws']} posterior draws of the exposures were used, whose uncertainty is {100 * row['missing']:.0f} % of the variance"
        if settings["draws"]
        else "exposures were taken as known"
    )
    after = f" from day {settings['landmark']:g} on" if settings["landmark"] is not None else ""
    higher = "a higher grade of " if settings["model"] == "proportional odds" else ""
    return (
        f"The {kind} of {higher}{outcome_name(settings)}{after} {verb} by the factor {row['ratio']:.2f} ({100 * settings['level']:g} % interval "
        f"{row['ratio_lower']:.2f} to {row['ratio_upper']:.2f}) per {step} of {metric_name(settings['metric'])}, {given}; "
        f"{counted(n, 'subject')}{f', {lost} left out' if lost else ''}; "
        f"{carried}."
    )

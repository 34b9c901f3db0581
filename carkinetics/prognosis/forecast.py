"""What becomes of one patient, from the first samples: exposure, time to BLQ and risks, before the course is over.

The patient was not in the fit. Its parameters are drawn given the population and its samples (`carkinetics.prognosis.condition`): the
same posterior as that of a fit of everybody, for the patient, in a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from carkinetics.dataset.table import Dataset
from carkinetics.errors import ConfigError
from carkinetics.escalation.arguments import number
from carkinetics.findings import findings_table
from carkinetics.fit.chosen import Draws, stacked_posterior, take_draws
from carkinetics.fit.result import INTERVAL, Fit
from carkinetics.prognosis.asked import refuse_other, refuse_settings
from carkinetics.prognosis.condition import LEAST, Conditional, condition
from carkinetics.prognosis.doubts import forecast_findings
from carkinetics.prognosis.forecasted import Forecast, ForecastUpdates
from carkinetics.prognosis.new_patient import (
    Patient,
    known_by,
    make_patient,
    one_patient,
    population_at,
    sampled_rows,
)
from carkinetics.prognosis.predicted import (
    course_of,
    curve_days,
    curve_rows,
    lloq_of,
    metric_draws,
    metric_rows,
    natural_values,
    short_number,
    wanted_metrics,
)
from carkinetics.prognosis.risk import (
    RISK_COLUMNS,
    OutcomeModel,
    adjusted_for,
    outcome_models,
    probabilities,
    risk_rows,
)
from carkinetics.response.analysis_words import outcome_name

Floats = NDArray[np.float64]
METRICS = ("cmax", "tmax", "auc_0_28", "time_to_blq")
ROWS = 1000  # draws of the population
BEFORE = -1.0  # a day before all samples that count


def forecast(
    fit: Fit,
    data: Dataset,
    *,
    subject: str | None = None,
    upto: float | None = None,
    metrics: Iterable[str] = METRICS,
    draws: int = 1000,
    seed: int = 0,
    events: Any = (),
    horizon: float | None = None,
    days: Iterable[float] | None = None,
    interval: float = INTERVAL,
) -> Forecast:
    """Forecast exposure and risks of a new patient from its samples so far.

    Parameters
    ----------
    fit : Fit
        Hierarchical, without this patient; or a `known_population`.
    data : Dataset
        The new patient: samples, dose, covariates. Later samples may be there.
    subject : str, optional
        Which subject of the data; not needed if there is one.
    upto : float, optional
        Last day whose samples and events count; all if not given. Infusions are planned, and count. An event that comes later is
        taken not to come.
    metrics : iterable of str
        Of the curve: ``cmax``, ``tmax``, ``auc_0_X``, ``auc_inf_pred``, ``time_to_blq``, ``persistence``, ``half_life``, ``doubling_time``.
    draws : int
        Number of posterior draws of the patient.
    seed : int
        Of everything random.
    events : GradeModel, EventModel, JointModel, or iterable of these
        Fitted outcome models, whose risk is predicted: as seen from the infusion (or the landmark), whatever of the patient's
        events is known by ``upto``.
    horizon : float, optional
        Day until which an event counts; the longest follow-up in the outcome model if not given.
    days : iterable of float, optional
        Of the curve; to the last sample or day 28 if not given.
    interval : float
        Probability of the equal-tailed intervals.

    Returns
    -------
    Forecast
        Without any sample that counts: the prediction of the population. Not necessarily converged; it says so.

    Raises
    ------
    ConfigError
        If a setting makes no sense.
    DataError
        If the patient is in the fit, is not in the data, or lacks a dose or a covariate that is needed.
    FitError
        If the fit has no posterior.

    References
    ----------
    .. [1] Vehtari A et al. J Mach Learn Res 2024;25:72, for Pareto's k.
    """
    refuse_settings("forecast", draws=draws, seed=seed, interval=interval, horizon=horizon)
    refuse_other(fit, Fit, "forecast")
    wanted = wanted_metrics(fit, metrics)
    whole = one_patient(fit, data, subject)
    return _forecast(fit, whole, upto, wanted, draws, seed, outcome_models(events, fit.model.output().unit), horizon, days, interval)  # fmt: skip


def forecast_updates(
    fit: Fit,
    data: Dataset,
    *,
    subject: str | None = None,
    upto: Sequence[float] | None = None,
    **settings: Any,
) -> ForecastUpdates:
    """Forecast a new patient again and again, as its samples come.

    Parameters
    ----------
    fit : Fit
        Hierarchical, without this patient.
    data : Dataset
        The new patient.
    subject : str, optional
        Which subject of the data; not needed if there is one.
    upto : sequence of float, optional
        Last days whose samples count, one forecast each. If not given: before any sample, and on every day with one.
    **settings : Any
        As of `forecast`.

    Returns
    -------
    ForecastUpdates
        In order of time.

    Raises
    ------
    ConfigError
        If a setting makes no sense.
    DataError
        As of `forecast`.
    """
    whole = one_patient(fit, data, subject)
    if upto is None:
        stops = [BEFORE, *make_patient(fit, whole).days.tolist()]
    elif isinstance(upto, Iterable) and not isinstance(upto, str):
        stops = sorted({number(day, "a day of upto", "forecast_updates") for day in upto})
    else:
        raise ConfigError(f"upto is {upto!r}; expected several days, or forecast() for one")
    if not stops:
        raise ConfigError("upto is empty; expected days since infusion")
    return ForecastUpdates(tuple(forecast(fit, whole, upto=day, **settings) for day in stops))


def _forecast(
    fit: Fit, whole: Dataset, upto: float | None, wanted: list[str], n: int, seed: int, models: list[OutcomeModel],
    horizon: float | None, days: Iterable[float] | None, interval: float,
) -> Forecast:  # fmt: skip
    known = known_by(whole, upto)
    patient, course, lloq = make_patient(fit, known), course_of(fit, known), lloq_of(fit, whole)
    found, member = draw_parameters(fit, patient, n, seed)
    values = natural_values(fit, found.theta, known)
    needed = list(dict.fromkeys([*wanted, *(model.settings["metric"] for model in models)]))
    exposures = unique_metrics(fit, values, wanted_metrics(fit, needed), lloq, course)
    last = float(np.nanmax([0.0, *whole.observations["time"]]))
    at = curve_days(last) if days is None else _days(days)
    unit = fit.model.output().unit
    table = metric_rows(exposures, wanted, unit, interval)
    findings = list(forecast_findings(fit, patient, found, exposures, models))
    n_samples = len(patient.problem.time) if patient.problem is not None else 0
    errors = [finding.message for finding in findings if finding.severity == "error"]
    parameters = {name: values[name] for name in fit.model.free_parameters}
    subject = whole.subject_ids[0]
    return Forecast(
        subject=subject, upto=None if upto is None or np.isposinf(upto) else float(upto), n_samples=n_samples, table=table,
        risks=_risks(models, exposures, known, horizon, interval), curve=curve_rows(fit, values, at, course, interval),
        observed=sampled_rows(patient, whole), draws=pd.DataFrame(parameters | exposures | member),
        pareto_k=found.pareto_k, ess=found.ess, converged=not errors, findings=findings_table(findings),
        statement=_statement(subject, upto, n_samples, table, interval, found, errors),
        settings={
            "model": fit.model.name, "unit": unit, "lloq": lloq, "interval": f"{interval:.0%} equal-tailed", "metrics": wanted,
            "draws": n, "seed": seed, "population": "known" if fit.settings.get("known") else "posterior of the fit",
            "method": "population draws without weights" if not n_samples else "importance sampling around the modes of the patient",
        },
    )  # fmt: skip


def draw_parameters(
    fit: Fit, patient: Patient, n: int, seed: int
) -> tuple[Conditional, dict[str, NDArray[np.bool_]]]:
    """Draws of a patient; with more draws of the population where a thousand are too few.

    Parameters
    ----------
    fit : Fit
        The population.
    patient : Patient
        With its samples.
    n, seed : int
        Draws, and seed.

    Returns
    -------
    tuple of (Conditional, dict)
        Draws, and ``member`` of the second class where there are two.
    """
    total = stacked_posterior(fit).sizes["sample"]
    size = max(n, ROWS) if patient.problem is None else ROWS
    for rows in dict.fromkeys([size, max(min(total, 4 * ROWS), size)]):
        population = population_at(fit, _population_draws(fit, rows, seed), patient.data)
        found = condition(patient, population, n, np.random.default_rng([seed, 7]))
        if found.converged and found.ess >= 2 * LEAST:
            break
    return found, {"member": population.member[found.row]} if fit.mixture else {}


@lru_cache(maxsize=4)
def _population_draws(fit: Fit, rows: int, seed: int) -> Draws:
    return take_draws(fit, rows, seed)


def unique_metrics(
    fit: Fit, values: dict[str, Floats], wanted: list[str], lloq: float, course: Any
) -> dict[str, Floats]:
    """Metrics of draws, of which some are the same: each is computed once.

    Parameters
    ----------
    fit, values, wanted, lloq, course
        As of `carkinetics.prognosis.predicted.metric_draws`.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        By metric.
    """
    together = np.column_stack(list(values.values()))
    _, first, back = np.unique(together, axis=0, return_index=True, return_inverse=True)
    few = metric_draws(fit, {name: value[first] for name, value in values.items()}, wanted, lloq, course)
    return {name: value[back.ravel()] for name, value in few.items()}


def _days(days: Iterable[float]) -> Floats:
    try:
        at = np.asarray(list(days), dtype=float)
    except (TypeError, ValueError):
        raise ConfigError(f"days is {days!r}; expected numbers from 0") from None
    if at.ndim != 1 or not at.size or not np.isfinite(at).all() or at.min() < 0:
        raise ConfigError("days: expected numbers from 0")
    return np.unique(at)


def _risks(
    models: list[OutcomeModel],
    exposures: dict[str, Floats],
    data: Dataset,
    horizon: float | None,
    interval: float,
) -> pd.DataFrame:
    blocks = []
    for model in models:
        metric = model.settings["metric"]
        if metric not in exposures:
            raise ConfigError(
                f"events: {outcome_name(model.settings)} is on {metric}, which needs an LLOQ that is not known"
            )
        chance = probabilities(model, exposures[metric], adjusted_for(model, data), horizon)
        blocks.append(risk_rows(chance, interval))
    return pd.concat(blocks, ignore_index=True) if blocks else pd.DataFrame(columns=list(RISK_COLUMNS))


def _statement(
    subject: str, upto: float | None, n: int, table: pd.DataFrame, interval: float, found: Conditional, errors: list[str]
) -> str:  # fmt: skip
    until = "" if upto is None or np.isinf(upto) or not n else f" up to day {upto:g}"
    samples = "no sample" if not n else "1 sample" if n == 1 else f"{n} samples"
    parts = [
        f"{row.metric} {short_number(row.value)} {row.unit} ({interval:.0%} CrI {short_number(row.lower)} to {short_number(row.upper)})"
        for row in table[table["missing"] == ""].itertuples()
    ]
    text = f"Subject {subject}, from {samples}{until}: {'; '.join(parts)}."
    if n:
        text += f" Pareto k {found.pareto_k:.2f}, {found.ess:.0f} effective draws."
    return text + (f" NOT CONVERGED: {errors[0]}." if errors else "")

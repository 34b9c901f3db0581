"""On which days to take samples: how narrow, how right and how honest a patient's posterior will be.

Virtual patients are sampled on every day of every schedule, and each schedule is given its days; then each patient is forecast
with the population known as it is in truth. The same patients, with the same residual errors, are used for all
schedules, so that schedules are compared with little Monte-Carlo error; what is left is measured and shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from carkinetics.errors import ConfigError
from carkinetics.escalation.arguments import number, whole
from carkinetics.exposure.curve_metrics import HORIZON
from carkinetics.fit.result import INTERVAL, Fit
from carkinetics.model.spec import Model
from carkinetics.prognosis.asked import refuse_other, refuse_settings
from carkinetics.prognosis.condition import condition
from carkinetics.prognosis.known import known_population
from carkinetics.prognosis.predicted import (
    course_of,
    lloq_of,
    metric_draws,
    metric_rows,
    natural_values,
    wanted_metrics,
)
from carkinetics.prognosis.virtual import VirtualPatient, refuse_schedule, virtual_patients

Floats = NDArray[np.float64]
METRICS = ("cmax", "auc_0_28", "doubling_time", "persistence")
# A time to the LLOQ may be 0 or never come; ratios need ends.
SHORTEST, OF_LLOQ = 0.5, ("persistence", "time_to_blq")
COLUMNS = (
    "schedule", "days", "n_samples", "metric", "width", "width_error", "bias", "bias_error", "coverage", "coverage_error",
    "patients", "not_converged",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class ScheduleComparison:
    """What sampling schedules tell.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per schedule and metric: ``width``, the expected ratio of the interval's upper to its lower end (geometric mean over
        patients); ``bias``, that of the estimate to the truth; ``coverage``, how often the interval holds the truth; each with its
        Monte-Carlo standard error. ``patients`` had a value, and ``not_converged`` of them a forecast that did not converge.
    patients : pandas.DataFrame
        ``schedule, patient, metric, truth, value, lower, upper, pareto_k, converged``.
    statement : str
        Which schedule is narrowest for each metric.
    settings : dict
        What was asked.
    """

    table: pd.DataFrame
    patients: pd.DataFrame
    statement: str
    settings: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<ScheduleComparison: {self.table['schedule'].nunique()} schedules, {', '.join(self.settings['metrics'])}>"


def compare_schedules(
    population: Model | Fit,
    schedules: Mapping[str, Sequence[float]] | Iterable[Sequence[float]],
    *,
    n: int = 100,
    seed: int = 0,
    metrics: Iterable[str] | None = None,
    lloq: float | None = None,
    draws: int = 500,
    interval: float = INTERVAL,
) -> ScheduleComparison:
    """Compare days of sampling by the posterior that they leave of a patient.

    Parameters
    ----------
    population : Model or Fit
        Patients come from a fit's posterior, or from the typical values and omegas of a model.
    schedules : mapping of str to sequence of float, or iterable of these
        Days since infusion of each schedule, by name if named.
    n : int
        Virtual patients.
    seed : int
        Of everything random.
    metrics : iterable of str, optional
        As of `carkinetics.forecast`; if not given ``cmax``, ``auc_0_28``, ``persistence`` and, where the model defines it,
        ``doubling_time``.
    lloq : float, optional
        Of the assay; that of the fit's data if not given.
    draws : int
        Posterior draws of each patient.
    interval : float
        Probability of the equal-tailed intervals.

    Returns
    -------
    ScheduleComparison
        Table and patients. A persistence or a time to BLQ below half a day counts as that, and one beyond 20 years as 20 years.

    Raises
    ------
    ConfigError
        If a schedule, a number or a metric makes no sense, or no LLOQ is known.
    """
    trial = Bench.of(population, n, seed, metrics, lloq, draws, interval)
    named = _named(schedules)
    trial.simulate(tuple(sorted({day for days in named.values() for day in days})))
    found = {name: trial.forecasts(days) for name, days in named.items()}
    patients = pd.concat([rows.assign(schedule=name) for name, rows in found.items()], ignore_index=True)
    patients = patients[["schedule", *[column for column in patients if column != "schedule"]]]
    rows = [_row(name, days, m, found[name]) for name, days in named.items() for m in trial.metrics]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return ScheduleComparison(table, patients, _statement(table, interval), trial.settings)


def _named(schedules: Any) -> dict[str, tuple[float, ...]]:
    try:
        named = isinstance(schedules, Mapping)
        given = [tuple(float(day) for day in days) for days in (schedules.values() if named else schedules)]
    except (TypeError, ValueError):
        raise ConfigError(
            f"schedules is {schedules!r}; expected days by name, such as {{'weekly': (7, 14, 21, 28)}}"
        ) from None
    names = (
        [str(name) for name in schedules]
        if named
        else [", ".join(f"{d:g}" for d in sorted(days)) for days in given]
    )
    if not given:
        raise ConfigError("schedules is empty; expected days by name, such as {'weekly': (7, 14, 21, 28)}")
    if len(set(names)) < len(names):
        raise ConfigError("schedules: two of them have the same days")
    for name, days in zip(names, given, strict=True):
        refuse_schedule(name, days)
    return {name: tuple(sorted(days)) for name, days in zip(names, given, strict=True)}


@dataclass(eq=False)
class Bench:
    """Virtual patients, and the forecasts from each set of days: computed once."""

    fit: Fit
    n: int
    seed: int
    metrics: list[str]
    lloq: float
    draws: int
    interval: float
    people: list[VirtualPatient] = field(default_factory=list)
    known: dict[tuple[float, ...], pd.DataFrame] = field(default_factory=dict)

    @classmethod
    def of(
        cls, population: Model | Fit, n: int, seed: int, metrics: Iterable[str] | None, lloq: float | None, draws: int, interval: float
    ) -> Bench:  # fmt: skip
        """Check what is asked; see `compare_schedules`."""
        refuse_other(population, (Model, Fit), "schedules")
        whole(n, "n", "schedules", least=2)
        refuse_settings("schedules", draws=draws, seed=seed, interval=interval, least=50)
        fit = known_population(population) if isinstance(population, Model) else population
        if metrics is None:
            metrics = [m for m in METRICS if m != "doubling_time" or m in fit.model.quantities]
        wanted = wanted_metrics(fit, metrics)
        limit = lloq_of(fit, fit.data) if lloq is None else number(lloq, "lloq", "schedules", above=0)
        if not 0 < limit < np.inf:
            raise ConfigError(
                f"lloq is {limit:g}; give the LLOQ of the assay in {fit.model.output().unit}, above 0"
            )
        return cls(fit, int(n), int(seed), wanted, limit, int(draws), float(interval))

    @property
    def settings(self) -> dict[str, Any]:
        """What was asked, for the result."""
        return {
            "model": self.fit.model.name, "population": "known" if self.fit.settings.get("known") else "posterior of the fit",
            "metrics": self.metrics, "n": self.n, "seed": self.seed, "lloq": self.lloq, "draws": self.draws,
            "interval": f"{self.interval:.0%} equal-tailed", "unit": self.fit.model.output().unit,
            "ends": f"times to the LLOQ between {SHORTEST:g} and {HORIZON:g} days",
        }  # fmt: skip

    def simulate(self, days: tuple[float, ...]) -> None:
        """Draw the patients, sampled on these days."""
        self.people = virtual_patients(self.fit, self.n, days, self.metrics, self.lloq, self.seed)

    def forecasts(self, days: tuple[float, ...]) -> pd.DataFrame:
        """Truth, estimate and interval of every patient and metric."""
        if days not in self.known:
            rows = [row for i, one in enumerate(self.people) for row in self._forecast(i, one, days)]
            self.known[days] = pd.DataFrame(rows)
        return self.known[days]

    def _forecast(self, i: int, one: VirtualPatient, days: tuple[float, ...]) -> Iterable[dict[str, Any]]:
        patient = one.sampled_on(self.fit, days)
        found = condition(patient, one.population, self.draws, np.random.default_rng([self.seed, 5, i]))
        values = natural_values(self.fit, found.theta, patient.data)
        exposures = metric_draws(self.fit, values, self.metrics, self.lloq, course_of(self.fit, patient.data))
        table = metric_rows(exposures, self.metrics, self.fit.model.output().unit, self.interval)
        for row in table.itertuples():
            ends = {
                "truth": one.truth[str(row.metric)],
                "value": row.value,
                "lower": row.lower,
                "upper": row.upper,
            }
            if row.metric in OF_LLOQ:
                ends = {name: float(np.clip(value, SHORTEST, HORIZON)) for name, value in ends.items()}
            yield {
                "patient": i + 1, "metric": row.metric, **ends, "pareto_k": found.pareto_k, "converged": found.converged
            }  # fmt: skip


def log_widths(forecasts: pd.DataFrame, metric: str) -> Floats:
    """Log of upper over lower end of every patient's interval.

    Parameters
    ----------
    forecasts : pandas.DataFrame
        Of one schedule.
    metric : str
        Which.

    Returns
    -------
    ndarray
        One per patient.
    """
    rows = forecasts[forecasts["metric"] == metric]
    return np.log(rows["upper"].to_numpy(float) / rows["lower"].to_numpy(float))


def mean_and_error(values: Floats) -> tuple[float, float]:
    """Mean and its Monte-Carlo standard error.

    Parameters
    ----------
    values : ndarray
        One per patient.

    Returns
    -------
    tuple of float
        Of those that are numbers.
    """
    known = values[np.isfinite(values)]
    if len(known) < 2:
        return float("nan"), float("nan")
    return float(known.mean()), float(known.std(ddof=1) / np.sqrt(len(known)))


def _row(name: str, days: tuple[float, ...], metric: str, forecasts: pd.DataFrame) -> tuple[Any, ...]:
    rows = forecasts[forecasts["metric"] == metric]
    rows = rows[np.isfinite(rows[["truth", "value", "lower", "upper"]]).all(axis=1)]
    width, width_error = mean_and_error(log_widths(rows, metric))
    bias, bias_error = mean_and_error(np.log(rows["value"].to_numpy(float) / rows["truth"].to_numpy(float)))
    held, n = ((rows["lower"] <= rows["truth"]) & (rows["truth"] <= rows["upper"])).mean(), len(rows)
    shown = ", ".join(f"{day:g}" for day in days)
    return (
        name, shown, len(days), metric, np.exp(width), np.exp(width) * width_error, np.exp(bias), np.exp(bias) * bias_error,
        held, np.sqrt(held * (1 - held) / n) if n else np.nan, n, int((~rows["converged"]).sum()),
    )  # fmt: skip


def _statement(table: pd.DataFrame, interval: float) -> str:
    parts = []
    for metric, rows in table.groupby("metric", sort=False):
        ordered = rows.sort_values("width")
        first = ordered.iloc[0]
        parts.append(
            f"{metric}: {first['schedule']} (factor {first['width']:.3g} ± {first['width_error']:.2g})"
        )
    doubt = int(table["not_converged"].max())
    text = f"Narrowest {interval:.0%} interval, upper over lower end, by {'; '.join(parts)}."
    return text + (f" Up to {doubt} forecasts of a schedule did not converge." if doubt else "")

"""Exposure metrics and the curve of one patient from draws of its parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from carkinetics.dataset.table import Dataset
from carkinetics.errors import ConfigError, did_you_mean
from carkinetics.exposure.curve_metrics import levels
from carkinetics.exposure.posterior import Sampled, interval_of, metrics_of_one
from carkinetics.exposure.table import metric_unit, window_end
from carkinetics.fit.course import subject_courses
from carkinetics.fit.inputs import known_inputs
from carkinetics.fit.measured import measured_output
from carkinetics.fit.result import Fit
from carkinetics.model.course import Course

Floats = NDArray[np.float64]
METRICS = (
    "cmax", "tmax", "time_to_blq", "persistence", "half_life", "lambda_z", "doubling_time", "auc_inf_pred",
)  # fmt: skip
METRIC_COLUMNS = ("metric", "value", "lower", "upper", "unit", "missing")
CURVE_POINTS, LAST_DAY = 121, 28.0


def wanted_metrics(fit: Fit, metrics: Iterable[str]) -> list[str]:
    """Names of metrics of a curve, checked.

    Parameters
    ----------
    fit : Fit
        Whose model.
    metrics : iterable of str
        As asked.

    Returns
    -------
    list of str
        Each once.

    Raises
    ------
    ConfigError
        If one is unknown, describes samples, or the model does not define it.
    """
    given = [metrics] if isinstance(metrics, str) else list(metrics) if isinstance(metrics, Iterable) else []
    if not given or not all(isinstance(metric, str) for metric in given):
        raise ConfigError(
            f"metrics is {metrics!r}; expected names of metrics, for instance ('cmax', 'auc_0_28')"
        )
    wanted = list(dict.fromkeys(given))
    for metric in wanted:
        if metric not in METRICS and window_end(metric) is None:
            raise ConfigError(
                f"{metric!r} is not a metric of a curve{did_you_mean(metric, [*METRICS, 'auc_0_28'])}"
            )
        needed = {"lambda_z": "half_life"}.get(metric, metric)
        if needed in ("half_life", "doubling_time") and needed not in fit.model.quantities:
            raise ConfigError(f"{metric}: model {fit.model.name} names no {needed.replace('_', ' ')}")
    return wanted


def lloq_of(fit: Fit, data: Dataset) -> float:
    """The patient's own LLOQ of the CAR-T level: of its samples, else of the assay, else of the fit's samples.

    Parameters
    ----------
    fit : Fit
        With the assay.
    data : Dataset
        One subject.

    Returns
    -------
    float
        NaN if none is known.
    """
    assay = measured_output(fit).assay
    for source in (data, fit.data):
        rows = source.observations
        own = rows.loc[rows["assay"] == assay, "lloq"].astype(float)
        usual = source.assays.loc[source.assays["assay"] == assay, "lloq"].astype(float)
        for known in (own, usual):
            positive = known[known > 0]
            if len(positive):
                return float(positive.median())
    return float("nan")


def natural_values(fit: Fit, theta: Floats, data: Dataset) -> dict[str, Floats]:
    """Parameters and inputs of one subject.

    Parameters
    ----------
    fit : Fit
        Whose model.
    theta : ndarray, shape (n, n_free)
        Free parameters on their free scale.
    data : Dataset
        The subject.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        On the natural scale; fixed parameters at their value.
    """
    model, n = fit.model, len(theta)
    values = {name: np.full(n, parameter.typical) for name, parameter in model.parameters.items()}
    for k, name in enumerate(model.free_parameters):
        values[name] = np.asarray(model.parameters[name].from_free(theta[:, k]), dtype=float)
    return values | {name: np.full(n, value[0]) for name, value in known_inputs(model, data).items()}


def metric_draws(
    fit: Fit, values: Mapping[str, Floats], wanted: list[str], lloq: float, course: Course
) -> dict[str, Floats]:
    """Metrics of the curve of every draw.

    Parameters
    ----------
    fit : Fit
        Whose model.
    values : mapping of str to ndarray, shape (n,)
        Parameters and inputs.
    wanted : list of str
        Names of metrics.
    lloq : float
        For the time to BLQ and persistence; NaN if none.
    course : Course
        Infusions and measured inputs.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        By metric, NaN where the curve could not be computed; without those that need an LLOQ where there is none.
    """
    peaked = [*wanted, *(["cmax"] if "cmax" not in wanted else [])]
    found = metrics_of_one(fit, values, peaked, Sampled(np.empty(0), np.nan, lloq, course))
    failed = ~np.isfinite(found["cmax"])
    return {name: np.where(failed, np.nan, value) for name, value in found.items() if name in wanted}


def course_of(fit: Fit, data: Dataset) -> Course:
    """Infusions and measured inputs of one subject.

    Parameters
    ----------
    fit : Fit
        Whose model.
    data : Dataset
        The subject.

    Returns
    -------
    Course
        As known by then.
    """
    return subject_courses(fit.model, data)[0]


def metric_rows(
    draws: Mapping[str, Floats], wanted: Iterable[str], unit: str, interval: float
) -> pd.DataFrame:
    """Median and interval of every metric.

    Parameters
    ----------
    draws : mapping of str to ndarray
        From `metric_draws`.
    wanted : iterable of str
        Names of metrics.
    unit : str
        Of the level.
    interval : float
        Probability of the equal-tailed intervals.

    Returns
    -------
    pandas.DataFrame
        ``metric, value, lower, upper, unit, missing``; ``missing`` says why there is no value.
    """
    rows = []
    for metric in wanted:
        sample, reason = draws.get(metric), ""
        if sample is None:
            reason = "no LLOQ is known"
        elif np.isnan(sample).all():
            reason = "the curve could not be computed"
        low, middle, high = (
            (np.nan,) * 3 if sample is None or reason else interval_of(sample, (1 - interval) / 2)
        )
        rows.append((metric, middle, low, high, metric_unit(metric, unit), reason))
    return pd.DataFrame(rows, columns=list(METRIC_COLUMNS))


def curve_rows(
    fit: Fit, values: Mapping[str, Floats], days: Floats, course: Course, interval: float
) -> pd.DataFrame:
    """Median and band of the latent level.

    Parameters
    ----------
    fit : Fit
        Whose model.
    values : mapping of str to ndarray, shape (n,)
        Parameters and inputs.
    days : ndarray, shape (n_days,)
        Days since infusion.
    course : Course
        Infusions and measured inputs.
    interval : float
        Probability of the band at each day.

    Returns
    -------
    pandas.DataFrame
        ``day, median, lower, upper``.
    """
    n = len(next(iter(values.values())))
    level = levels(fit.model, np.broadcast_to(days, (n, len(days))), values, course)
    tails = [(1 - interval) / 2, 0.5, (1 + interval) / 2]
    solved = level[np.isfinite(level).all(axis=1)]
    low, middle, high = np.quantile(solved, tails, axis=0) if len(solved) else np.full((3, len(days)), np.nan)
    return pd.DataFrame({"day": days, "median": middle, "lower": low, "upper": high})


def curve_days(last: float) -> Floats:
    """Days of a curve, close together at first.

    Parameters
    ----------
    last : float
        Day that is to be seen.

    Returns
    -------
    ndarray
        From the infusion.
    """
    return np.square(np.linspace(0.0, np.sqrt(max(last, LAST_DAY)), CURVE_POINTS))


def short_number(value: float) -> str:
    """Three digits, for a sentence.

    Parameters
    ----------
    value : float
        Any.

    Returns
    -------
    str
        With commas.

    Examples
    --------
    >>> short_number(23456.7), short_number(0.123456), short_number(float("inf"))
    ('23,500', '0.123', 'inf')
    """
    return f"{float(f'{value:.3g}'):,g}"

"""Exposure metrics from a fit: the latent curve of each subject, in every posterior draw.

The metrics are those of `nca`, but of the curve and not of the samples: no noise, no sampling days, no BLQ
convention. Three are defined through the subject's own sampling days, so that they can be laid beside `nca`:
``auc_last`` and ``aumc_last`` end at the last quantified sample, ``tlast`` and ``clast`` are the last sampling day on
which the curve is at or above the LLOQ. ``persistence`` is when the curve falls below the LLOQ for good, and
``auc_inf_pred`` is the area to 20 years. The LLOQ is the median of the subject's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from carkinetics.dataset.table import ABOVE_ULOQ, QUANTIFIED
from carkinetics.errors import ConfigError, did_you_mean
from carkinetics.exposure.curve_metrics import (
    HORIZON,
    areas,
    first_time_below,
    last_time_above,
    levels,
    peak,
)
from carkinetics.exposure.follow_up import beyond
from carkinetics.exposure.table import (
    EXPOSURE_COLUMNS,
    METRICS,
    OF_CURVE,
    Exposure,
    metric_unit,
    window_end,
)
from carkinetics.fit.course import subject_courses
from carkinetics.fit.inputs import known_inputs
from carkinetics.fit.measured import fitted_data, fitted_rows
from carkinetics.fit.predictive import individual_parameters
from carkinetics.fit.result import INTERVAL, Fit
from carkinetics.model.course import Course
from carkinetics.model.expression import NUMPY, evaluate
from carkinetics.model.solve import with_derived

DEFAULT_METRICS = ("cmax", "tmax", "auc_0_28", "auc_0_84", "auc_0_180", "half_life", "persistence")
OF_SAMPLES = (
    "lambda_z_n", "lambda_z_r2_adjusted", "lambda_z_start", "lambda_z_end", "span", "clast_pred", "sampling_start",
    "sampling_end", "auc_inf_obs",
)  # fmt: skip
EXTRAPOLATED = "; extrapolated beyond the last sample"
CHUNK = 20_000  # curves at a time: about 200 MB of work space
Array = NDArray[np.float64]


def exposure_from(fit: Fit, metrics: Iterable[str] | None = None) -> Exposure:
    """Exposure metrics of every subject from a fit.

    Parameters
    ----------
    fit : Fit
        Hierarchical (an interval from the draws) or individual (a value only).
    metrics : iterable of str, optional
        Names as in `carkinetics.exposure.table`; peak, areas, half-life and persistence if not given.

    Returns
    -------
    Exposure
        ``value`` is the median over the draws, ``lower`` and ``upper`` the 90 % equal-tailed interval. A subject
        without any observation, or whose own fit did not converge, has rows that say so. Where a value rests on time after the
        subject's last sample, ``method`` says that it is extrapolated.

    Raises
    ------
    ConfigError
        If a metric is unknown or is a property of the samples and not of a curve.
    """
    wanted = list(dict.fromkeys(metrics or DEFAULT_METRICS))
    for metric in wanted:
        if metric in OF_SAMPLES:
            raise ConfigError(f"{metric} describes the samples, not a fitted curve; use nca for it")
        if metric not in (*METRICS, *OF_CURVE) and window_end(metric) is None:
            raise ConfigError(f"no metric {metric!r}{did_you_mean(metric, (*METRICS, *OF_CURVE))}")
    values, excluded = _subject_values(fit)
    shape = np.broadcast_shapes(*(value.shape for value in values.values()))
    values = {name: np.broadcast_to(value, shape) for name, value in values.items()}
    found = {metric: np.full(shape, np.nan) for metric in wanted}
    observations = fitted_data(fit).observations
    courses = subject_courses(fit.model, fit.data)
    last: dict[str, float] = {}
    for i, subject in enumerate(fit.data.subject_ids):
        if subject in excluded:
            continue
        sampled = Sampled.of(observations[observations["subject"] == subject], courses[i])
        if len(sampled.days):
            last[subject] = float(sampled.days[-1])
        one = {name: np.ascontiguousarray(value[..., i]) for name, value in values.items()}
        for metric, result in metrics_of_one(fit, one, wanted, sampled).items():
            found[metric][..., i] = result
    return _told_beyond(_exposure(fit, found, excluded, last))


def _subject_values(fit: Fit) -> tuple[dict[str, Array], dict[str, str]]:
    """Parameters and inputs with subjects last, and the subjects that have none, with the reason."""
    ids = fit.data.subject_ids
    values = individual_parameters(fit, n_draws=None) | known_inputs(fit.model, fit.data)
    if fit.method == "individual":
        table = fit.individual()
        failed = table[table["status"] != "converged"].drop_duplicates("subject").set_index("subject")
        return values, {
            str(s): f"its fit is not converged: {row['status']}, {row['message']}"
            for s, row in failed.iterrows()
        }
    size = fit.tree["posterior"].sizes
    shape = (size["chain"], size["draw"], len(ids))
    drawn = {
        name: np.broadcast_to(value, (shape[0] * shape[1], len(ids))).reshape(shape)
        for name, value in values.items()
    }
    observed = set(fitted_rows(fit)["subject"])
    return drawn, {s: "no observation: only the prior speaks" for s in ids if s not in observed}


@dataclass(frozen=True)
class Sampled:
    """When a subject was sampled, and what happened to it.

    Parameters
    ----------
    days : ndarray
        Sampling days; empty for a subject that was never sampled.
    last : float
        Day of the last quantified sample; NaN if none.
    lloq : float
        NaN if none.
    course : Course
        Infusions and measured inputs.
    """

    days: Array
    last: float
    lloq: float
    course: Course

    @classmethod
    def of(cls, rows: pd.DataFrame, course: Course) -> Sampled:
        """From the rows of a subject's observations.

        Parameters
        ----------
        rows : pandas.DataFrame
            Observations.
        course : Course
            What happened to the subject.

        Returns
        -------
        Sampled
            Of the samples after the infusion.
        """
        rows = rows[rows["time"] >= 0]
        return cls(
            days=np.unique(rows["time"].to_numpy(float)),
            last=float(rows.loc[rows["status"].isin((QUANTIFIED, ABOVE_ULOQ)), "time"].max()),
            lloq=float(rows["lloq"].median()),
            course=course,
        )


def metrics_of_one(
    fit: Fit, values: Mapping[str, Array], wanted: list[str], sampled: Sampled
) -> dict[str, Array]:
    """All metrics of one subject, for all draws; in chunks, to bound the memory.

    Parameters
    ----------
    fit : Fit
        Whose model.
    values : mapping of str to ndarray, shape (...)
        Parameters and inputs.
    wanted : list of str
        Names of metrics.
    sampled : Sampled
        What some metrics need to know of the samples.

    Returns
    -------
    dict of str to ndarray, shape (...)
        By metric; those that cannot be computed are absent.
    """
    shape = np.shape(next(iter(values.values())))
    flat = {name: np.ravel(value) for name, value in values.items()}
    size = int(np.prod(shape, dtype=int))
    parts = [
        _chunk(fit, {name: value[at : at + CHUNK] for name, value in flat.items()}, wanted, sampled)
        for at in range(0, size, CHUNK)
    ]
    return {metric: np.concatenate([part[metric] for part in parts]).reshape(shape) for metric in parts[0]}


def _chunk(fit: Fit, values: dict[str, Array], wanted: list[str], sampled: Sampled) -> dict[str, Array]:
    model = fit.model
    found: dict[str, Array] = {}
    last, lloq, course = sampled.last, sampled.lloq, sampled.course
    needs_peak = {"cmax", "tmax", "persistence", "time_to_blq"} & set(wanted)
    cmax, tmax = peak(model, values, course) if needs_peak else (np.empty(0), np.empty(0))
    found |= {name: value for name, value in (("cmax", cmax), ("tmax", tmax)) if name in wanted}
    if "persistence" in wanted and lloq > 0:
        found["persistence"] = last_time_above(model, values, lloq, cmax, tmax, course)
    if "time_to_blq" in wanted and lloq > 0:
        found["time_to_blq"] = first_time_below(model, values, lloq, cmax, tmax, course)
    ends: dict[str, float] = {metric: end for metric in wanted if (end := window_end(metric)) is not None}
    if {"auc_last", "auc_extrapolated_percent"} & set(wanted) and last > 0:
        ends["auc_last"] = last
    if {"auc_inf_pred", "auc_extrapolated_percent"} & set(wanted):
        ends["auc_inf_pred"] = HORIZON
    if ends:
        found |= dict(zip(ends, areas(model, values, list(ends.values()), course=course), strict=True))
    if "auc_extrapolated_percent" in wanted and last > 0:
        found["auc_extrapolated_percent"] = 100 * (1 - found["auc_last"] / found["auc_inf_pred"])
    if "aumc_last" in wanted and last > 0:
        found["aumc_last"] = areas(model, values, [last], moment=True, course=course)[0]
    if {"half_life", "lambda_z"} & set(wanted) and "half_life" in model.quantities:
        half_life = evaluate(model.quantities["half_life"].value, with_derived(model, values), NUMPY)
        found |= {"half_life": half_life, "lambda_z": np.log(2) / half_life}
    if "doubling_time" in wanted and "doubling_time" in model.quantities:
        doubling = evaluate(model.quantities["doubling_time"].value, with_derived(model, values), NUMPY)
        found["doubling_time"] = np.broadcast_to(doubling, np.shape(next(iter(values.values()))))
    if {"tlast", "clast"} & set(wanted) and len(sampled.days) and lloq > 0:
        found |= _last_sampled(fit, values, sampled)
    return {metric: value for metric, value in found.items() if metric in wanted}


def _last_sampled(fit: Fit, values: dict[str, Array], sampled: Sampled) -> dict[str, Array]:
    days, size = sampled.days, len(next(iter(values.values())))
    level = levels(fit.model, np.broadcast_to(days, (size, len(days))), values, sampled.course)
    above = level >= sampled.lloq
    at = len(days) - 1 - above[:, ::-1].argmax(axis=1)
    seen = above.any(axis=1)
    return {
        "tlast": np.where(seen, days[at], np.nan),
        "clast": np.where(seen, np.take_along_axis(level, at[:, None], 1)[:, 0], np.nan),
    }


def _told_beyond(exposure: Exposure) -> Exposure:
    """Say of every value that rests on time after the last sample that the model extrapolates."""
    late = {metric: beyond(exposure, metric) for metric in exposure.metrics}
    marked = [late[row.metric][row.subject] for row in exposure.table.itertuples()]
    method = exposure.table["method"] + np.where(marked, EXTRAPOLATED, "")
    return replace(exposure, table=exposure.table.assign(method=method))


def _exposure(
    fit: Fit, found: dict[str, Array], excluded: dict[str, str], last: dict[str, float]
) -> Exposure:
    tail = (1 - INTERVAL) / 2
    drawn = fit.method == "hierarchical"
    method = "model, posterior of the latent curve" if drawn else "model, individual estimate"
    rows = []
    for metric, values in found.items():
        per_subject = values.reshape(-1, values.shape[-1])
        for i, subject in enumerate(fit.data.subject_ids):
            sample = per_subject[:, i]
            reason = excluded.get(subject, "")
            if not reason and np.isnan(sample).all():
                reason = _why_missing(fit, metric, subject)
            low, middle, high = (np.nan,) * 3 if reason else interval_of(sample, tail)
            bounds = (low, high) if drawn else (np.nan, np.nan)
            rows.append(
                (
                    subject,
                    metric,
                    middle,
                    *bounds,
                    metric_unit(metric, fit.model.output().unit),
                    method,
                    reason,
                )
            )
    draws = None
    if drawn:
        posterior = fit.tree["posterior"]
        coords = {"chain": posterior["chain"], "draw": posterior["draw"], "subject": fit.data.subject_ids}
        draws = xr.Dataset({m: (("chain", "draw", "subject"), v) for m, v in found.items()}, coords)
    settings: dict[str, Any] = {
        "source": "model", "method": method, "model": fit.model.name, "fit": fit.name,
        "interval": f"{INTERVAL:.0%} equal-tailed" if drawn else "none",
        "blq": f"{fit.settings['blq']} in the fit; the latent curve has no BLQ",
        "persistence": "the latent level falls below the LLOQ for good", "horizon_days": HORIZON,
        "covariates": [c["text"] for c in fit.settings["covariates"]], "last_sample": last,
    }  # fmt: skip
    return Exposure(pd.DataFrame(rows, columns=list(EXPOSURE_COLUMNS)), draws, settings)


def interval_of(sample: Array, tail: float) -> tuple[float, float, float]:
    """Quantiles that treat infinity (never below the LLOQ) as the largest value, and no crossing as missing.

    Parameters
    ----------
    sample : ndarray
        Draws, at least one of them a number.
    tail : float
        Probability below the lower end, and above the upper one.

    Returns
    -------
    tuple of float
        Lower end, median, upper end.
    """
    kept = np.sort(sample[~np.isnan(sample)])
    positions = ((len(kept) - 1) * np.array([tail, 0.5, 1 - tail])).round().astype(int)
    if np.isfinite(kept[-1]):
        low, middle, high = np.quantile(kept, [tail, 0.5, 1 - tail])
    else:  # interpolating towards infinity gives NaN: take the nearest draw
        low, middle, high = kept[positions]
    return float(low), float(middle), float(high)


def _why_missing(fit: Fit, metric: str, subject: str) -> str:
    rows = fitted_data(fit).observations
    rows = rows[rows["subject"] == subject]
    if metric in ("half_life", "lambda_z") and "half_life" not in fit.model.quantities:
        return f"model {fit.model.name} names no terminal half-life"
    if metric == "doubling_time" and metric not in fit.model.quantities:
        return f"model {fit.model.name} names no doubling time"
    if metric in ("persistence", "time_to_blq", "tlast", "clast") and not (rows["lloq"] > 0).any():
        return "no LLOQ is known for this subject"
    if metric in ("auc_last", "aumc_last", "auc_extrapolated_percent"):
        return "no quantified sample"
    if metric in ("tlast", "clast"):
        return "the curve is below the LLOQ on every sampling day"
    return "the curve could not be computed"

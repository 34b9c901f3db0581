"""Posterior predictive check of exposure: Cmax, Tmax, AUC and Tlast of replicated studies beside the observed.

Conventions
-----------
The statistic is what an analyst would compute: a replicate has the observed sampling times, is censored at the limits of
its rows, and goes through the same non-compartmental analysis as the observed samples. ``new`` subjects have new random
effects: they check the population, its centre and its spread. ``fitted`` subjects keep their parameters: they check the
curves, and are predicted too well, because their samples helped to find them.

A tail probability counts ties by half, since days and BLQ values tie, and ``p`` is twice the smaller tail, the observed study
counted as one more replicate: of n replicates it is never below 1 / (n + 1). The data
made the posterior that predicts them, so that ``p`` is nearer 1 than a uniform number, the more so for fitted subjects: a small one
counts, a large one proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from carkinetics.dataset.table import PREDOSE, is_above, is_censored
from carkinetics.diagnostics.replicate import ceiling_of, limit_of, replicates
from carkinetics.diagnostics.unconverged import RestsOnFit, convergence_of
from carkinetics.errors import ConfigError, DataError, FitError, did_you_mean
from carkinetics.exposure.area import METHODS
from carkinetics.exposure.blq import BLQ_CONVENTIONS, series
from carkinetics.exposure.nca import checked_metrics, metric_values, nca
from carkinetics.exposure.table import metric_unit
from carkinetics.fit.measured import measured_output
from carkinetics.fit.result import INTERVAL, Fit

Floats = NDArray[np.float64]
METRICS = ("cmax", "tmax", "auc_0_28", "tlast")
SUBJECTS = ("new", "fitted")
NOTABLE = 0.05
VALUES = "subjects with a value"


@dataclass(frozen=True, eq=False)
class ExposureCheck(RestsOnFit):
    """Observed exposure beside that of replicated studies.

    Parameters
    ----------
    population : pandas.DataFrame
        One row per kind of subjects, metric and statistic: ``subjects`` (``new`` or ``fitted``), ``metric, statistic,
        observed, lower, median, upper`` (interval over replicates), ``p``.
    individual : pandas.DataFrame
        One row per kind, metric and subject: ``subjects, metric, subject, observed`` (NaN with the reason in
        ``excluded``), ``lower, median, upper, tail`` (share of replicates below the observed value, ties by half),
        ``with_value`` (share of replicates that have one).
    units : dict of str to str
        Unit of every metric.
    settings : dict
        Number of replicates, interval, NCA's method and BLQ convention, rows left out, seed, and ``converged``:
        whether the fit did.
    """

    population: pd.DataFrame
    individual: pd.DataFrame
    units: dict[str, str]
    settings: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<{self._kind}: {', '.join(self.units)}; {self.settings['n_sim']} replicates>"

    @property
    def statement(self) -> str:
        """What differs between observed and predicted, in words."""
        return self._told(" ".join(self._of(kind) for kind in dict.fromkeys(self.population["subjects"])))

    def _of(self, kind: str) -> str:
        rows = self.population[self.population["subjects"] == kind]
        judged = rows[rows["p"].notna()]
        found = [
            f"{row.statistic} of {row.metric} {_number(row.observed)} (predicted {_number(row.lower)} to "
            f"{_number(row.upper)}, p = {row.p:.2g})"
            for row in judged[judged["p"] < NOTABLE].itertuples()
        ]
        each = self.individual[(self.individual["subjects"] == kind) & self.individual["observed"].notna()]
        inside = ((each["lower"] <= each["observed"]) & (each["observed"] <= each["upper"])).mean()
        share = f" {inside:.0%} of single values lie in their {INTERVAL:.0%} intervals." if len(each) else ""
        differ = "differs" if len(found) < 2 else "differ"
        many = f"{len(found) or 'none'} of {len(judged)} statistics {differ} from what was predicted"
        which = f" (p < {NOTABLE:g}): {'; '.join(found)}." if found else f" (p < {NOTABLE:g})."
        return f"{kind.capitalize()} subjects: {many}{which}{share}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def check_exposure(
    fit: Fit,
    metrics: Iterable[str] = METRICS,
    *,
    subjects: Iterable[str] = SUBJECTS,
    n_sim: int = 300,
    method: str = METHODS[0],
    blq: str = "zero-before-then-drop",
    seed: int = 1,
    output: str = "",
) -> ExposureCheck:
    """Compare observed non-compartmental exposure with that of replicated studies.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    metrics : iterable of str
        Any that `carkinetics.nca` computes.
    subjects : iterable of {"new", "fitted"}
        New random effects, or each subject's own.
    n_sim : int
        Number of replicates.
    method, blq : str
        As of `carkinetics.nca`, for observed and simulated samples.
    seed : int
        Seed of the replicates.
    output : str
        Which output of the model; the CAR-T level if empty.

    Returns
    -------
    ExposureCheck
        Per subject, and of the population: geometric mean and geometric CV of levels and areas, median and
        interquartile range of days and rates, number of subjects with a value.

    Raises
    ------
    ConfigError
        If a metric, a kind of subjects, the method, the convention or the output does not exist.
    FitError
        If the fit has no posterior, or no replicate can be computed.
    DataError
        If there is no sample after the infusion.

    References
    ----------
    .. [1] Yano Y, Beal SL, Sheiner LB. J Pharmacokinet Pharmacodyn 2001;28:171-192.
    """
    names, kinds = checked_metrics(metrics), list(subjects)
    for kind in kinds:
        if kind not in SUBJECTS:
            raise ConfigError(f"check_exposure: subjects has {kind!r}{did_you_mean(kind, SUBJECTS)}")
    if not names or not kinds:
        raise ConfigError("check_exposure: expected at least one metric and one kind of subjects")
    if blq not in BLQ_CONVENTIONS:
        raise ConfigError(f"blq is {blq!r}{did_you_mean(blq, BLQ_CONVENTIONS)}")
    rows, left_out = _rows(fit, output)
    observed = _observed(fit, rows, names, method, blq, output)
    population, individual, n_failed = [], [], 0
    for kind in kinds:
        made = replicates(
            fit, rows=rows, same_subjects=kind == "fitted", n_draws=n_sim, seed=seed, output=output
        )
        computed = np.isfinite(made.value).all(axis=1)
        n_failed += int((~computed).sum())
        if not computed.any():
            raise FitError("check_exposure: no replicate could be computed; the equations give no number")
        simulated = replicate_metrics(rows, made.value[computed], fit, names, method, blq)
        for k, name in enumerate(names):
            seen = observed[observed["metric"] == name]
            individual.append(_individual(kind, name, seen, simulated[..., k]))
            population.append(_population(kind, name, seen["value"].to_numpy(float), simulated[..., k]))
    unit = fit.model.output(output).unit
    settings = {
        "n_sim": n_sim, "n_failed": n_failed, "interval": f"{100 * INTERVAL:g}% equal-tailed over replicates",
        "method": method, "blq": blq, "left_out": left_out, "seed": seed, "output": output,
        "converged": convergence_of(fit),
    }  # fmt: skip
    units = {name: metric_unit(name, unit) for name in names}
    return ExposureCheck(
        pd.concat(population, ignore_index=True), pd.concat(individual, ignore_index=True), units, settings
    )


def _rows(fit: Fit, output: str) -> tuple[pd.DataFrame, dict[str, int]]:
    """Samples that a replicate measures anew: those that the analysis of the observed ones uses."""
    table = fit.data.observations
    table = table[(table["assay"] == measured_output(fit, output).assay) & (table["status"] != PREDOSE)]
    censored, time = is_censored(table), table["time"].to_numpy(float)
    reasons = {
        "before the infusion, or without a time": ~(time >= 0),
        "BLQ without a known limit": censored & np.isnan(limit_of(table)),
        "quantified, but without a value": ~censored & ~is_above(table) & table["value"].isna().to_numpy(),
    }
    out = np.logical_or.reduce(list(reasons.values()))
    if out.all():
        raise DataError("check_exposure: no sample after the infusion is quantified or has a known LLOQ")
    # In the order of the data's subjects, which is that of `nca`; by name P10 would come before P9.
    order = pd.Categorical(table["subject"], fit.data.subject_ids)
    rows = table.assign(order=order)[~out].sort_values(["order", "time"], kind="stable", ignore_index=True)
    return rows.drop(columns="order"), {reason: int(mask.sum()) for reason, mask in reasons.items()}


def _observed(
    fit: Fit, rows: pd.DataFrame, names: list[str], method: str, blq: str, output: str
) -> pd.DataFrame:
    """NCA of the observed samples, subjects in the order of their rows."""
    assay = measured_output(fit, output).assay
    kept = replace(fit.data, observations=rows)
    table = nca(kept, metrics=names, method=method, blq=blq, assay=assay).table
    return table[table["subject"].isin(rows["subject"])]


def replicate_metrics(
    rows: pd.DataFrame, values: Floats, fit: Fit, metrics: list[str], method: str, blq: str
) -> Floats:
    """Non-compartmental metrics of replicated samples, censored as the observed ones would have been.

    Parameters
    ----------
    rows : pandas.DataFrame
        The samples, by subject and time, n_obs of them.
    values : ndarray, shape (n_sim, n_obs)
        Uncensored replicates.
    fit : Fit
        Whose assays may have an upper limit of quantification.
    metrics : list of str
        Metrics that exist.
    method, blq : str
        As of `carkinetics.nca`.

    Returns
    -------
    ndarray, shape (n_sim, n_subjects, n_metrics)
        Subjects in the order of their rows; NaN where `carkinetics.nca` gives no value.
    """
    limit, time = limit_of(rows), rows["time"].to_numpy(float)
    below = values < limit
    level = np.minimum(values, ceiling_of(rows, fit.data))
    whose = rows["subject"].to_numpy()
    starts = np.flatnonzero(np.append(True, whose[1:] != whose[:-1]))
    found = np.full((len(values), len(starts), len(metrics)), np.nan)
    for i, (a, b) in enumerate(zip(starts, np.append(starts[1:], len(rows)), strict=True)):
        if (
            np.diff(time[a:b]) <= 0
        ).any():  # two samples on one day: nca refuses them, and so would every replicate
            continue
        negative = ((level[:, a:b] < 0) & ~below[:, a:b]).any(axis=1)
        for s, (one, missing) in enumerate(zip(level[:, a:b], below[:, a:b], strict=True)):
            problem = "a quantified level is negative" if negative[s] else ""
            profile = series(time[a:b], one, missing, limit[a:b], blq, problem)
            found[s, i] = metric_values(profile, metrics, method)
    return found


def _individual(kind: str, metric: str, seen: pd.DataFrame, simulated: Floats) -> pd.DataFrame:
    value = seen["value"].to_numpy(float)
    known = ~np.isnan(simulated)
    low, middle, high = (_quantile(simulated, p) for p in ((1 - INTERVAL) / 2, 0.5, (1 + INTERVAL) / 2))
    return pd.DataFrame(
        {
            "subjects": kind, "metric": metric, "subject": seen["subject"].to_numpy(), "observed": value,
            "excluded": seen["excluded"].to_numpy(), "lower": low, "median": middle, "upper": high,
            "tail": [_tail(v, column) for v, column in zip(value, simulated.T, strict=True)],
            "with_value": known.mean(axis=0),
        }
    )  # fmt: skip


def _quantile(values: Floats, p: float) -> Floats:
    """Quantile of every column over what is known; NaN where nothing is."""
    return np.array(
        [
            np.quantile(column[~np.isnan(column)], p) if (~np.isnan(column)).any() else np.nan
            for column in values.T
        ]
    )


def _tail(observed: float, simulated: Floats) -> float:
    known = simulated[~np.isnan(simulated)]
    if np.isnan(observed) or not len(known):
        return np.nan
    return float((known < observed).mean() + 0.5 * (known == observed).mean())


def _statistics(metric: str) -> dict[str, Callable[[Floats], float]]:
    """What is said of a population; levels and areas are compared as logs."""
    if metric.startswith(("cmax", "clast", "auc", "aumc")) and not metric.endswith("percent"):
        return {"geometric mean": _geometric_mean, "geometric CV %": _geometric_cv}
    return {"median": lambda x: float(np.median(x)), "interquartile range": _range}


def _geometric_mean(x: Floats) -> float:
    positive = x[x > 0]
    return float(np.exp(np.log(positive).mean())) if len(positive) else np.nan


def _geometric_cv(x: Floats) -> float:
    positive = x[x > 0]
    return float(100 * np.sqrt(np.expm1(np.log(positive).var(ddof=1)))) if len(positive) > 1 else np.nan


def _range(x: Floats) -> float:
    return float(np.subtract(*np.quantile(x, [0.75, 0.25])))


def _population(kind: str, metric: str, observed: Floats, simulated: Floats) -> pd.DataFrame:
    rows = []
    statistics = {**_statistics(metric), VALUES: lambda x: float(len(x))}
    for name, of in statistics.items():

        def value(sample: Floats, of: Callable[[Floats], float] = of, name: str = name) -> float:
            known = sample[~np.isnan(sample)]
            return of(known) if len(known) or name == VALUES else np.nan

        seen, each = value(observed), np.array([value(one) for one in simulated])
        tail, known = _tail(seen, each), each[~np.isnan(each)]
        low, middle, high = (
            np.quantile(known, [(1 - INTERVAL) / 2, 0.5, (1 + INTERVAL) / 2]) if len(known) else (np.nan,) * 3
        )
        among = (len(known) * tail + 0.5) / (len(known) + 1)  # with itself, a tie
        p = min(2 * min(among, 1 - among), 1.0)  # NaN if the tail is
        rows.append((kind, metric, name, seen, low, middle, high, p))
    columns = ["subjects", "metric", "statistic", "observed", "lower", "median", "upper", "p"]
    return pd.DataFrame(rows, columns=columns)

"""Regression of the time to an event: Cox's model, and parametric ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from scipy import linalg, optimize, stats

from carkinetics.errors import ConfigError, DataError, FitError, did_you_mean
from carkinetics.exposure.area import Floats
from carkinetics.response.survival import times_and_events
from carkinetics.response.terms import (
    RUNAWAY,
    coefficient_table,
    design_matrix,
    standardised,
    usable_rows,
    with_intercept,
)

TIES = ("efron", "breslow", "exact")
# log T = location + scale * noise; the noise of each family.
FAMILIES: dict[str, Any] = {
    "exponential": stats.gumbel_l, "weibull": stats.gumbel_l, "lognormal": stats.norm, "loglogistic": stats.logistic,
}  # fmt: skip


def _inputs(
    table: pd.DataFrame, duration: str, event: str, on: str | Iterable[str]
) -> tuple[Floats, Floats, pd.DataFrame]:
    names = [on] if isinstance(on, str) else list(on)
    rows = usable_rows(table, [duration, event], names)
    time, kind, label = times_and_events(rows[duration], rows[event])
    if (kind > 1).any():
        raise DataError(
            f"row {label[kind > 1][0]!r}: event is {kind[kind > 1][0]}; expected 0 (censored) or 1"
        )
    if not kind.any():
        raise DataError(f"no event among {len(rows)} subjects: nothing can be estimated")
    return time, kind.astype(float), design_matrix(rows, names)


def cox(
    table: pd.DataFrame,
    *,
    duration: str,
    event: str,
    on: str | Iterable[str],
    start: str = "",
    ties: str = "efron",
    level: float = 0.95,
) -> pd.DataFrame:
    """Cox regression.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per subject.
    duration, event : str
        Columns with the time to the event or to censoring, and 1 or 0 for which of the two.
    on : str or iterable of str
        Predictors. Text becomes an indicator of every level but the first.
    start : str
        Column with the time from which a row is at risk, before ``duration``: several rows per subject for a predictor that changes with
        time, or late entry. All rows are at risk from the beginning if not given.
    ties : {"efron", "breslow", "exact"}
        Treatment of equal times; exact takes time for discrete, and no ``start``.
    level : float
        Probability of the intervals.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``term``: ``coef, se, lower, upper, z, p, hazard_ratio``. In ``.attrs``: ``covariance, log_likelihood,
        log_likelihood_null, n, events, ties, level``.

    Raises
    ------
    ConfigError
        If ``ties`` is something else.
    DataError
        If columns or values are missing or make no sense, or there is no event.
    FitError
        If a coefficient is infinite: the predictor puts events in order.

    References
    ----------
    .. [1] Cox DR. J R Stat Soc B 1972;34:187-220.
    .. [2] Efron B. J Am Stat Assoc 1977;72:557-565.
    """
    if ties not in TIES:
        raise ConfigError(f"ties is {ties!r}{did_you_mean(str(ties), TIES)}")
    time, kind, design = _inputs(table, duration, event, on)
    entry = _entry(table, start, time, ties) if start else None
    scaled, back = (part[:, 1:] for part in standardised(with_intercept(design)))
    back = back[1:]
    model = (
        _exact_model(time, kind, scaled)
        if ties == "exact"
        else _partial_likelihood(time, kind, scaled, ties, entry)
    )
    zero = np.zeros(scaled.shape[1])
    found = optimize.minimize(lambda b: -model.loglike(b), zero, jac=lambda b: -np.asarray(model.score(b)), method="BFGS",
                              options={"gtol": 1e-7})  # fmt: skip
    information = -np.asarray(model.hessian(found.x)).reshape(len(zero), len(zero))
    if np.abs(found.x).max() > RUNAWAY or np.linalg.eigvalsh(information).min() < 1e-8:
        term = design.columns[np.abs(found.x).argmax()]
        raise FitError(
            f"cox: the coefficient of {term} has no finite estimate: it puts the {int(kind.sum())} events in order; use fewer "
            "predictors, or fit_event, whose prior keeps it finite"
        )
    if np.abs(np.asarray(model.score(found.x))).max() > 1e-4:
        raise FitError(f"cox: not converged: the slope of the likelihood is {np.abs(found.jac).max():.2g}")
    covariance = back @ np.linalg.inv(information) @ back.T
    result = coefficient_table(design.columns, back @ found.x, covariance, level)
    result["hazard_ratio"] = np.exp(result["coef"])
    result.attrs |= {
        "log_likelihood": float(model.loglike(found.x)), "log_likelihood_null": float(model.loglike(zero)),
        "n": len(time), "events": int(kind.sum()), "ties": ties, "level": level,
    }  # fmt: skip
    return result


def _entry(table: pd.DataFrame, start: str, time: Floats, ties: str) -> Floats:
    """Times from which rows are at risk."""
    if ties == "exact":
        raise ConfigError("start: the exact treatment of ties has none; use 'efron'")
    entry = pd.to_numeric(usable_rows(table, [start], [])[start], errors="coerce").to_numpy(float)
    wrong = ~(entry < time)
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"row {table.index[row]!r}: {start} is {entry[row]:g}; expected a number before its end, {time[row]:g}"
        )
    # A row is at risk after its start, so not for an event at that very time; statsmodels takes it in.
    return np.asarray(np.nextafter(entry, np.inf))


def _partial_likelihood(time: Floats, event: Floats, design: Floats, ties: str, entry: Floats | None) -> Any:
    from statsmodels.duration.hazard_regression import PHReg

    return PHReg(time, design, status=event, ties=ties, entry=entry)


def _exact_model(time: Floats, event: Floats, design: Floats) -> Any:
    """The exact partial likelihood is a conditional logistic one: who of those at risk had the event, at each time."""
    from statsmodels.discrete.conditional_models import ConditionalLogit

    groups, outcomes, rows = [], [], []
    for k, when in enumerate(np.unique(time[event == 1])):
        at_risk = np.flatnonzero(time >= when)
        now = (time[at_risk] == when) & (event[at_risk] == 1)
        if now.all():
            continue  # everyone at risk had it: nothing to compare
        groups += [k] * len(at_risk)
        outcomes += now.astype(int).tolist()
        rows.append(design[at_risk])
    return ConditionalLogit(np.array(outcomes), np.concatenate(rows), groups=np.array(groups))


def parametric_survival(
    table: pd.DataFrame, *, duration: str, event: str, on: str | Iterable[str] = (), family: str = "weibull",
    level: float = 0.95,
) -> pd.DataFrame:  # fmt: skip
    """Accelerated failure time: the log of the time is linear in the predictors.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per subject.
    duration, event : str
        Columns with the time to the event or to censoring, above 0, and 1 or 0 for which of the two.
    on : str or iterable of str
        Predictors; none for the distribution alone.
    family : {"weibull", "exponential", "lognormal", "loglogistic"}
        Distribution of the time.
    level : float
        Probability of the intervals.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``term``: ``(intercept)``, the predictors, and ``log(scale)`` except for the exponential; ``coef, se, lower,
        upper, z, p``. In ``.attrs``: ``log_likelihood`` (of the time, as R's survreg), ``family, n, events, level``.

    Raises
    ------
    ConfigError
        If ``family`` is something else.
    DataError
        If columns or values are missing or make no sense, or there is no event.
    FitError
        If it does not converge.

    References
    ----------
    .. [1] Kalbfleisch JD, Prentice RL. The statistical analysis of failure time data. 2nd ed. Wiley 2002, chapter 3.
    """
    if family not in FAMILIES:
        raise ConfigError(f"family is {family!r}{did_you_mean(str(family), FAMILIES)}")
    names = [on] if isinstance(on, str) else list(on)
    time, kind, design = _inputs(table, duration, event, names)
    if (time <= 0).any():
        raise DataError(
            f"row {table.index[time <= 0][0]!r}: time is 0, which has no logarithm; add the day of the infusion"
        )
    (x, back), noise, log_time = standardised(with_intercept(design)), FAMILIES[family], np.log(time)
    fixed = family == "exponential"
    back = back if fixed else linalg.block_diag(back, 1.0)

    def log_likelihood(values: Floats) -> float:
        scale = 1.0 if fixed else np.exp(values[-1])
        z = (log_time - x @ values[: x.shape[1]]) / scale
        each = np.where(kind == 1, noise.logpdf(z) - np.log(scale) - log_time, noise.logsf(z))
        return float(each.sum())

    start = np.zeros(x.shape[1] + (not fixed))
    start[0] = np.log(time.sum() / kind.sum())
    found = optimize.minimize(lambda values: -log_likelihood(values), start, method="BFGS")
    from statsmodels.tools.numdiff import approx_fprime, approx_hess

    slope = np.abs(approx_fprime(found.x, log_likelihood, centered=True)).max()
    if slope > 1e-2:
        raise FitError(
            f"{family}: not converged: the slope of the likelihood is {slope:.2g}; are predictors on one scale?"
        )
    covariance = back @ np.linalg.inv(-approx_hess(found.x, log_likelihood)) @ back.T
    terms = ["(intercept)", *design.columns, *([] if fixed else ["log(scale)"])]
    result = coefficient_table(terms, back @ found.x, covariance, level)
    result.attrs |= {
        "log_likelihood": log_likelihood(found.x), "family": family, "n": len(time), "events": int(kind.sum()), "level": level,
    }  # fmt: skip
    return result

"""How much a covariate matters: exposure of a typical subject at its low and high end, against the reference.

The *reference* is the typical subject: every covariate at its centre, no random effects. One covariate at a time
is moved, in every effect that it has and in every posterior draw, the curve is computed anew, and its metric is divided by
that of the reference in the same draw. Covariates are told apart by the column that they read: ``log(dose)`` on Cmax and on
alpha are one covariate, and so are all comparisons with the categories of ``tumour``. An effect that reads several columns
is a covariate of its own, moved over its own values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq

from carkinetics.errors import ConfigError, FitError, did_you_mean
from carkinetics.exposure.posterior import Sampled, metrics_of_one
from carkinetics.exposure.table import window_end
from carkinetics.exposure.typical import with_default_inputs
from carkinetics.fit.chosen import Draws, take_draws
from carkinetics.fit.course import typical_course
from carkinetics.fit.covariate import covariate_frame, covariate_values
from carkinetics.fit.predictive import add_random_effects
from carkinetics.fit.result import INTERVAL, Fit
from carkinetics.model.course import Course
from carkinetics.model.expression import parse

OF_CURVES = ("cmax", "tmax", "half_life", "lambda_z", "auc_inf_pred")
BETWEEN = "between subjects"
VIRTUAL_SUBJECTS = 4000
FOREST_COLUMNS = ("covariate", "level", "value", "reference", "metric", "ratio", "lower", "upper")
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CovariateForest:
    """Ratios of exposure to that of the typical subject.

    Parameters
    ----------
    table : pandas.DataFrame
        ``covariate, level, value, reference, metric, ratio, lower, upper``. ``level`` is ``"P5"`` and ``"P95"`` for a
        continuous covariate, whose ``value`` and ``reference`` are in the unit of its column, and the category otherwise.
        ``ratio`` is the posterior median with its 90 % interval; in rows of the covariate ``"between subjects"`` it is the
        median, 5th and 95th percentile of subjects that differ by their random effects alone.
    draws : pandas.DataFrame
        The ratio in every draw; columns ``covariate, level, metric``, without those of ``"between subjects"``.
    statement : str
        The largest effect, and how many lie within the limits.
    settings : dict
        Model, percentiles, limits, interval, draws, seed.
    """

    table: pd.DataFrame
    draws: pd.DataFrame
    statement: str
    settings: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        covariates = [name for name in dict.fromkeys(self.table["covariate"]) if name != BETWEEN]
        return f"<CovariateForest: {', '.join(covariates)} on {', '.join(self.settings['metrics'])}>"


@dataclass(frozen=True, eq=False)
class _Level:
    """One row: what the centred effects of a covariate are there, and the infused amount where that is the covariate."""

    covariate: str
    name: str
    value: float
    reference: float | str
    effects: dict[str, float]
    doses: tuple[float, float] | None = None


def covariate_forest(
    fit: Fit,
    metrics: Iterable[str] = ("cmax", "auc_0_28"),
    *,
    percentiles: tuple[float, float] = (5, 95),
    limits: tuple[float, float] = (0.8, 1.25),
    n_draws: int | None = None,
    seed: int = 1,
) -> CovariateForest:
    """Exposure of a typical subject at the low and the high end of each covariate, against the reference.

    Parameters
    ----------
    fit : Fit
        Hierarchical, with covariates.
    metrics : iterable of str
        Metrics of a curve alone: ``cmax``, ``tmax``, areas such as ``auc_0_28``, ``half_life``, ``lambda_z``, ``auc_inf_pred``.
    percentiles : tuple of float
        Of a continuous covariate over the subjects of the fit.
    limits : tuple of float
        Ratios that count as alike; for the sentence and the figure.
    n_draws : int, optional
        Number of posterior draws; all if not given.
    seed : int
        Seed of the choice of draws and of the random effects between subjects.

    Returns
    -------
    CovariateForest
        Ratios with 90 % intervals, and the range between subjects for scale.

    Raises
    ------
    FitError
        If the fit has no posterior or no covariates.
    ConfigError
        If a metric, the percentiles or the limits do not make sense.

    Notes
    -----
    Inputs of the model stay at their defaults, a subject of two classes is of the first, and one infusion has the median
    dose. Where the dose is both infused into a state and the covariate, it is the infused amount that changes, too.

    References
    ----------
    .. [1] Marier JF, Teuscher N, Mouksassi MS. CPT Pharmacometrics Syst Pharmacol 2022;11:1283-1293.
    """
    wanted = _wanted(fit, metrics, percentiles, limits)
    draws = take_draws(fit, n_draws, seed)
    typical = with_default_inputs(fit, draws.typical)
    course = typical_course(fit.model, fit.data)
    reference = _metrics(fit, typical, wanted, course)
    ratios: dict[tuple[str, str, str], Floats] = {}
    rows: list[tuple[Any, ...]] = []
    for level in _levels(fit, percentiles):
        moved = _metrics(fit, typical | _moved(fit, draws, level.effects), wanted, _infused(level, course, 0))
        own = _metrics(fit, typical, wanted, _infused(level, course, 1)) if level.doses else reference
        for metric in wanted:
            ratio = moved[metric] / own[metric]
            ratios[level.covariate, level.name, metric] = ratio
            rows.append((level.covariate, level.name, level.value, level.reference, metric, *_summary(ratio)))
    rows += _between(fit, wanted, course, seed)
    table = pd.DataFrame(rows, columns=list(FOREST_COLUMNS))
    columns = pd.MultiIndex.from_tuples(ratios, names=["covariate", "level", "metric"])
    return CovariateForest(
        table,
        pd.DataFrame(np.column_stack(list(ratios.values())), columns=columns),
        _statement(table, limits),
        settings={
            "model": fit.model.name, "metrics": wanted, "percentiles": percentiles, "limits": limits,
            "interval": f"{INTERVAL:.0%} equal-tailed", "between_subjects": "5th to 95th percentile, random effects alone",
            "n_draws": len(ratios[next(iter(ratios))]), "seed": seed,
        },
    )  # fmt: skip


def _wanted(
    fit: Fit, metrics: Iterable[str], percentiles: tuple[float, float], limits: tuple[float, float]
) -> list[str]:
    wanted = list(dict.fromkeys(metrics))
    for metric in wanted:
        if metric not in OF_CURVES and window_end(metric) is None:
            raise ConfigError(
                f"covariate_forest: {metric!r} is not a metric of a curve alone{did_you_mean(metric, [*OF_CURVES, 'auc_0_28'])}"
            )
        if metric in ("half_life", "lambda_z") and "half_life" not in fit.model.quantities:
            raise ConfigError(f"covariate_forest: model {fit.model.name} names no terminal half-life")
    if not wanted:
        raise ConfigError("covariate_forest: no metric; expected for instance ('cmax', 'auc_0_28')")
    low, high = percentiles
    if not 0 <= low < high <= 100:
        raise ConfigError(
            f"percentiles are {percentiles!r}; expected two between 0 and 100, the lower one first"
        )
    if not 0 < limits[0] < 1 < limits[1]:
        raise ConfigError(f"limits are {limits!r}; expected one between 0 and 1 and one above 1")
    if fit.method == "hierarchical" and not fit.settings.get("covariates"):
        raise FitError('this fit has no covariates; fit with covariates={"cmax": "log(dose)"}')
    return wanted


def _moved(fit: Fit, draws: Draws, effects: Mapping[str, float]) -> dict[str, Floats]:
    """Parameters of the typical subject that differ where some covariates are not at their centre."""
    free: dict[str, Floats] = {}
    for covariate in fit.settings["covariates"]:
        if covariate["name"] in effects:
            name = covariate["parameter"]
            start = free.get(name, fit.model.parameters[name].to_free(draws.typical[name]))
            free[name] = start + draws.slopes[covariate["name"]] * effects[covariate["name"]]
    return {name: fit.model.parameters[name].from_free(value) for name, value in free.items()}


def _metrics(fit: Fit, values: Mapping[str, Floats], wanted: list[str], course: Course) -> dict[str, Floats]:
    return metrics_of_one(fit, values, wanted, Sampled(np.empty(0), np.nan, np.nan, course))


def _infused(level: _Level, course: Course, which: int) -> Course:
    return Course(((0.0, level.doses[which]),)) if level.doses else course


def _levels(fit: Fit, percentiles: tuple[float, float]) -> list[_Level]:
    """The rows of every covariate of a fit."""
    frame = covariate_frame(fit.data)
    groups: dict[str, list[dict[str, Any]]] = {}
    for covariate in fit.settings["covariates"]:
        columns = parse(
            covariate["text"], [c for c in frame if c != "subject"], where="covariates", words=True
        ).names()
        groups.setdefault(next(iter(columns)) if len(columns) == 1 else covariate["text"], []).append(
            covariate
        )
    found = []
    for name, covariates in groups.items():
        seen = pd.DataFrame({c["name"]: fit.tree["constant_data"][c["name"]].to_numpy() for c in covariates})
        column = frame.get(name)
        words = column is not None and not pd.api.types.is_numeric_dtype(column)
        if words or len(seen.drop_duplicates()) <= 2:
            found += _categories(name, covariates, seen, column)
        elif column is None:
            found += _of_text(name, covariates[0], seen, percentiles)
        else:
            found += _continuous(fit, name, covariates, column.astype(float), percentiles)
    return found


def _categories(
    name: str, covariates: list[dict[str, Any]], seen: pd.DataFrame, column: pd.Series | None
) -> list[_Level]:
    """One row per combination of effects that is not the reference's, which has none."""
    named = column is not None and (column.nunique() <= 2 or not pd.api.types.is_numeric_dtype(column))
    labels: dict[tuple[float, ...], str] = {}
    for effects, block in seen.groupby(list(seen.columns), sort=True):
        if column is not None and named:
            labels[effects] = " or ".join(sorted({_word(value) for value in column[block.index]}))
        else:  # a comparison of numbers, such as age > 65
            labels[effects] = "yes" if effects[0] + covariates[0]["centre"] else "no"
    reference = labels.pop((0.0,) * len(covariates), "centre")
    title = name if named else covariates[0]["text"]
    return [
        _Level(title, text, np.nan, reference, dict(zip(map(str, seen.columns), effects, strict=True)))
        for effects, text in labels.items()
    ]


def _word(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float | np.number) else str(value)


def _of_text(
    name: str, covariate: dict[str, Any], seen: pd.DataFrame, percentiles: tuple[float, float]
) -> list[_Level]:
    """An effect of several columns at percentiles of its own value."""
    ends = np.percentile(seen[covariate["name"]], percentiles)
    return [
        _Level(name, f"P{p:g}", float(x + covariate["centre"]), covariate["centre"], {covariate["name"]: x})
        for p, x in zip(percentiles, ends, strict=True)
    ]


def _continuous(
    fit: Fit,
    name: str,
    covariates: list[dict[str, Any]],
    column: pd.Series,
    percentiles: tuple[float, float],
) -> list[_Level]:
    """A column of numbers at its percentiles, in all its effects."""
    reference = _reference(name, covariates[0], column)
    infused = name == "dose" and fit.model.infused and np.isfinite(reference)
    return [
        _Level(
            name,
            f"P{p:g}",
            float(value),
            reference,
            {c["name"]: _effect(name, c, float(value)) for c in covariates},
            (float(value), reference) if infused else None,
        )
        for p, value in zip(percentiles, np.percentile(column, percentiles), strict=True)
    ]


def _effect(name: str, covariate: Mapping[str, Any], value: float) -> float:
    """Centred effect at a value of its column."""
    frame = pd.DataFrame({"subject": [f"{name} {value:g}"], name: [value]})
    return float(
        covariate_values(frame, covariate["text"], "covariate_forest")[0] - float(covariate["centre"])
    )


def _reference(name: str, covariate: Mapping[str, Any], column: pd.Series) -> float:
    """Value of a column at which an effect is zero; NaN if it is not the only one, or beyond the subjects."""
    ordered = np.sort(column.unique())
    effects = np.array([_effect(name, covariate, value) for value in ordered])
    steps = np.diff(effects)
    if not ((steps > 0).all() or (steps < 0).all()) or effects[0] * effects[-1] > 0:
        return float("nan")
    return float(brentq(lambda value: _effect(name, covariate, value), ordered[0], ordered[-1], rtol=1e-10))


def _between(fit: Fit, wanted: list[str], course: Course, seed: int) -> list[tuple[Any, ...]]:
    """Range of subjects that differ by random effects alone, each against the typical subject of its draw."""
    draws = take_draws(fit, VIRTUAL_SUBJECTS, seed)
    if not draws.omega:
        return []
    centre = {name: value[:, None] for name, value in draws.typical.items()}
    drawn = add_random_effects(fit.model, draws, centre, np.random.default_rng([seed, 1]))
    own = _metrics(
        fit, with_default_inputs(fit, {name: value[:, 0] for name, value in drawn.items()}), wanted, course
    )
    typical = _metrics(fit, with_default_inputs(fit, draws.typical), wanted, course)
    return [
        (BETWEEN, "P5–P95", np.nan, "typical", metric, *_summary(own[metric] / typical[metric]))
        for metric in wanted
    ]


def _summary(ratio: Floats) -> tuple[float, float, float]:
    tail = (1 - INTERVAL) / 2
    middle, low, high = np.quantile(ratio, [0.5, tail, 1 - tail])
    return float(middle), float(low), float(high)


def _statement(table: pd.DataFrame, limits: tuple[float, float]) -> str:
    """Put the largest effect and its scale into words."""
    rows, between = table[table["covariate"] != BETWEEN], table[table["covariate"] == BETWEEN]
    top = rows.loc[np.log(rows["ratio"]).abs().idxmax()]
    outside = ((rows["upper"] < limits[0]) | (rows["lower"] > limits[1])).sum()
    inside = ((rows["lower"] >= limits[0]) & (rows["upper"] <= limits[1])).sum()
    scale = between[between["metric"] == top["metric"]]
    range_ = (
        f" Subjects differ in {top['metric']} by factors of {scale['lower'].iloc[0]:.2f} to {scale['upper'].iloc[0]:.2f} "
        "(5th to 95th percentile) beside their covariates."
        if len(scale)
        else ""
    )
    return (
        f"The largest effect is that of {top['covariate']} at {top['level']}: {top['metric']} is {top['ratio']:.2f} times the "
        f"typical subject's ({INTERVAL:.0%} CrI {top['lower']:.2f} to {top['upper']:.2f}). Of {len(rows)} intervals {inside} lie "
        f"within {limits[0]:.2f} to {limits[1]:.2f} and {outside} outside.{range_}"
    )

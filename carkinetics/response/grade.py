"""Does a higher exposure go with response or with a severe toxicity: logistic exposure-response.

logit P(outcome) = intercept + slope × x, with x = ln(metric) or the metric itself.

Conventions
-----------
Weakly informative normal priors with mean 0 act on the predictor centred and scaled to standard deviation
0.5, with the scales of Gelman 2008: 2.5 for the slope, 10 for the intercept. They are normal and not Cauchy,
because under separation a Cauchy prior leaves a posterior without a mean (Ghosh 2018). Centre and scale come
from the point values of the exposure, so the prior is the same for every draw.

The exposures are known only up to their posterior. For each of a number of exposure draws, coefficients are
drawn from the regression's posterior and all are pooled, so the interval carries the kinetic uncertainty.
The outcome does not feed back on the exposure (a two-stage analysis); where exposures are very uncertain this
flattens the slope, it does not steepen it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from carkinetics.dataset.table import Dataset
from carkinetics.errors import ConfigError, DataError
from carkinetics.exposure.area import Floats
from carkinetics.exposure.table import Exposure
from carkinetics.response.binary import is_separated
from carkinetics.response.coefficients import sample_coefficients
from carkinetics.response.inputs import usable_exposure
from carkinetics.response.outcome import parse_outcome

MINIMUM_SUBJECTS = 3
POOLED = 4000
GRID_POINTS = 101
_LOG = re.compile(r"log\(\s*([\w.]+)\s*\)")


@dataclass(frozen=True, eq=False)
class GradeModel:
    """Logistic model of an outcome on exposure.

    Parameters
    ----------
    table : pandas.DataFrame
        ``parameter, value, lower, upper, unit``: median and interval of ``intercept``, ``slope`` and
        ``odds_ratio_per_doubling`` (predictor ``log(metric)``) or ``odds_ratio_per_sd`` (metric itself).
    draws : pandas.DataFrame
        ``exposure_draw, intercept, slope``: pooled posterior draws.
    curve : pandas.DataFrame
        ``x`` (exposure in its unit), ``median, lower, upper``: probability of the outcome.
    observed : pandas.DataFrame
        ``subject, exposure, lower, upper, outcome``: who was analysed; point values and interval of exposure.
    n, events : int
        Number of subjects and of those with the outcome.
    excluded : pandas.DataFrame
        ``subject, reason``: who is not in the analysis.
    separated : bool
        Whether exposure separates the subjects with the outcome from those without.
    statement : str
        The result as a sentence.
    settings : dict
        Outcome, predictor, prior, interval, draws, seed.
    """

    table: pd.DataFrame
    draws: pd.DataFrame
    curve: pd.DataFrame
    observed: pd.DataFrame
    n: int
    events: int
    excluded: pd.DataFrame
    separated: bool
    statement: str
    settings: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        outcome, on = self.settings.get("outcome"), self.settings.get("on")
        return f"<GradeModel: {outcome} on {on}, {self.events} events in {self.n} subjects>"


def split_predictor(on: str) -> tuple[str, bool]:
    """Read a predictor.

    Parameters
    ----------
    on : str
        ``"log(metric)"`` or a metric.

    Returns
    -------
    tuple of (str, bool)
        The metric, and whether its logarithm is taken.

    Raises
    ------
    ConfigError
        If it is neither.
    """
    match = _LOG.fullmatch(on.strip())
    if match:
        return match[1], True
    if not re.fullmatch(r"[\w.]+", on.strip()):
        raise ConfigError(f"on is {on!r}; expected a metric, such as 'cmax', or its logarithm, 'log(cmax)'")
    return on.strip(), False


def _chosen(
    points: Floats, samples: Floats | None, draws: int, rng: np.random.Generator
) -> tuple[Floats, str]:
    """Rows of exposures to use, and what they are."""
    if samples is None:
        return points[None, :], "point values; their uncertainty is not carried"
    picked = np.sort(rng.choice(len(samples), size=min(draws, len(samples)), replace=False))
    return samples[picked], f"posterior draws, {len(picked)} of {len(samples)}"


def _pooled(
    samples: Floats, y: NDArray[np.bool_], centre: float, scale: float, prior_sd: tuple[float, float], rng: np.random.Generator,
) -> pd.DataFrame:  # fmt: skip
    """Coefficients on the predictor's own scale, drawn for each row of exposures and pooled."""
    each = -(-POOLED // len(samples))
    blocks = []
    for number, row in enumerate(samples):
        a, b = sample_coefficients((row - centre) / scale, y, prior_sd, each, rng).T
        block = {"exposure_draw": number, "intercept": a - b * centre / scale, "slope": b / scale}
        blocks.append(pd.DataFrame(block))
    return pd.concat(blocks, ignore_index=True)


def _summary(draws: pd.Series, interval: float) -> tuple[float, float, float]:
    """Median and equal-tailed interval."""
    return tuple(draws.quantile([0.5, (1 - interval) / 2, (1 + interval) / 2]))


def _table(
    draws: pd.DataFrame, x: Floats, log: bool, metric: str, unit: str, interval: float
) -> pd.DataFrame:
    """Coefficients and the odds ratio that a reader can picture."""
    per, step = ("doubling", float(np.log(2))) if log else ("sd", float(x.std(ddof=1)))
    name = f"ln({metric})" if log else unit
    rows = [
        ("intercept", *_summary(draws["intercept"], interval), "log odds"),
        ("slope", *_summary(draws["slope"], interval), f"log odds per {name}"),
        (f"odds_ratio_per_{per}", *_summary(np.exp(draws["slope"] * step), interval), "1"),
    ]
    return pd.DataFrame(rows, columns=["parameter", "value", "lower", "upper", "unit"])


def _curve(draws: pd.DataFrame, x: Floats, log: bool, interval: float) -> pd.DataFrame:
    """Probability of the outcome over the observed exposures."""
    grid = np.linspace(x.min(), x.max(), GRID_POINTS)
    p = expit(draws["intercept"].to_numpy()[:, None] + draws["slope"].to_numpy()[:, None] * grid)
    lower, median, upper = np.quantile(p, [(1 - interval) / 2, 0.5, (1 + interval) / 2], axis=0)
    return pd.DataFrame(
        {"x": np.exp(grid) if log else grid, "median": median, "lower": lower, "upper": upper}
    )


def _statement(
    table: pd.DataFrame, draws: pd.DataFrame, events: int, n: int, label: str, separated: bool
) -> str:
    """Put the result into words."""
    ratio = table.iloc[-1]
    step = str(ratio["parameter"]).removeprefix("odds_ratio_per_").replace("sd", "standard deviation")
    rises = float((draws["slope"] > 0).mean())
    text = (
        f"{events} of {n} subjects had the outcome; its odds change by the factor {ratio['value']:.2f} ({label} "
        f"{ratio['lower']:.2f} to {ratio['upper']:.2f}) per {step} of exposure; probability that they rise: {rises:.2f}."
    )
    if events in (0, n):
        text += " All subjects have the same outcome, so this interval is the prior."
    elif separated:
        text += " Exposure separates the two groups completely, so the upper end of this interval rests on the prior."
    return text


def _checked(outcome: pd.Series, values: pd.Series, metric: str) -> NDArray[np.bool_]:
    """Outcome of the usable subjects, if a slope can be asked for at all."""
    if len(values) < MINIMUM_SUBJECTS:
        raise DataError(
            f"outcome {outcome.name!r} on {metric}: {len(values)} subjects have both; expected at least {MINIMUM_SUBJECTS}"
        )
    if values.nunique() < 2:
        raise DataError(
            f"{metric} is {values.iloc[0]:g} in all {len(values)} subjects; a slope needs two values"
        )
    return outcome.loc[values.index].to_numpy(dtype=bool)


def fit_grade(
    exposure: Exposure,
    data: Dataset,
    outcome: str = "crs_grade >= 3",
    on: str = "log(cmax)",
    *,
    seed: int = 0,
    draws: int = 200,
    interval: float = 0.90,
    prior_slope_sd: float = 2.5,
    prior_intercept_sd: float = 10.0,
) -> GradeModel:
    """Fit a logistic model of a yes/no outcome on one exposure metric.

    Parameters
    ----------
    exposure : Exposure
        Metrics by subject. With posterior draws their uncertainty is carried; without, point values are used.
    data : Dataset
        The outcome, in columns of ``data.subjects``.
    outcome : str
        Comparison over those columns, such as ``"crs_grade >= 3"`` or ``"response in ['CR', 'PR']"``.
    on : str
        The predictor: a metric or ``"log(metric)"``.
    seed : int
        Seed of everything random.
    draws : int
        Number of exposure draws to use, of those that there are.
    interval : float
        Probability of the equal-tailed intervals.
    prior_slope_sd, prior_intercept_sd : float
        Standard deviations of the normal priors, on the predictor scaled to standard deviation 0.5.

    Returns
    -------
    GradeModel
        Coefficients, curve and sentence; subjects left out, with reasons.

    Raises
    ------
    ConfigError
        If the outcome, the predictor or a number does not make sense.
    DataError
        If fewer than 3 subjects are left, or all have the same exposure.

    References
    ----------
    .. [1] Gelman A et al. Ann Appl Stat 2008;2:1360-1383.
    .. [2] Ghosh J, Li Y, Mitra R. Bayesian Anal 2018;13:359-383.
    """
    if not 0 < interval < 1 or draws < 1 or not (prior_slope_sd > 0 and prior_intercept_sd > 0):
        raise ConfigError(
            "expected an interval between 0 and 1, at least 1 draw and prior standard deviations above 0"
        )
    if seed < 0:
        raise ConfigError(f"seed is {seed}; expected a number from 0")
    metric, log = split_predictor(on)
    happened = parse_outcome(outcome, data.subjects)
    reasons = happened.isna().map({True: f"outcome {outcome!r} is missing", False: ""})
    values, samples, excluded = usable_exposure(exposure, metric, reasons, positive=log)
    y = _checked(happened, values, metric)
    rng = np.random.default_rng(seed)
    points = values.to_numpy()
    chosen, given = _chosen(points, samples, draws, rng)
    x, chosen = (np.log(points), np.log(chosen)) if log else (points, chosen)
    centre, scale = float(x.mean()), float(2 * x.std(ddof=1))
    pooled = _pooled(chosen, y, centre, scale, (prior_intercept_sd, prior_slope_sd), rng)

    unit, label = exposure.unit(metric), f"{100 * interval:g}% CrI"
    table, separated = _table(pooled, x, log, metric, unit, interval), is_separated(x, y)
    limits = exposure.rows(metric).loc[values.index, ["lower", "upper"]].to_numpy(dtype=float).T
    return GradeModel(
        table=table,
        draws=pooled,
        curve=_curve(pooled, x, log, interval),
        observed=pd.DataFrame(
            {
                "subject": values.index,
                "exposure": points,
                "lower": limits[0],
                "upper": limits[1],
                "outcome": y,
            }
        ),
        n=len(y),
        events=int(y.sum()),
        excluded=excluded,
        separated=separated,
        statement=_statement(table, pooled, int(y.sum()), len(y), label, separated),
        settings={
            "outcome": outcome,
            "on": on,
            "metric": metric,
            "unit": unit,
            "model": f"logit P = intercept + slope * {f'ln({metric} in {unit})' if log else f'{metric} in {unit}'}",
            "prior": f"slope Normal(0, {prior_slope_sd:g}), intercept Normal(0, {prior_intercept_sd:g}), on "
            f"(x - {centre:.6g}) / {scale:.6g}",
            "exposure": given,
            "interval": f"{100 * interval:g}% equal-tailed",
            "seed": seed,
        },
    )

"""How an outcome follows exposure, by Bayesian regression on posterior exposures: yes or no, a grade, a number, a count.

The exposures are known only up to their posterior. For each of a number of exposure draws, coefficients are drawn from the
regression's posterior and all are pooled, so the interval carries the kinetic uncertainty; the regression on point values stands
beside it. The outcome does not feed back on the exposure (a two-stage analysis); where exposures are very uncertain this flattens
the slope, it does not steepen it. `carkinetics.fit_joint` lets the outcome speak. Priors: `carkinetics.response.bayes`.
"""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from carkinetics.dataset.table import Dataset
from carkinetics.errors import ConfigError, did_you_mean
from carkinetics.exposure.area import Floats
from carkinetics.exposure.metric_name import metric_name
from carkinetics.exposure.table import Exposure
from carkinetics.response.analysis_words import analysis_name, event_counts, outcome_name
from carkinetics.response.bayes import SHAPES, Regression
from carkinetics.response.binary import is_separated
from carkinetics.response.case import Case, pose
from carkinetics.response.coefficients import coefficient_rows, prior_words
from carkinetics.response.family import Binary, Family, Ordinal
from carkinetics.response.kind import FAMILIES, kind_of, regression_of
from carkinetics.response.pooled import PooledDraws, pooled_draws, summary
from carkinetics.response.question import Question

MINIMUM_SUBJECTS = 3
GRID_POINTS = 101
MODELS = {
    "binary": "logistic", "ordinal": "proportional odds", "continuous": "linear", "count": "negative binomial",
}  # fmt: skip
# What a slope times a step means to a reader, and on which scale the slope is.
EFFECTS = {"binary": "odds_ratio", "ordinal": "odds_ratio", "continuous": "difference", "count": "ratio"}
SCALES = {"binary": "log odds", "ordinal": "log odds", "continuous": "outcome", "count": "log mean"}


@dataclass(frozen=True, eq=False)
class GradeModel:
    """Regression of an outcome on exposure.

    Parameters
    ----------
    table : pandas.DataFrame
        ``parameter, value, lower, upper, unit``: median and interval of the intercept or the cuts between grades, the ``slope``, what
        it means for a reader (``odds_ratio_per_doubling`` for the predictor ``log(metric)``, ``..._per_sd`` for the metric itself;
        ``ec50`` and the effect at most for an Emax shape), what is adjusted for; ``naive, naive_lower, naive_upper`` of the regression on
        point values.
    draws : pandas.DataFrame
        ``exposure_draw``, coefficients: pooled posterior draws.
    curve : pandas.DataFrame
        ``x`` (exposure in its unit), ``median, lower, upper``: probability of the outcome (its mean, for a number or count), at the
        means of what is adjusted for; for grades one block per ``grade``, the probability of at least it.
    observed : pandas.DataFrame
        ``subject, exposure, lower, upper, outcome``: who was analysed; point values and interval of exposure.
    n, events : int
        Number of subjects, and of those with the outcome (above the lowest grade; of a number or count, all).
    excluded : pandas.DataFrame
        ``subject, reason``: who is not in the analysis.
    separated : bool
        Whether the predictors separate the subjects with the outcome from those without.
    statement : str
        The result as a sentence.
    settings : dict
        Outcome, label, family, predictor, adjustment, prior, interval, draws, seed.
    per_cut : pandas.DataFrame
        Of grades: ``cut, slope, lower, upper`` of a logistic regression of every cut alone, and ``agrees``, whether its interval holds
        the common slope: proportional odds, checked. Empty otherwise.
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
    per_cut: pd.DataFrame = field(default_factory=pd.DataFrame)

    def __repr__(self) -> str:
        return f"<GradeModel: {analysis_name(self.settings)}, {event_counts(self.events, self.n)}>"


def fit_grade(
    exposure: Exposure,
    data: Dataset,
    outcome: str = "crs_grade >= 3",
    on: str = "log(cmax)",
    *,
    label: str = "",
    adjust: str | Iterable[str] = (),
    onset: str | None = None,
    family: str = "auto",
    shape: str = "linear",
    seed: int = 0,
    draws: int = 200,
    interval: float = 0.90,
    prior_slope_sd: float = 2.5,
    prior_intercept_sd: float = 10.0,
) -> GradeModel:
    """Fit a regression of an outcome on one exposure metric.

    Parameters
    ----------
    exposure : Exposure
        Metrics by subject. With posterior draws their uncertainty is carried; without, point values are used.
    data : Dataset
        The outcome and what to adjust for, in columns of ``data.subjects``.
    outcome : str
        Comparison over those columns, such as ``"crs_grade >= 3"`` or ``"response in ['CR', 'PR']"``, or a column: a grade
        (whole numbers up to 6, or an ordered category), a number such as the best change of tumour size, a count.
    on : str
        The predictor: a metric or ``"log(metric)"``.
    label : str
        What the outcome is called in sentences, tables and figures, such as ``"objective response"``; the expression if not given.
    adjust : str or iterable of str
        Columns or texts such as ``"log(base_sum)"``. Baseline tumour burden drives expansion, response and toxicity alike.
    onset : str, optional
        Column with the day of the outcome, empty for who had none. If not given, a column or an event of the data named alike is
        looked for (``crs_day`` or the event ``crs`` of ``crs_grade``). An exposure that is complete only after it is refused; ``""`` does not check.
    family : {"auto", "binary", "ordinal", "continuous", "count"}
        Kind of the outcome. ``"auto"`` takes whole numbers up to 6 for grades and other numbers for numbers.
    shape : {"linear", "emax"}
        The log odds (or the mean) follow the predictor in a straight line, or saturate: slope × C / (EC50 + C); on ``"log(metric)"``.
    seed : int
        Seed of everything random.
    draws : int
        Number of exposure draws to use, of those that there are.
    interval : float
        Probability of the equal-tailed intervals.
    prior_slope_sd, prior_intercept_sd : float
        Standard deviations of the normal priors, on predictors scaled to standard deviation 0.5.

    Returns
    -------
    GradeModel
        Coefficients, curve and sentence; subjects left out, with reasons.

    Raises
    ------
    TimingError
        If the exposure is complete only after the outcome has begun.
    ConfigError
        If the outcome, the predictor or a number does not make sense.
    DataError
        If fewer than 3 subjects are left, or all have the same exposure.

    References
    ----------
    .. [1] Gelman A et al. Ann Appl Stat 2008;2:1360-1383.
    .. [2] Ghosh J, Li Y, Mitra R. Bayesian Anal 2018;13:359-383.
    """
    refuse_settings(interval, draws, seed, prior_slope_sd, prior_intercept_sd)
    for name, value, known in (("family", family, FAMILIES), ("shape", shape, SHAPES)):
        if value not in known:
            raise ConfigError(f"{name} is {value!r}{did_you_mean(value, known)}")
    question = Question.of(outcome=outcome, on=on, label=label, adjust=adjust, onset=onset)
    case = pose(exposure, data, question, fewest=MINIMUM_SUBJECTS)
    regression = regression_of(
        case, kind_of(case, family, prior_intercept_sd), shape=shape, slope_sd=prior_slope_sd
    )
    rng = np.random.default_rng(seed)
    chosen, rows = case.chosen(draws, rng)
    pooled = pooled_draws(regression, chosen, case.points, rng)
    given = (
        "point values; their uncertainty is not carried"
        if rows is None
        else f"posterior draws, {len(rows)} of {len(case.samples if case.samples is not None else ())}"
    )
    settings = {"exposure": given, "prior": prior_words(regression), "interval": interval, "seed": seed}
    return grade_model(case, regression, pooled, settings)


def refuse_settings(interval: float, draws: int, seed: int, slope_sd: float, intercept_sd: float) -> None:
    """Refuse numbers that make no sense.

    Parameters
    ----------
    interval : float
        Probability of intervals.
    draws, seed : int
        Exposure draws, and the seed.
    slope_sd, intercept_sd : float
        Of the priors.

    Raises
    ------
    ConfigError
        If one does not.
    """
    for name, value in (("draws", draws), ("seed", seed)):
        if not isinstance(value, numbers.Integral):
            raise ConfigError(f"{name} is {value!r}; expected a whole number")
    if not 0 < interval < 1 or draws < 1 or not (slope_sd > 0 and intercept_sd > 0):
        raise ConfigError(
            "expected an interval between 0 and 1, at least 1 draw and prior standard deviations above 0"
        )
    if seed < 0:
        raise ConfigError(f"seed is {seed}; expected a number from 0")


def grade_model(
    case: Case, regression: Regression, pooled: PooledDraws, settings: dict[str, Any]
) -> GradeModel:
    """Put pooled draws into a result.

    Parameters
    ----------
    case : Case
        Who was analysed.
    regression : Regression
        By which model.
    pooled : PooledDraws
        What came out.
    settings : dict
        ``exposure, prior, interval`` (a probability), ``seed`` and whatever else belongs to the result.

    Returns
    -------
    GradeModel
        Table, curve, sentence.
    """
    family, question, interval = regression.family, case.question, settings["interval"]
    y: Floats = np.asarray(family.y, dtype=np.float64)  # type: ignore[attr-defined]
    graded = family.name in ("binary", "ordinal")
    events = int((y > 0).sum()) if graded else len(y)
    design = np.column_stack([case.points, case.others.to_numpy(float)])
    separated = family.name == "binary" and is_separated(design, y)
    table = coefficient_rows(regression, pooled, case, EFFECTS[family.name], SCALES[family.name], interval)
    outcome = case.answer["outcome"]
    observed = pd.DataFrame(
        {
            "subject": case.answer.index,
            "exposure": np.exp(case.points) if question.log else case.points,
            "lower": case.limits[:, 0],
            "upper": case.limits[:, 1],
            "outcome": y.astype(bool) if family.name == "binary" else outcome.to_numpy(),
        }
    )
    label = f"{100 * interval:g}% CrI"
    settings = settings | {
        "outcome": question.outcome, "label": question.label, "on": question.on, "metric": question.metric, "unit": case.unit, "family": family.name,
        "shape": regression.shape, "model": MODELS[family.name], "adjust": list(question.adjust), "timing_checked": case.timing_checked, "on_the_path": list(case.on_the_path), "onset": question.onset,
        "interval": f"{label[:-4]} equal-tailed", "ess": round(pooled.ess, 1),
    }  # fmt: skip
    return GradeModel(
        table=table, draws=pooled.draws, curve=_curve(regression, pooled, case, interval), observed=observed, n=len(y), events=events,
        excluded=case.excluded, separated=separated, settings=settings,
        statement=_statement(table, pooled.draws, family, events, len(y), label, separated, settings),
        per_cut=_per_cut(case, regression, interval, settings["seed"]) if family.name == "ordinal" else pd.DataFrame(),
    )  # fmt: skip


def _curve(regression: Regression, pooled: PooledDraws, case: Case, interval: float) -> pd.DataFrame:
    """The outcome over the observed exposures, at the means of what is adjusted for."""
    family, n = regression.family, len(regression.family.auxiliary)
    grid = np.linspace(case.points.min(), case.points.max(), GRID_POINTS)
    theta, at_means = pooled.theta, len(regression.names)
    parts = [theta[:, k, None] for k in range(theta.shape[1])]
    if at_means:
        parts = parts[:-at_means]
    alone = Regression(family, regression.exposure, np.empty((1, 0)), (), regression.shape)
    eta = alone.predictor(parts[n:], grid)
    x = np.exp(grid) if case.question.log else grid
    if family.name == "ordinal":
        cuts = family.natural(theta[:, :n], np.zeros(len(theta)))
        blocks = [
            _band(expit(eta - cut[:, None]), x, interval).assign(grade=level)
            for cut, level in zip(cuts.values(), family.levels[1:], strict=True)  # type: ignore[attr-defined]
        ]
        return pd.concat(blocks, ignore_index=True)
    mean = parts[0] + eta
    return _band({"binary": expit, "count": np.exp}.get(family.name, np.asarray)(mean), x, interval)


def _band(values: Floats, x: Floats, interval: float) -> pd.DataFrame:
    lower, median, upper = np.quantile(values, [(1 - interval) / 2, 0.5, (1 + interval) / 2], axis=0)
    return pd.DataFrame({"x": x, "median": median, "lower": lower, "upper": upper})


def _per_cut(case: Case, regression: Regression, interval: float, seed: int) -> pd.DataFrame:
    """A logistic regression of every cut alone, on point values."""
    grades, rng, rows = regression.family, np.random.default_rng(seed), []
    assert isinstance(grades, Ordinal)
    common = pooled_draws(regression, case.points[None], case.points, rng).draws["slope"].median()
    for k, level in enumerate(grades.levels[1:], start=1):
        alone = Regression(
            Binary((grades.y >= k).astype(float), grades.intercept_sd), regression.exposure, regression.others, regression.names,
            regression.shape, regression.slope_sd,
        )  # fmt: skip
        slope = summary(pooled_draws(alone, case.points[None], case.points, rng).draws["slope"], interval)
        rows.append((f">= {level}", *slope, bool(slope[1] <= common <= slope[2])))
    return pd.DataFrame(rows, columns=["cut", "slope", "lower", "upper", "agrees"])


def _statement(
    table: pd.DataFrame, draws: pd.DataFrame, family: Family, events: int, n: int, label: str, separated: bool,
    settings: dict[str, Any],
) -> str:  # fmt: skip
    """Put the result into words."""
    effect = table[table["parameter"].str.startswith(EFFECTS[family.name])].iloc[0]
    outcome = outcome_name(settings)
    start = {
        "binary": f"{events} of {n} subjects had {outcome}; its odds change by the factor",
        "ordinal": f"{events} of {n} subjects are above the lowest grade of {outcome}; the odds of a higher one change by the factor",
        "continuous": f"In {n} subjects {outcome} changes by",
        "count": f"In {n} subjects the mean of {outcome} changes by the factor",
    }[family.name]
    _, _, step = str(effect["parameter"]).removeprefix(EFFECTS[family.name]).strip("_").partition("per_")
    metric = metric_name(settings["metric"])
    per = (
        f"per {step.replace('sd', 'standard deviation')} of {metric}"
        if step
        else f"at most, from no {metric} to a saturating one"
    )
    text = (
        f"{start} {effect['value']:.2f} ({label} {effect['lower']:.2f} to {effect['upper']:.2f}) {per}; "
        f"probability that {'it rises' if family.name in ('continuous', 'count') else 'they rise'}: {(draws['slope'] > 0).mean():.2f}."
    )
    if settings["adjust"]:
        text += f" Adjusted for {', '.join(settings['adjust'])}."
    if family.name == "binary" and events in (0, n):
        text += " All subjects have the same outcome, so this interval is the prior."
    elif separated:
        text += " Exposure separates the two groups completely, so the upper end of this interval rests on the prior."
    return text

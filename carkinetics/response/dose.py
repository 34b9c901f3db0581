"""Does exposure rise with dose, and in proportion.

Power model: ln(metric) = a + b ln(dose). Exposure is proportional to dose when b = 1. Over a dose ratio r
the dose-normalised exposure changes by the factor r^(b−1); it stays within the limits (0.80 to 1.25) when
b lies in the equivalence region. The verdict compares the interval of b with that region:

==================  =====================================================================
verdict             interval of b
==================  =====================================================================
proportional        inside the region
not proportional    outside the region
cannot be shown     across one of its ends: this design is too small, whatever the truth
==================  =====================================================================

A slope that may be 0 is not "no effect of dose": the sentence always gives the interval, and how many subjects it would
take where nothing can be shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from carkinetics.dataset.table import Dataset
from carkinetics.errors import ConfigError
from carkinetics.exposure.table import Exposure
from carkinetics.response.analysis_words import counted
from carkinetics.response.dose_inputs import Analysed, analysed_subjects
from carkinetics.response.dose_words import dose_statement, group_words, needed_words, pooling_caution
from carkinetics.response.power import (
    equivalence_region,
    from_draws,
    from_points,
    regression_draws,
    slope_verdict,
)
from carkinetics.response.sample_size import smallest_per_level
from carkinetics.response.slopes import slopes_by_measurement, slopes_by_part

POWER = 0.8  # of the number of subjects that a statement gives
MEASUREMENT = "measurement"  # what groups are that are not a column
POINT_DRAWS = 4000  # of the regression, where exposures are point values and groups are pooled


@dataclass(frozen=True, eq=False)
class DoseExposure:
    """Power model of exposure on dose.

    Parameters
    ----------
    metric : str
        Metric of exposure.
    table : pandas.DataFrame
        ``quantity, value, lower, upper``: ``slope``, ``slope_se``, ``intercept``, ``residual_sd``,
        ``fold_per_doubling`` (of the dose), ``dose_normalised_ratio`` (highest against lowest dose),
        ``exposure_at_reference`` and ``equivalence_region``. With groups the slope is the common one, and
        ``between_groups_sd`` is the standard deviation of slopes between groups.
    draws : pandas.DataFrame or None
        ``slope, intercept, residual_sd``, one row per posterior draw; None from point values. With groups also
        ``between_groups_sd`` and, for every group, ``slope[A]`` and ``intercept[A]``.
    verdict : {"proportional", "not proportional", "cannot be shown"}
        Interval of the slope against the equivalence region.
    statement : str
        The verdict as a sentence, with the numbers.
    n : int
        Number of subjects.
    observed : pandas.DataFrame
        ``subject, dose, value``, and ``group`` with groups: what was analysed.
    excluded : pandas.DataFrame
        ``subject, reason``: who is not in the analysis.
    settings : dict
        Method, interval, limits, dose range, units, seed; ``subjects_needed`` where proportionality cannot be shown.
    groups : pandas.DataFrame or None
        ``group, n, dose_levels, slope, lower, upper, unpooled, verdict``: partially pooled slopes beside the least-squares one
        of the group's point values alone; None without groups.
    """

    metric: str
    table: pd.DataFrame
    draws: pd.DataFrame | None
    verdict: str
    statement: str
    n: int
    observed: pd.DataFrame
    excluded: pd.DataFrame
    settings: dict[str, Any] = field(default_factory=dict)
    groups: pd.DataFrame | None = None

    def __repr__(self) -> str:
        return f"<DoseExposure: {self.metric}, {self.n} subjects, {self.verdict}>"


def _table(rows: dict[str, tuple[float, ...]], ratio: float, region: tuple[float, float]) -> pd.DataFrame:
    """Put all quantities on the scale that a reader wants."""
    slope = np.array(rows["slope"])
    derived = {
        "fold_per_doubling": 2**slope,
        "dose_normalised_ratio": ratio ** (slope - 1),
        "exposure_at_reference": np.exp(rows["log_at_reference"]),
        "equivalence_region": np.array([1.0, *region]),
    }
    names = ("slope", "slope_se", "intercept", "residual_sd", "between_groups_sd")
    kept = {name: rows[name] for name in names if name in rows}
    table = [(name, *(float(v) for v in values)) for name, values in (kept | derived).items()]
    return pd.DataFrame(table, columns=["quantity", "value", "lower", "upper"])


def dose_exposure(
    exposure: Exposure | Mapping[str, Exposure],
    data: Dataset,
    metric: str = "auc_0_28",
    limits: tuple[float, float] = (0.8, 1.25),
    reference: float | None = None,
    interval: float = 0.90,
    seed: int = 0,
    *,
    by: str | None = None,
    between: float = 0.5,
) -> DoseExposure:
    """Relate exposure to dose by the power model, and judge dose proportionality.

    Parameters
    ----------
    exposure : Exposure or mapping of str to Exposure
        Metrics by subject, with or without posterior draws. Several, such as those of two assays, are groups of a
        hierarchical power model in the same subjects.
    data : Dataset
        The doses; the first infusion of each subject is used.
    metric : str
        Metric of exposure, above 0.
    limits : tuple of float
        Limits of the dose-normalised ratio between the highest and the lowest dose.
    reference : float, optional
        Dose at which the typical exposure is reported, by default the geometric mean of the doses.
    interval : float
        Probability of the interval, between 0 and 1; equal-tailed.
    seed : int
        Seed of the regression's draws; used only with posterior draws or groups.
    by : str, optional
        Column of ``data.subjects``, such as ``"product"``: a hierarchical power model with one slope per group.
    between : float
        Scale of the half-normal prior of the standard deviation of slopes between groups. The default says that over a
        tenfold dose range groups may well differ threefold (one SD of 0.5), and rarely more than tenfold.

    Returns
    -------
    DoseExposure
        Coefficients with intervals, verdict, sentence, and who was left out.

    Raises
    ------
    ConfigError
        If the metric, the limits, the reference, the interval or the groups do not make sense.
    DataError
        If fewer than 3 subjects or 2 different doses are left, or too few for the groups.
    UnitError
        If doses have more than one unit.

    Notes
    -----
    Without draws: ordinary least squares with t intervals. With draws: for every posterior draw of all
    exposures one draw of the regression under flat priors (variance from a scaled inverse chi-square, then
    the coefficients from their normal distribution). The spread of the pooled draws has both parts, that of
    the kinetics and that of the regression. A subject without a value (all BLQ) is left out, which at low
    doses pulls the slope towards 0; ``excluded`` names them.

    With groups, slopes are Normal(common slope, SD between groups) and every group has its own intercept; one draw of
    this model for each exposure draw, see `carkinetics.response.slopes`. Point values give a posterior, too. Two groups say
    little about the SD between them: its prior is then most of what is known, and the common slope is wide.

    References
    ----------
    .. [1] Smith BP et al. Pharm Res 2000;17:1278-1283.
    .. [2] Gelman A et al. Bayesian Data Analysis. 3rd ed. 2013, sections 5.4 and 14.2.
    """
    if not 0 < interval < 1:
        raise ConfigError(f"interval is {interval!r}; expected a probability between 0 and 1, such as 0.90")
    if reference is not None and not reference > 0:
        raise ConfigError(f"reference is {reference!r}; expected a dose above 0")
    if not 0 < between < np.inf:
        raise ConfigError(f"between is {between!r}; expected a scale above 0")
    seen = analysed_subjects(exposure, data, metric, by, seed)
    reference = float(np.exp(seen.log_dose.mean())) if reference is None else float(reference)
    draws = _draws(seen, between, np.random.default_rng(seed))
    at = float(np.log(reference))
    rows = (
        from_points(seen.log_dose, seen.log_values, at, interval)
        if draws is None
        else from_draws(draws, at, interval)
    )
    region = equivalence_region(seen.ratio, limits)
    table, verdict = (
        _table(rows, seen.ratio, region),
        slope_verdict(rows["slope"][1], rows["slope"][2], region),
    )
    groups = None if draws is None or not seen.groups else _groups(seen, draws, interval, region)
    settings = _settings(seen, rows, limits, interval) | {
        "reference_dose": reference,
        "seed": None if draws is None else seed,
    }
    if groups is not None:
        settings |= {"by": by or MEASUREMENT, "between_prior": f"half-normal, scale {between:g}"}
    further = ""
    if groups is not None:
        further += group_words(groups, rows["between_groups_sd"], by or MEASUREMENT, between)
    if verdict == "cannot be shown":
        needed, words = _needed(seen, settings, region)
        settings["subjects_needed"], further = needed, further + words
    lost = len(seen.excluded)
    further += (
        f" {counted(lost, 'subject')} {'is' if lost == 1 else 'are'} not in this analysis." if lost else ""
    )
    label = f"{100 * interval:g}% {'CI' if draws is None else 'CrI'}"
    return DoseExposure(
        metric=metric,
        table=table,
        draws=draws,
        verdict=verdict,
        statement=dose_statement(
            table, metric, verdict, label, seen.ratio, further + pooling_caution(exposure)
        ),
        n=seen.n,
        observed=seen.observed,
        excluded=seen.excluded,
        settings=settings,
        groups=groups,
    )


def _settings(
    seen: Analysed, rows: Mapping[str, tuple[float, ...]], limits: tuple[float, float], interval: float
) -> dict[str, Any]:
    least_squares = seen.log_samples is None and not seen.groups
    return {
        "model": "ln(metric) = intercept + slope * ln(dose)",
        "method": _method(seen),
        "interval": f"{100 * interval:g}% equal-tailed" + (", t" if least_squares else ""),
        "level": interval,
        "limits": limits,
        "dose_ratio": seen.ratio,
        "dose_unit": seen.dose_unit,
        "unit": seen.unit,
        "design_sd": _design_sd(seen, rows, interval),
    }


def _draws(seen: Analysed, between: float, rng: np.random.Generator) -> pd.DataFrame | None:
    """One draw of the regression per draw of the exposures; None for least squares."""
    samples = seen.log_samples
    if not seen.groups:
        if samples is None:
            return None
        pooled = regression_draws(seen.log_dose, samples, rng)
        return pd.DataFrame(pooled, columns=["intercept", "slope", "residual_sd"])
    if samples is None:
        samples = np.broadcast_to(seen.log_values, (POINT_DRAWS, *seen.log_values.shape))
    found = (
        slopes_by_measurement(seen.log_dose, samples, between, rng)
        if seen.group is None
        else slopes_by_part(seen.log_dose, samples, seen.group, between, rng)
    )
    columns = {
        "intercept": found.intercept, "slope": found.slope, "residual_sd": found.residual_sd,
        "between_groups_sd": found.tau,
    }  # fmt: skip
    for k, name in enumerate(seen.groups):
        columns |= {f"slope[{name}]": found.slopes[:, k], f"intercept[{name}]": found.intercepts[:, k]}
    return pd.DataFrame(columns)


def _groups(
    seen: Analysed, draws: pd.DataFrame, interval: float, region: tuple[float, float]
) -> pd.DataFrame:
    """Slopes of the groups, pooled and not."""
    rows = []
    for name in seen.groups:
        block = seen.observed[seen.observed["group"] == name]
        log_dose, log_value = np.log(block["dose"].to_numpy(float)), np.log(block["value"].to_numpy(float))
        own = np.polyfit(log_dose, log_value, 1)[0] if np.ptp(log_dose) > 0 else np.nan
        middle, low, high = draws[f"slope[{name}]"].quantile([0.5, (1 - interval) / 2, (1 + interval) / 2])
        verdict = slope_verdict(low, high, region)
        rows.append((name, len(block), block["dose"].nunique(), middle, low, high, float(own), verdict))
    columns = ["group", "n", "dose_levels", "slope", "lower", "upper", "unpooled", "verdict"]
    return pd.DataFrame(rows, columns=columns)


def _method(seen: Analysed) -> str:
    per = "on point values" if seen.log_samples is None else "per posterior draw"
    if seen.groups:
        return f"hierarchical regression {per}"
    return "least squares on point values" if seen.log_samples is None else f"flat-prior regression {per}"


def _design_sd(seen: Analysed, rows: Mapping[str, tuple[float, ...]], interval: float) -> float:
    """Residual SD with which least squares would give this interval of the slope; that within groups where there are some."""
    if seen.groups:
        return rows["residual_sd"][0]
    _, low, high = rows["slope"]
    t = float(stats.t.ppf((1 + interval) / 2, seen.n - 2))
    return float((high - low) / (2 * t) * np.sqrt(((seen.log_dose - seen.log_dose.mean()) ** 2).sum()))


def _needed(seen: Analysed, settings: Mapping[str, Any], region: tuple[float, float]) -> tuple[int, str]:
    """Number of subjects that would do, and the sentence."""
    logs, sd = np.unique(seen.log_dose), float(settings["design_sd"])
    per_level, _ = smallest_per_level(logs, sd, region, POWER, settings["level"])
    n = per_level * len(logs)
    return n, needed_words(n, per_level, len(logs), sd, POWER, bool(seen.groups))

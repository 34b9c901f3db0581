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

A slope that may be 0 is not "no effect of dose": the sentence always gives the interval.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from carkinetics.dataset.table import Dataset
from carkinetics.errors import ConfigError, DataError, UnitError
from carkinetics.exposure.table import Exposure
from carkinetics.response.inputs import usable_exposure
from carkinetics.response.power import (
    equivalence_region,
    from_draws,
    from_points,
    regression_draws,
    slope_verdict,
)

MINIMUM_SUBJECTS = 3


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
        ``exposure_at_reference`` and ``equivalence_region``.
    draws : pandas.DataFrame or None
        ``slope, intercept, residual_sd``, one row per posterior draw; None from point values.
    verdict : {"proportional", "not proportional", "cannot be shown"}
        Interval of the slope against the equivalence region.
    statement : str
        The verdict as a sentence, with the numbers.
    n : int
        Number of subjects.
    observed : pandas.DataFrame
        ``subject, dose, value``: what was analysed.
    excluded : pandas.DataFrame
        ``subject, reason``: who is not in the analysis.
    settings : dict
        Method, interval, limits, dose range, units, seed.
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

    def __repr__(self) -> str:
        return f"<DoseExposure: {self.metric}, {self.n} subjects, {self.verdict}>"


def _doses(data: Dataset) -> tuple[pd.Series, str]:
    """First dose by subject and its unit."""
    units = data.doses["unit"].dropna().unique().tolist()
    if len(units) > 1:
        raise UnitError(
            f"doses are in {' and '.join(units)}; convert them to one unit before comparing subjects"
        )
    return data.first_dose(), str(units[0]) if units else ""


_SENTENCES = {
    "proportional": "is proportional to dose",
    "not proportional": "is not proportional to dose",
    "cannot be shown": "cannot be shown to be proportional to dose, or not, with this design",
}


def _statement(
    result: pd.DataFrame, metric: str, verdict: str, interval: str, ratio: float, excluded: int, caution: str
) -> str:
    """Put the verdict and its numbers into words."""
    row = result.set_index("quantity")
    slope, region, fold = row.loc["slope"], row.loc["equivalence_region"], row.loc["fold_per_doubling"]
    flat = (
        " A slope of 0 is not ruled out; a rise of up to the upper limit is not ruled out either."
        if slope["lower"] <= 0 <= slope["upper"]
        else ""
    )
    left = f" {excluded} subjects are not in this analysis." if excluded else ""
    return (
        f"{metric} {_SENTENCES[verdict]}: slope {slope['value']:.2f} ({interval} {slope['lower']:.2f} to "
        f"{slope['upper']:.2f}) against {region['lower']:.2f} to {region['upper']:.2f} over a {ratio:.3g}-fold "
        f"dose range. Doubling the dose multiplies {metric} by {fold['value']:.2f} ({fold['lower']:.2f} to "
        f"{fold['upper']:.2f}).{flat}{left}{caution}"
    )


def _caution(exposure: Exposure) -> str:
    """Individual estimates of a fit that knows no dose are pulled towards one typical value for all doses."""
    if exposure.draws is None or any("dose" in text for text in exposure.settings.get("covariates", [])):
        return ""
    return (
        " The fit behind these exposures has no dose covariate, which pulls the slope towards 0; fit with "
        'covariates={"cmax": "log(dose)"} and read its slope.'
    )


def _table(rows: dict[str, tuple[float, ...]], ratio: float, region: tuple[float, float]) -> pd.DataFrame:
    """Put all quantities on the scale that a reader wants."""
    slope = np.array(rows["slope"])
    derived = {
        "fold_per_doubling": 2**slope,
        "dose_normalised_ratio": ratio ** (slope - 1),
        "exposure_at_reference": np.exp(rows["log_at_reference"]),
        "equivalence_region": np.array([1.0, *region]),
    }
    kept = {name: rows[name] for name in ("slope", "slope_se", "intercept", "residual_sd")}
    table = [(name, *(float(v) for v in values)) for name, values in (kept | derived).items()]
    return pd.DataFrame(table, columns=["quantity", "value", "lower", "upper"])


def dose_exposure(
    exposure: Exposure,
    data: Dataset,
    metric: str = "auc_0_28",
    limits: tuple[float, float] = (0.8, 1.25),
    reference: float | None = None,
    interval: float = 0.90,
    seed: int = 0,
) -> DoseExposure:
    """Relate exposure to dose by the power model, and judge dose proportionality.

    Parameters
    ----------
    exposure : Exposure
        Metrics by subject, with or without posterior draws.
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
        Seed of the regression's draws; used only with posterior draws.

    Returns
    -------
    DoseExposure
        Coefficients with intervals, verdict, sentence, and who was left out.

    Raises
    ------
    ConfigError
        If the metric, the limits, the reference or the interval does not make sense.
    DataError
        If fewer than 3 subjects or 2 different doses are left.
    UnitError
        If doses have more than one unit.

    Notes
    -----
    Without draws: ordinary least squares with t intervals. With draws: for every posterior draw of all
    exposures one draw of the regression under flat priors (variance from a scaled inverse chi-square, then
    the coefficients from their normal distribution). The spread of the pooled draws has both parts, that of
    the kinetics and that of the regression. A subject without a value (all BLQ) is left out, which at low
    doses pulls the slope towards 0; ``excluded`` names them.

    References
    ----------
    .. [1] Smith BP et al. Pharm Res 2000;17:1278-1283.
    .. [2] Gelman A et al. Bayesian Data Analysis. 3rd ed. 2013, section 14.2.
    """
    if not 0 < interval < 1:
        raise ConfigError(f"interval is {interval!r}; expected a probability between 0 and 1, such as 0.90")
    if reference is not None and not reference > 0:
        raise ConfigError(f"reference is {reference!r}; expected a dose above 0")
    dose, unit = _doses(data)
    reasons = dose.isna().map({True: "no dose", False: ""}).where(~(dose <= 0), "the dose is not above 0")
    values, samples, excluded = usable_exposure(exposure, metric, reasons, positive=True)
    amounts = dose.loc[values.index].to_numpy()
    if len(values) < MINIMUM_SUBJECTS or len(np.unique(amounts)) < 2:
        raise DataError(
            f"dose against {metric}: {len(values)} subjects at {len(np.unique(amounts))} doses; expected at least "
            f"{MINIMUM_SUBJECTS} subjects at 2 or more doses"
        )
    log_dose, ratio = np.log(amounts), float(amounts.max() / amounts.min())
    reference = float(np.exp(log_dose.mean())) if reference is None else float(reference)
    draws, kind = None, "CI"
    if samples is None:
        rows = from_points(log_dose, np.log(values.to_numpy()), float(np.log(reference)), interval)
    else:
        pooled = regression_draws(log_dose, np.log(samples), np.random.default_rng(seed))
        draws, kind = pd.DataFrame(pooled, columns=["intercept", "slope", "residual_sd"]), "CrI"
        rows = from_draws(draws, float(np.log(reference)), interval)
    region = equivalence_region(ratio, limits)
    table, verdict = _table(rows, ratio, region), slope_verdict(rows["slope"][1], rows["slope"][2], region)
    label = f"{100 * interval:g}% {kind}"
    return DoseExposure(
        metric=metric,
        table=table,
        draws=draws,
        verdict=verdict,
        statement=_statement(table, metric, verdict, label, ratio, len(excluded), _caution(exposure)),
        n=len(values),
        observed=pd.DataFrame({"subject": values.index, "dose": amounts, "value": values.to_numpy()}),
        excluded=excluded,
        settings={
            "model": "ln(metric) = intercept + slope * ln(dose)",
            "method": "least squares on point values"
            if draws is None
            else "flat-prior regression per posterior draw",
            "interval": f"{100 * interval:g}% equal-tailed" + (", t" if draws is None else ""),
            "limits": limits,
            "dose_ratio": ratio,
            "reference_dose": reference,
            "dose_unit": unit,
            "unit": exposure.unit(metric),
            "seed": None if draws is None else seed,
        },
    )

"""Pooled coefficients as a table, and the slope as a reader can picture it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from carkinetics.response.bayes import Regression
from carkinetics.response.case import Case
from carkinetics.response.pooled import PooledDraws, summary


def prior_words(regression: Regression) -> str:
    """The priors in words."""
    each = ", ".join(
        f"{name} {mean:.3g} (SD {sd:.3g})"
        for name, (mean, sd) in zip(regression.parameters, regression.priors, strict=True)
    )
    return f"normal on the free scale, predictors scaled to SD 0.5: {each}"


def coefficient_rows(
    regression: Regression, pooled: PooledDraws, case: Case, effect: str, scale: str, interval: float
) -> pd.DataFrame:
    """Coefficients, and the slope as a reader can picture it, with those of the naive regression beside them.

    Parameters
    ----------
    regression, pooled, case
        Model, draws, subjects.
    effect : {"odds_ratio", "hazard_ratio", "ratio", "difference"}
        What a slope means.
    scale : str
        Unit of intercepts and slopes.
    interval : float
        Probability of the intervals.

    Returns
    -------
    pandas.DataFrame
        ``parameter, value, lower, upper, unit, naive, naive_lower, naive_upper``.
    """
    question, rows = case.question, []
    per = f"ln({question.metric})" if question.log else case.unit
    plain = (lambda v: v) if effect == "difference" else np.exp

    def add(name: str, unit: str, of: Any) -> None:
        found = (summary(of(draws), interval) for draws in (pooled.draws, pooled.naive))
        rows.append((name, *next(found), unit, *next(found)))

    for name in regression.family.auxiliary:
        add(name, _auxiliary_unit(name, scale), lambda draws, name=name: draws[name])
    if regression.shape == "emax":
        add("slope", scale, lambda draws: draws["slope"])
        add("ec50", case.unit, lambda draws: draws["ec50"])
        add(
            f"{effect}_at_most", "1" if effect != "difference" else scale, lambda draws: plain(draws["slope"])
        )
    else:
        step = float(np.log(2)) if question.log else float(case.points.std(ddof=1))
        add("slope", f"{scale} per {per}", lambda draws: draws["slope"])
        add(f"{effect}_per_{'doubling' if question.log else 'sd'}", "1" if effect != "difference" else scale,
            lambda draws: plain(draws["slope"] * step))  # fmt: skip
    for name in regression.names:
        add(name, f"{scale} per unit", lambda draws, name=name: draws[name])
    columns = ["parameter", "value", "lower", "upper", "unit", "naive", "naive_lower", "naive_upper"]
    return pd.DataFrame(rows, columns=columns)


def _auxiliary_unit(name: str, scale: str) -> str:
    units = {"residual_sd": "outcome", "dispersion": "1", "shape": "1", "rate": "1/day^shape"}
    return units.get(name, "1/day" if name.startswith("rate[") else scale)

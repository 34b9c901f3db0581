"""On which days does a parameter show, and what was measured then? Why a quantity was not informed, in words."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from carkinetics.errors import FitError
from carkinetics.exposure.typical import with_default_inputs
from carkinetics.fit.chosen import take_draws
from carkinetics.fit.course import typical_course
from carkinetics.fit.measured import fitted_data, measured_outputs
from carkinetics.fit.result import Fit
from carkinetics.model.solve import curve

Floats = NDArray[np.float64]
LAST_DAY = 365.0
POINTS = 400
STEP = 0.02  # on the free scale: 2 % of a positive parameter
OUTER = 0.1  # of the effect lies before the first, and after the last of the days


def informing_days(fit: Fit) -> pd.DataFrame:
    """Days on which each parameter moves the typical course most, and the samples from then.

    Parameters
    ----------
    fit : Fit
        Hierarchical.

    Returns
    -------
    pandas.DataFrame
        Indexed by estimated parameter: ``first, last`` (days; NaN where it moves nothing), ``samples`` of the fitted assays between
        them, how many are ``quantified``, and of how many ``subjects`` those are.

    Raises
    ------
    FitError
        If the fit is not a hierarchical one.

    Notes
    -----
    The effect is the squared derivative of the log of every fitted output of the typical subject, at the posterior medians, with
    respect to the parameter on its free scale. Between ``first`` and ``last`` lie the middle four fifths of its sum over the first
    year, or over the follow-up if that is longer, on a square-root scale of time, which gives the first month its room. It asks where
    a parameter shows, not whether it is told from others that show at the same time.
    """
    if fit.method != "hierarchical":
        raise FitError(f"informing_days needs the posterior of a hierarchical fit; this is {fit.method!r}")
    outputs = [one.output for one in measured_outputs(fit)]
    rows = pd.concat([fitted_data(fit, output).observations for output in outputs])
    days = np.linspace(0.01, np.sqrt(max(LAST_DAY, rows["time"].max())), POINTS) ** 2
    typical = take_draws(fit, None, seed=1).typical
    medians = {name: np.asarray(np.median(draws)) for name, draws in typical.items()}
    found = {}
    for name in fit.model.free_parameters:
        first, last = _middle(days, _effect(fit, days, name, medians, outputs))
        within = rows[rows["time"].between(first, last)]
        seen = within[within["value"].notna()]
        found[name] = (first, last, len(within), len(seen), seen["subject"].nunique())
    columns = ["first", "last", "samples", "quantified", "subjects"]
    return pd.DataFrame.from_dict(found, orient="index", columns=columns).rename_axis("parameter")


def _effect(fit: Fit, days: Floats, name: str, medians: Mapping[str, Floats], outputs: list[str]) -> Floats:
    """Squared derivative of the log outputs, summed over them; 0 where there is no level."""
    parameter, course = fit.model.parameters[name], typical_course(fit.model, fit.data)
    centre = parameter.to_free(medians[name])
    moved = {**medians, name: parameter.from_free(centre + STEP * np.array([[1.0], [-1.0]]))}
    values = {key: np.broadcast_to(value, (2, 1)) for key, value in moved.items()}
    whole = with_default_inputs(fit, values)
    total = np.zeros(len(days))
    for output in outputs:
        level = curve(fit.model, days, whole, output, infusions=course.infusions, series=course.series)
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.diff(np.log(level), axis=0)[0] / (2 * STEP)
        total += np.where(np.isfinite(slope), slope, 0.0) ** 2
    return total


def _middle(days: Floats, effect: Floats) -> tuple[float, float]:
    """Days between which the middle of the effect lies."""
    if not effect.max() > 0:
        return np.nan, np.nan
    share = np.cumsum(effect) / effect.sum()
    first, last = np.searchsorted(share, [OUTER, 1 - OUTER])
    return float(days[first]), float(days[last])


def informing_words(row: pd.Series) -> str:
    """What was measured when a parameter shows.

    Parameters
    ----------
    row : pandas.Series
        Of `informing_days`.

    Returns
    -------
    str
        A clause.
    """
    if np.isnan(row["first"]):
        return "it does not move the typical course"
    first, last = (f"{day:.1f}" if day < 10 else f"{day:.0f}" for day in (row["first"], row["last"]))
    samples = f"{row['quantified']:.0f} of {row['samples']:.0f} samples are quantified"
    if not row["samples"]:
        samples = "nobody was sampled"
    elif row["quantified"]:
        samples += f", of {row['subjects']:.0f} subjects"
    return f"it shows mostly between days {first} and {last}, where {samples}"

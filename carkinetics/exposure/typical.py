"""Exposure of the typical subject: the few numbers that a population fit is asked for first."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from carkinetics.exposure.posterior import Sampled, interval_of, metrics_of_one
from carkinetics.exposure.table import metric_unit, window_end
from carkinetics.fit.chosen import take_draws
from carkinetics.fit.course import typical_course
from carkinetics.fit.measured import fitted_data
from carkinetics.fit.result import INTERVAL, Fit
from carkinetics.model.expression import NUMPY, evaluate
from carkinetics.model.solve import with_derived

# In this order; a metric that the model or the data cannot give makes room for the next one.
ASKED_FIRST = ("cmax", "tmax", "auc_0_28", "doubling_time", "half_life", "persistence")
TYPICAL_COLUMNS = ("metric", "value", "lower", "upper", "unit")
ROUNDING = 1e-9
Floats = NDArray[np.float64]


def typical_exposure(fit: Fit, most: int = 5, *, extrapolate: bool = False) -> pd.DataFrame:
    """Peak, area, growth and decline of a subject without random effects, from every posterior draw.

    Covariates are at their centre, inputs of the model at their defaults, and one infusion has the median dose. This is
    the curve of the typical subject and not the mean of subjects' curves. A half-life that was fixed makes room for another
    one of the model that was estimated, such as ``half_life_fast``.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    most : int
        Largest number of metrics, in the order of `ASKED_FIRST`.
    extrapolate : bool
        Whether also areas that end, and a persistence whose median is, after the last sample of all subjects.

    Returns
    -------
    pandas.DataFrame
        Columns `TYPICAL_COLUMNS`: the median over the draws and the 90 % equal-tailed interval. ``persistence`` is the
        day on which the curve falls below the median LLOQ for good; infinity where it never does.

    Raises
    ------
    FitError
        If the fit has no posterior.
    """
    draws = take_draws(fit, None, seed=1)
    values = with_default_inputs(fit, draws.typical)
    rows = fitted_data(fit).observations
    lloq = float(rows.loc[rows["time"] >= 0, "lloq"].median())
    sampled = Sampled(np.empty(0), np.nan, lloq, typical_course(fit.model, fit.data))
    found = metrics_of_one(fit, values, list(ASKED_FIRST), sampled)
    last = np.inf if extrapolate else float(rows["time"].max())
    tail = (1 - INTERVAL) / 2
    kept = []
    for metric in ASKED_FIRST:
        if metric not in found or np.isnan(found[metric]).all():
            continue
        name, sample = metric, found[metric]
        if metric == "half_life":
            name, sample = _estimated(fit, values, sample)
        low, middle, high = interval_of(sample, tail)
        if (middle if metric == "persistence" else window_end(metric) or 0.0) <= last:
            kept.append((name, middle, low, high, metric_unit(metric, fit.model.output().unit)))
    return pd.DataFrame(kept[:most], columns=list(TYPICAL_COLUMNS))


def _estimated(fit: Fit, values: Mapping[str, Floats], half_life: Floats) -> tuple[str, Floats]:
    """The half-life, or the first other one of the model that differs between draws, if that does not."""
    if _differs(half_life):
        return "half_life", half_life
    known = with_derived(fit.model, values)
    for name, quantity in fit.model.quantities.items():
        if name.startswith("half_life_"):
            other = np.asarray(evaluate(quantity.value, known, NUMPY))
            if _differs(other):
                return name, other
    return "half_life", half_life


def _differs(sample: Floats) -> bool:
    """Whether draws differ by more than rounding."""
    return bool(np.ptp(sample) > ROUNDING * np.max(np.abs(sample)))


def with_default_inputs(fit: Fit, values: Mapping[str, Floats]) -> dict[str, Floats]:
    """Add the inputs of the model, at their defaults, to its parameters.

    Parameters
    ----------
    fit : Fit
        Whose model.
    values : mapping of str to ndarray
        Parameters, arrays of one shape.

    Returns
    -------
    dict of str to ndarray
        Parameters and inputs, arrays of the same shape.
    """
    shape = np.shape(next(iter(values.values())))
    return {**values, **{name: np.full(shape, entry.default) for name, entry in fit.model.inputs.items()}}

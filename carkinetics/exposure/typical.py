"""Exposure of the typical subject: the few numbers that a population fit is asked for first."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from carkinetics.exposure.posterior import Sampled, interval_of, metrics_of_one
from carkinetics.exposure.table import metric_unit
from carkinetics.fit.chosen import take_draws
from carkinetics.fit.course import typical_course
from carkinetics.fit.measured import fitted_data
from carkinetics.fit.result import INTERVAL, Fit

# In this order; a metric that the model or the data cannot give makes room for the next one.
ASKED_FIRST = ("cmax", "tmax", "auc_0_28", "doubling_time", "half_life", "persistence")
TYPICAL_COLUMNS = ("metric", "value", "lower", "upper", "unit")
Floats = NDArray[np.float64]


def typical_exposure(fit: Fit, most: int = 5) -> pd.DataFrame:
    """Peak, area, growth and decline of a subject without random effects, from every posterior draw.

    Covariates are at their centre, inputs of the model at their defaults, and one infusion has the median dose. This is
    the curve of the typical subject and not the mean of subjects' curves.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    most : int
        Largest number of metrics, in the order of `ASKED_FIRST`.

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
    tail = (1 - INTERVAL) / 2
    rows = []
    for metric in ASKED_FIRST:
        if metric in found and not np.isnan(found[metric]).all():
            low, middle, high = interval_of(found[metric], tail)
            rows.append((metric, middle, low, high, metric_unit(metric, fit.model.output().unit)))
    return pd.DataFrame(rows[:most], columns=list(TYPICAL_COLUMNS))


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

"""New measurements of a design, and how many of the old ones they cover.

Conventions
-----------
A replicate is drawn before any censoring; who uses it censors it with the limits of its rows. Pre-dose rows
are zero by construction and are not measured anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from carkinetics.dataset.table import PREDOSE, Dataset, is_above, is_censored
from carkinetics.errors import ConfigError, FitError
from carkinetics.fit.assays import choose_assays
from carkinetics.fit.chosen import take_draws
from carkinetics.fit.measured import fitted_rows, measured_output
from carkinetics.fit.predictive import Floats, add_random_effects, subject_levels, typical_parameters
from carkinetics.fit.problem import Measured
from carkinetics.fit.result import Fit
from carkinetics.model.observe import TINY, draw_values


@dataclass(frozen=True, eq=False)
class Replicates:
    """New measurements of a design.

    Parameters
    ----------
    observations : pandas.DataFrame
        The rows that were measured anew.
    subject_index : ndarray of int, shape (n_obs,)
        Position of each row's subject in the data's subjects.
    value : ndarray, shape (n_draws, n_obs)
        New measurements, before any censoring.
    typical : ndarray, shape (n_obs,)
        Median over the draws of the level without random effects, at the subject's covariates.
    """

    observations: pd.DataFrame
    subject_index: NDArray[np.intp]
    value: Floats
    typical: Floats


def replicates(
    fit: Fit,
    data: Dataset | None = None,
    *,
    rows: pd.DataFrame | None = None,
    same_subjects: bool = False,
    n_draws: int | None = 300,
    seed: int = 1,
    output: str = "",
) -> Replicates:
    """Measure a design anew: same sampling times, covariates, inputs and infusions.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    data : Dataset, optional
        The design; the fitted data if not given.
    rows : pandas.DataFrame, optional
        Which observations of the design; all of the output but the pre-dose ones if not given.
    same_subjects : bool
        Whether a subject of the fit keeps its parameters. Everybody else has new random effects.
    n_draws : int or None
        Number of replicates; None for one per posterior draw.
    seed : int
        Seed of all random numbers.
    output : str
        Which output of the model; the CAR-T level if empty.

    Returns
    -------
    Replicates
        One replicate of all rows per draw.

    Raises
    ------
    FitError
        If the fit has no posterior.
    DataError
        If the data lack a covariate of the fit.
    """
    one = measured_output(fit, output)
    design, assay = (fit.data, one.assay) if data is None else (data, _assay_of(fit, data, one))
    draws = take_draws(fit, n_draws, seed)
    rng = np.random.default_rng([seed, 1])
    typical = typical_parameters(fit, draws, design)
    values = add_random_effects(fit.model, draws, typical, rng)
    if same_subjects:
        keep_subjects(fit, design, values, draws.individual)
    if rows is None:
        table = design.observations
        rows = table[(table["assay"] == assay) & (table["status"] != PREDOSE)].reset_index(drop=True)
    place = {subject: i for i, subject in enumerate(design.subject_ids)}
    index = rows["subject"].map(place).to_numpy(np.intp)
    time = rows["time"].to_numpy(float)

    def at_rows(by_subject: Mapping[str, Floats]) -> Floats:
        return subject_levels(fit.model, design, index, time, by_subject, output)

    names = zip(one.error.parameters, one.sigmas, strict=True)
    sigmas = {own: draws.sigmas[name][:, None] for own, name in names}
    measured = draw_values(one.error, at_rows(values), sigmas, rng)
    return Replicates(rows, index, measured, np.median(at_rows(typical), axis=0))


def _assay_of(fit: Fit, data: Dataset, one: Measured) -> str:
    """Assay of other data that measures an output: the fit's, or the one in its unit."""
    first = measured_output(fit)
    chosen = choose_assays(fit.model, data, {first.output: first.assay, one.output: one.assay})
    return chosen[one.output]


def keep_subjects(
    fit: Fit, design: Dataset, values: dict[str, Floats], individual: Mapping[str, Floats]
) -> None:
    """Give subjects of the fit their own parameters.

    Parameters
    ----------
    fit : Fit
        Whose subjects.
    design : Dataset
        Whose subjects ``values`` are of.
    values : dict of str to ndarray, shape (n_draws, n_subject)
        Changed in place.
    individual : mapping of str to ndarray, shape (n_draws, n_subject)
        Parameters of the fit's subjects at the same draws.
    """
    position = {subject: i for i, subject in enumerate(fit.data.subject_ids)}
    known = [i for i, subject in enumerate(design.subject_ids) if subject in position]
    own = [position[design.subject_ids[i]] for i in known]
    for name, drawn in individual.items():
        values[name] = values[name].copy()
        values[name][:, known] = drawn[:, own]


def limit_of(observations: pd.DataFrame) -> Floats:
    """Limit below which a new measurement of each row would not be quantified.

    Parameters
    ----------
    observations : pandas.DataFrame
        Columns ``status, upper, lloq``.

    Returns
    -------
    ndarray, shape (n_obs,)
        The row's LLOQ; for a BLQ row without one the bound it is known to lie below; NaN if there is none.
    """
    lloq, upper = (observations[name].to_numpy(float) for name in ("lloq", "upper"))
    return np.where(np.isnan(lloq) & is_censored(observations), upper, lloq)


def measured_level(observations: pd.DataFrame) -> Floats:
    """Value of each row; the limit for one above the upper limit of quantification.

    Parameters
    ----------
    observations : pandas.DataFrame
        Columns ``status, value, lower``.

    Returns
    -------
    ndarray, shape (n_obs,)
        NaN for a BLQ row.
    """
    value, lower = (observations[name].to_numpy(float) for name in ("value", "lower"))
    return np.where(is_above(observations), lower, value)


def ceiling_of(observations: pd.DataFrame, data: Dataset) -> Floats:
    """Limit above which a new measurement of each row would not be quantified.

    Parameters
    ----------
    observations : pandas.DataFrame
        Columns ``assay, status, lower``.
    data : Dataset
        Whose assays may have an upper limit of quantification.

    Returns
    -------
    ndarray, shape (n_obs,)
        The row's own limit if it is above it, else the assay's usual one; infinity if there is none.
    """
    usual = np.full(len(observations), np.inf)
    if "uloq" in data.assays:
        by_assay = data.assays.set_index("assay")["uloq"].astype(float)
        usual = observations["assay"].map(by_assay).fillna(np.inf).to_numpy(float)
    return np.where(is_above(observations), observations["lower"].to_numpy(float), usual)


def predictive_coverage(
    fit: Fit,
    data: Dataset | None = None,
    *,
    level: float = 0.9,
    n_draws: int | None = 1000,
    seed: int = 1,
    output: str = "",
) -> pd.Series:
    """How often the posterior predictive interval holds what was measured.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    data : Dataset, optional
        Held-out measurements; the fitted rows if not given. Subjects of the fit keep their parameters,
        others are new.
    level : float
        Probability of the equal-tailed interval, between 0 and 1.
    n_draws : int or None
        Number of predictive draws for held-out data.
    seed : int
        Seed of the predictive draws for held-out data.
    output : str
        Which output of the model; the CAR-T level if empty.

    Returns
    -------
    pandas.Series
        ``level``; ``covered``: share of all rows inside their interval; ``quantified`` and ``blq``: the same
        of these rows; ``n_quantified`` and ``n_blq``: their numbers; ``blq_expected``: predicted number of
        BLQ rows.

    Raises
    ------
    FitError
        If the fit has no posterior predictive draws.
    ConfigError
        If the level is not between 0 and 1.

    Notes
    -----
    Of a BLQ row only the limit is known. It counts as inside with the probability that a value drawn from
    the predictive distribution below the limit lies in the interval, so that ``covered`` is ``level`` on
    average if the model is right; likewise of a row above the upper limit of quantification. ``quantified`` alone is not: a value that was quantified lies higher than
    an arbitrary one. Fitted rows are covered a little too often, because they helped to find their interval,
    and rows of one subject are not independent.
    """
    if not 0 < level < 1:
        raise ConfigError(f"level is {level!r}; expected a probability between 0 and 1, such as 0.9")
    if data is None:
        if "posterior_predictive" not in fit.tree:
            raise FitError(f"an {fit.method} fit has no posterior predictive draws; use fit_hierarchical")
        predicted = fit.tree["posterior_predictive"]["level"].transpose("chain", "draw", "obs").to_numpy()
        rows = fitted_rows(fit, output)
        of_output = (fit.observations["assay"] == measured_output(fit, output).assay).to_numpy()
        simulated = predicted.reshape(-1, predicted.shape[-1])[:, of_output]
    else:
        made = replicates(fit, data, same_subjects=True, n_draws=n_draws, seed=seed, output=output)
        rows, simulated = made.observations, made.value
    blq, limit = is_censored(rows), limit_of(rows)
    tail = (1 - level) / 2
    low, high = np.quantile(simulated, [tail, 1 - tail], axis=0)
    above, value = is_above(rows), measured_level(rows)
    below = (simulated < limit).mean(axis=0)
    part = _share_inside(below, tail)
    over = _share_inside((simulated > value).mean(axis=0), tail)
    inside = np.where(blq, part, np.where(above, over, (value >= low) & (value <= high)))
    return pd.Series(
        {
            "level": level,
            "covered": _mean(inside),
            "quantified": _mean(inside[~blq & ~above]),
            "blq": _mean(inside[blq]),
            "n_quantified": int((~blq & ~above).sum()),
            "n_blq": int(blq.sum()),
            "blq_expected": float(below.sum()),
        }
    )


def _share_inside(known: Floats, tail: float) -> Floats:
    """Share of a tail of the predictive distribution that lies in the central interval."""
    return np.maximum(np.minimum(known, 1 - tail) - tail, 0.0) / np.maximum(known, TINY)


def _mean(inside: Floats) -> float:
    return float(inside.mean()) if len(inside) else float("nan")

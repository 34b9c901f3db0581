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

from carkinetics.dataset.table import PREDOSE, Dataset, is_censored
from carkinetics.errors import ConfigError, FitError
from carkinetics.fit.predictive import Floats, add_random_effects, levels, take_draws, typical_parameters
from carkinetics.fit.problem import choose_assay, subject_inputs
from carkinetics.fit.result import Fit
from carkinetics.model.observe import TINY, draw_values, residual_error


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
) -> Replicates:
    """Measure a design anew: same sampling times, covariates and inputs.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    data : Dataset, optional
        The design; the fitted data if not given.
    rows : pandas.DataFrame, optional
        Which observations of the design; all but the pre-dose ones if not given.
    same_subjects : bool
        Whether a subject of the fit keeps its parameters. Everybody else has new random effects.
    n_draws : int or None
        Number of replicates; None for one per posterior draw.
    seed : int
        Seed of all random numbers.

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
    design = fit.data if data is None else choose_assay(fit.model, data, fit.settings.get("assay"))
    draws = take_draws(fit, n_draws, seed)
    rng = np.random.default_rng([seed, 1])
    typical = typical_parameters(fit, draws, design)
    values = add_random_effects(fit.model, draws, typical, rng)
    position = {subject: i for i, subject in enumerate(fit.data.subject_ids)}
    if same_subjects:
        known = [i for i, subject in enumerate(design.subject_ids) if subject in position]
        own = [position[design.subject_ids[i]] for i in known]
        for name, individual in draws.individual.items():
            values[name] = values[name].copy()
            values[name][:, known] = individual[:, own]
    if rows is None:
        rows = design.observations[design.observations["status"] != PREDOSE].reset_index(drop=True)
    place = {subject: i for i, subject in enumerate(design.subject_ids)}
    index = rows["subject"].map(place).to_numpy(np.intp)
    time = rows["time"].to_numpy(float)
    inputs = {name: value[None] for name, value in subject_inputs(fit.model, design).items()}

    def at_rows(by_subject: Mapping[str, Floats]) -> Floats:
        return levels(fit.model, time, {n: v[:, index] for n, v in {**by_subject, **inputs}.items()})

    sigmas = {name: value[:, None] for name, value in draws.sigmas.items()}
    measured = draw_values(residual_error(fit.settings["error"]), at_rows(values), sigmas, rng)
    return Replicates(rows, index, measured, np.median(at_rows(typical), axis=0))


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


def predictive_coverage(
    fit: Fit, data: Dataset | None = None, *, level: float = 0.9, n_draws: int | None = 1000, seed: int = 1
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
    average if the model is right. ``quantified`` alone is not: a value that was quantified lies higher than
    an arbitrary one. Fitted rows are covered a little too often, because they helped to find their interval,
    and rows of one subject are not independent.
    """
    if not 0 < level < 1:
        raise ConfigError(f"level is {level!r}; expected a probability between 0 and 1, such as 0.9")
    if data is None:
        if "posterior_predictive" not in fit.tree:
            raise FitError(f"a {fit.method} fit has no posterior predictive draws; use fit_hierarchical")
        predicted = fit.tree["posterior_predictive"]["level"].transpose("chain", "draw", "obs").to_numpy()
        rows, simulated = fit.observations, predicted.reshape(-1, predicted.shape[-1])
    else:
        made = replicates(fit, data, same_subjects=True, n_draws=n_draws, seed=seed)
        rows, simulated = made.observations, made.value
    blq, limit = is_censored(rows), limit_of(rows)
    tail = (1 - level) / 2
    low, high = np.quantile(simulated, [tail, 1 - tail], axis=0)
    value = rows["value"].to_numpy(float)
    below = (simulated < limit).mean(axis=0)
    part = np.maximum(np.minimum(below, 1 - tail) - tail, 0.0) / np.maximum(below, TINY)
    inside = np.where(blq, part, (value >= low) & (value <= high))
    return pd.Series(
        {
            "level": level,
            "covered": _mean(inside),
            "quantified": _mean(inside[~blq]),
            "blq": _mean(inside[blq]),
            "n_quantified": int((~blq).sum()),
            "n_blq": int(blq.sum()),
            "blq_expected": float(below.sum()),
        }
    )


def _mean(inside: Floats) -> float:
    return float(inside.mean()) if len(inside) else float("nan")

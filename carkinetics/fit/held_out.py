"""How well does a fit predict measurements that it has not seen? The log predictive density of each."""

from __future__ import annotations

import numpy as np
import pandas as pd

from carkinetics.dataset.table import Dataset
from carkinetics.errors import DataError
from carkinetics.fit.measured import measured_output
from carkinetics.fit.predictive import add_random_effects, take_draws, typical_parameters
from carkinetics.fit.problem import make_problem
from carkinetics.fit.replicate import keep_subjects
from carkinetics.fit.result import Fit

KEPT = ["subject", "time", "value", "lower", "upper"]


def held_out(
    fit: Fit, data: Dataset, *, output: str = "", n_draws: int | None = 1000, seed: int = 1
) -> pd.DataFrame:
    """Log predictive density of measurements that were left out of a fit.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    data : Dataset
        The measurements. Subjects of the fit keep their parameters, others are new.
    output : str
        Which output of the model; the CAR-T level if empty.
    n_draws : int or None
        Posterior draws; None for all.
    seed : int
        Of the choice of draws and of new subjects' random effects.

    Returns
    -------
    pandas.DataFrame
        One row per measurement that the fit's BLQ method counts: ``subject, time, value, lower, upper`` and
        ``log_density``, of log y for errors on the log scale; a BLQ value has the log of its probability. Models are
        compared by the differences of a row: their mean and its standard error, subjects being the independent units.

    Raises
    ------
    FitError
        If the fit has no posterior.
    DataError
        If nothing of this output is there, or a covariate is missing.
    """
    one = measured_output(fit, output)
    settings, draws = fit.settings, take_draws(fit, n_draws, seed)
    values = add_random_effects(
        fit.model, draws, typical_parameters(fit, draws, data), np.random.default_rng([seed, 1])
    )
    keep_subjects(fit, data, values, draws.individual)
    if not (data.observations["assay"] == one.assay).any():
        raise DataError(f"{data.source or 'the data'}: no measurement by {one.assay!r} is held out")
    problem = make_problem(
        fit.model, data, random=settings["random"], covariates=settings["requested_covariates"], blq=settings["blq"],
        error=settings["errors"], assay=settings["assays"], mixture=settings.get("mixture") or False,
    )  # fmt: skip
    varying = {name: value if name in problem.varying else value[:, 0] for name, value in values.items()}
    density = problem.log_likelihood(problem.level(varying), draws.sigmas)
    each = np.logaddexp.reduce(density, axis=0) - np.log(len(density))
    found = problem.observations[KEPT].assign(log_density=each)
    return found[(problem.observations["assay"] == one.assay).to_numpy()].reset_index(drop=True)

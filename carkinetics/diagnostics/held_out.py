"""How well does a fit predict measurements that it has not seen? The log predictive density of each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from carkinetics.dataset.table import Dataset
from carkinetics.diagnostics.replicate import keep_subjects
from carkinetics.errors import ConfigError, DataError
from carkinetics.fit.chosen import take_draws
from carkinetics.fit.measured import measured_output
from carkinetics.fit.predictive import add_random_effects, typical_parameters
from carkinetics.fit.problem import make_problem
from carkinetics.fit.result import Fit

KEPT = ["subject", "time", "value", "lower", "upper"]
_HELD = "held out"


def held_out(
    fit: Fit, data: Dataset, *, output: str = "", n_draws: int | None = 1000, seed: int = 1
) -> pd.DataFrame:
    """Log predictive density of measurements that were left out of a fit.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    data : Dataset
        The measurements. Subjects of the fit keep their parameters, and what the model reads of them (lymphocyte counts,
        for instance) is taken from the fit's data too; others are new.
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
    for given, kind in ((fit, Fit), (data, Dataset)):
        if not isinstance(given, kind):
            raise ConfigError(
                f"held_out(fit, data): a {type(given).__name__} stands where a {kind.__name__} is expected"
            )
    one = measured_output(fit, output)
    if not (data.observations["assay"] == one.assay).any():
        raise DataError(f"{data.source or 'the data'}: no measurement by {one.assay!r} is held out")
    whole = _beside_seen(fit, data)
    settings, draws = fit.settings, take_draws(fit, n_draws, seed)
    values = add_random_effects(
        fit.model, draws, typical_parameters(fit, draws, whole), np.random.default_rng([seed, 1])
    )
    keep_subjects(fit, whole, values, draws.individual)
    problem = make_problem(
        fit.model, whole, random=settings["random"], covariates=settings["requested_covariates"], blq=settings["blq"],
        error=settings["errors"], assay=settings["assays"], mixture=settings.get("mixture") or False,
    )  # fmt: skip
    varying = {name: value if name in problem.varying else value[:, 0] for name, value in values.items()}
    density = problem.log_likelihood(problem.level(varying), draws.sigmas)
    each = np.logaddexp.reduce(density, axis=0) - np.log(len(density))
    rows = problem.observations
    asked = (rows[_HELD] & (rows["assay"] == one.assay)).to_numpy()
    return rows[KEPT].assign(log_density=each)[asked].reset_index(drop=True)


def _beside_seen(fit: Fit, data: Dataset) -> Dataset:
    """The held-out rows with those of the fit, which hold its other outputs and what the model reads of a subject."""
    seen, key = fit.data, ["subject", "assay", "time"]
    tables = {}
    for name in ("subjects", "doses", "events"):
        old, new = getattr(seen, name), getattr(data, name)
        tables[name] = pd.concat([new, old[~old["subject"].isin(data.subject_ids)]], ignore_index=True)
    mine = data.observations[data.observations["assay"].isin(seen.assays["assay"])].assign(**{_HELD: True})
    rest = seen.observations.assign(**{_HELD: False})
    again = pd.MultiIndex.from_frame(rest[key]).isin(pd.MultiIndex.from_frame(mine[key]))
    return replace(
        seen, observations=pd.concat([mine, rest[~again]], ignore_index=True), source=data.source, **tables
    )

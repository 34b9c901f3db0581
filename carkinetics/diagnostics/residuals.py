"""How far each observation lies from what the fit says of it.

Conventions
-----------
``pred`` is the level of a subject without random effects at the covariates of this one, ``ipred`` the level
of this very subject; both are medians over the posterior. Residuals are on the scale of the residual error
(the log for a log-normal one), in its standard deviations. For a BLQ row, and one above the upper limit of quantification, only a range of residuals is known:
one is drawn from that range (a randomised quantile residual) and flagged as ``imputed``, so that residuals
of a right model are distributed as its error is, and such a row is never left out of a picture in silence.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.special import log_ndtr, ndtri, ndtri_exp
from scipy.stats import t as student_t

from carkinetics.dataset.table import is_above, is_censored
from carkinetics.diagnostics.replicate import limit_of, measured_level, replicates
from carkinetics.fit.measured import fitted_rows, measured_output
from carkinetics.fit.predictive import Floats, individual_parameters, subject_levels
from carkinetics.fit.problem import Measured
from carkinetics.fit.result import Fit
from carkinetics.model.observe import STUDENT_DF, TINY, standard_deviation
from carkinetics.model.residual import ResidualError

RESIDUAL_COLUMNS = (
    "subject", "time", "value", "status", "imputed", "dv", "pred", "ipred", "iwres", "npd",
)  # fmt: skip


def residuals(
    fit: Fit, *, n_sim: int = 500, n_draws: int | None = 400, seed: int = 1, output: str = ""
) -> pd.DataFrame:
    """Predictions and residuals of every fitted observation of one output.

    Parameters
    ----------
    fit : Fit
        Hierarchical, or individual; the latter has no ``pred`` and no ``npd``.
    n_sim : int
        Number of replicated studies for ``npd``.
    n_draws : int or None
        Number of posterior draws for ``ipred``; None for all.
    seed : int
        Seed of the replicates and of the imputed residuals.
    output : str
        Which output of the model; the CAR-T level if empty.

    Returns
    -------
    pandas.DataFrame
        One row per fitted observation: ``subject, time, value`` (NaN if BLQ), ``status``, ``imputed``
        (whether the row is BLQ or above the ULOQ), ``dv`` (the value; for such a row the one that belongs to its imputed
        residual), ``pred, ipred, iwres`` and ``npd``.

    Notes
    -----
    ``npd`` is the normal quantile of an observation's rank among new subjects' values for the same row; for
    a BLQ row the rank is drawn uniformly below the predicted probability of being BLQ [1]_. Each is standard
    normal if the model is right, but those of one subject are correlated: they are to be looked at, and no
    test that counts observations as independent applies.

    References
    ----------
    .. [1] Nguyen THT, Comets E, Mentré F. J Pharmacokinet Pharmacodyn 2012;39:499-518.
    """
    one = measured_output(fit, output)
    rows = fitted_rows(fit, output).reset_index(drop=True)
    rng = np.random.default_rng([seed, 2])
    error = one.error
    place = {subject: i for i, subject in enumerate(fit.data.subject_ids)}
    index = rows["subject"].map(place).to_numpy(np.intp)
    values = individual_parameters(fit, n_draws, seed)
    drawn = subject_levels(fit.model, fit.data, index, rows["time"].to_numpy(float), values, output)
    ipred = np.median(drawn, axis=0)
    sigmas = _residual_sds(fit, one)
    iwres = _standardised(rows, error, ipred, sigmas, rng)
    blq = is_censored(rows) | is_above(rows)
    population = _population(fit, rows, output, n_sim, seed, rng)
    return pd.DataFrame(
        {
            "subject": rows["subject"].to_numpy(),
            "time": rows["time"].to_numpy(float),
            "value": np.where(blq, np.nan, rows["value"].to_numpy(float)),
            "status": rows["status"].to_numpy(),
            "imputed": blq,
            "dv": np.where(blq, _value_at(error, ipred, iwres, sigmas), rows["value"].to_numpy(float)),
            "pred": population["pred"],
            "ipred": ipred,
            "iwres": iwres,
            "npd": population["npd"],
        },
        columns=list(RESIDUAL_COLUMNS),
    )


def misfit(fit: Fit, *, seed: int = 1, output: str = "") -> pd.Series:
    """How badly each subject is fitted: the mean of its squared individual residuals, about 1 if the error is right.

    Parameters
    ----------
    fit : Fit
        Hierarchical, or individual.
    seed : int
        Seed of the residuals of BLQ rows.
    output : str
        Which output of the model; the CAR-T level if empty.

    Returns
    -------
    pandas.Series
        By subject, worst first; infinity for subjects without an estimate, NaN and last those without observations.
    """
    table = residuals(fit, n_sim=1, seed=seed, output=output)
    squared = (table["iwres"] ** 2).fillna(np.inf).groupby(table["subject"]).mean()
    found = squared.reindex(fit.data.subject_ids).rename("mean squared IWRES")
    return found.sort_values(ascending=False, kind="stable", na_position="last")


def normal_scores(iwres: pd.Series, error: ResidualError) -> Floats:
    """Residuals as standard normal ones: those of a Student-t error by their probability.

    Parameters
    ----------
    iwres : pandas.Series
        As `residuals` returns them.
    error : ResidualError
        That of the output.

    Returns
    -------
    ndarray, shape (n,)
        The same for every other error.
    """
    z = iwres.to_numpy(float)
    if not error.student:
        return z
    # By the tail: a distribution function near 1 is rounded to it.
    return np.asarray(-np.sign(z) * ndtri(student_t.sf(np.abs(z), STUDENT_DF)))


def _residual_sds(fit: Fit, one: Measured) -> dict[str, float]:
    """Posterior medians, or the value that an individual fit was given."""
    if fit.method == "individual":
        output = fit.model.output(one.output)
        given = fit.settings["sigma"] if output is fit.model.output() else output.residual
        return dict.fromkeys(one.error.parameters, float(given))
    names = zip(one.error.parameters, one.sigmas, strict=True)
    return {own: float(fit.tree["posterior"][name].median()) for own, name in names}


def _population(
    fit: Fit, rows: pd.DataFrame, output: str, n_sim: int, seed: int, rng: np.random.Generator
) -> dict[str, Floats]:
    """Prediction without random effects, and the place among new subjects."""
    if fit.method == "individual":
        return {"pred": np.full(len(rows), np.nan), "npd": np.full(len(rows), np.nan)}
    made = replicates(fit, rows=rows, n_draws=n_sim, seed=seed, output=output)
    value = made.value[np.isfinite(made.value).all(axis=1)]
    blq, above, n = is_censored(rows), is_above(rows), len(value) + 1
    below = (value < np.where(blq, limit_of(rows), measured_level(rows))).sum(axis=0)
    u = rng.uniform(size=len(rows))
    rank = np.where(blq, u * (below + 1), np.where(above, below + u * (n - below), below + u)) / n
    return {"pred": made.typical, "npd": ndtri(rank)}


def _scaled(error: ResidualError, value: Floats, ipred: Floats, sigmas: Mapping[str, float]) -> Floats:
    """Standardise a value on the scale of the residual error."""
    level = np.maximum(ipred, TINY)
    sd = standard_deviation(error, level, sigmas)
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray((np.log(value / level) if error.log_scale else value - level) / sd)


def _value_at(error: ResidualError, ipred: Floats, z: Floats, sigmas: Mapping[str, float]) -> Floats:
    """Value that has a given standardised residual."""
    sd = standard_deviation(error, ipred, sigmas)
    return np.asarray(ipred * np.exp(sd * z) if error.log_scale else ipred + sd * z)


def _standardised(
    rows: pd.DataFrame,
    error: ResidualError,
    ipred: Floats,
    sigmas: Mapping[str, float],
    rng: np.random.Generator,
) -> Floats:
    """Residual of every row, drawn from the known range for one that was not quantified."""
    blq = is_censored(rows) | is_above(rows)
    value = np.where(blq, 1.0, rows["value"].to_numpy(float))
    lower, upper = (np.where(blq, rows[name].to_numpy(float), 1.0) for name in ("lower", "upper"))
    # Zero is no bound on the log scale; on the natural one an additive error reaches below zero.
    low = np.where(lower > 0, _scaled(error, np.where(lower > 0, lower, 1.0), ipred, sigmas), -np.inf)
    drawn = _draw_between(error, low, _scaled(error, upper, ipred, sigmas), rng)
    return np.where(blq, drawn, _scaled(error, value, ipred, sigmas))


def _draw_between(error: ResidualError, low: Floats, high: Floats, rng: np.random.Generator) -> Floats:
    """Draw from the error's distribution between two bounds, in the lower tail, where its log is exact."""
    u = rng.uniform(size=len(high))
    mirror = low > 0
    a, b = np.where(mirror, -high, low), np.where(mirror, -low, high)
    log_cdf = (lambda z: student_t.logcdf(z, STUDENT_DF)) if error.student else log_ndtr
    log_b = log_cdf(b)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_p = log_b + np.log(u + (1 - u) * np.exp(log_cdf(a) - log_b))
    drawn = student_t.ppf(np.exp(log_p), STUDENT_DF) if error.student else ndtri_exp(log_p)
    return np.asarray(np.where(mirror, -drawn, drawn))

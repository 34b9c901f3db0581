"""One subject's log density from a fit that has not seen it: what PSIS approximates, at the price of a fit."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np

from carkinetics.diagnostics.diagnose import diagnose
from carkinetics.diagnostics.marginal import marginal_log_likelihood
from carkinetics.fit.chosen import Draws, take_draws
from carkinetics.fit.hierarchical import fit_hierarchical
from carkinetics.fit.problem import Problem
from carkinetics.fit.result import Fit

APPROXIMATIONS = ("laplace", "pathfinder", "advi")


def fit_without(fit: Fit, subject: str) -> Fit:
    """The same fit of all other subjects.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    subject : str
        Who is left out.

    Returns
    -------
    Fit
        With the settings of ``fit``.

    Raises
    ------
    DataError
        If nothing is left to fit.
    """
    asked = fit.settings
    made_by = asked["sampler"]
    engine = {"method": made_by} if made_by in APPROXIMATIONS else {"sampler": "auto"}
    return fit_hierarchical(
        fit.model, fit.data.select(subjects=[one for one in fit.data.subject_ids if one != subject]),
        random=asked["random"], covariates=asked["requested_covariates"], correlated=asked["correlated"],
        mixture=asked.get("mixture") or False, error=asked["errors"], blq=asked["blq"], assay=asked["assays"],
        until=asked.get("until"), max_minutes=asked.get("max_minutes", 15.0), chains=asked["chains"], seed=asked["seed"],
        **engine,
    )  # fmt: skip


def left_out_density(
    fit: Fit, part: Problem, subject: str, n_draws: int, n_inner: int, seed: int, progress: bool = False
) -> tuple[float, bool]:
    """Log density of a subject, averaged over a posterior that has not seen it.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    part : Problem
        All its subjects with what is predicted of them.
    subject : str
        Who is left out.
    n_draws, n_inner, seed : int
        As in `carkinetics.loo`.
    progress : bool
        Print who is left out.

    Returns
    -------
    tuple of (float, bool)
        Log density, and whether the fit without the subject converged.
    """
    if progress:
        print(f"fit without subject {subject}", file=sys.stderr, flush=True)  # noqa: T201 (asked for)
    without = fit_without(fit, subject)
    draws = _recentred(fit, without, take_draws(without, n_draws, seed))
    at = part.data.subject_ids.index(subject)
    each = marginal_log_likelihood(part, draws, n_inner, seed)[:, at]
    return float(np.logaddexp.reduce(each) - np.log(len(each))), bool(diagnose(without).attrs["converged"])


def _recentred(fit: Fit, without: Fit, draws: Draws) -> Draws:
    """Typical values at the centres of all subjects' covariates: leaving one subject out moves the mean of a covariate."""
    typical = dict(draws.typical)
    for old, new in zip(fit.settings["covariates"], without.settings["covariates"], strict=True):
        name, moved = old["parameter"], old["centre"] - new["centre"]
        parameter = fit.model.parameters[name]
        shifted = parameter.to_free(typical[name]) + draws.slopes[old["name"]] * moved
        typical[name] = np.asarray(parameter.from_free(shifted), dtype=float)
    return replace(draws, typical=typical)

"""Which pairs of parameter and covariate a search may look at, and the population in which it looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from carkinetics.errors import ConfigError, FitError
from carkinetics.fit.covariate import Covariate, read_covariates
from carkinetics.fit.population import PopulationFit
from carkinetics.fit.problem import Problem, make_problem
from carkinetics.fit.result import Fit


def population_settings(fit: Fit | PopulationFit, verb: str) -> dict[str, Any]:
    """What `carkinetics.fit_population` would be asked, to fit the same.

    Parameters
    ----------
    fit : Fit or PopulationFit
        Hierarchical, or of a population.
    verb : str
        Who asks, for messages.

    Returns
    -------
    dict
        ``random, covariates, correlated, blq, error, assay, mixture``. Priors of slopes are left out.

    Raises
    ------
    ConfigError
        If the fit has two classes of subjects, or no random effects.
    FitError
        If the fit is an individual one.
    """
    asked = fit.settings
    if not isinstance(fit, PopulationFit) and fit.method != "hierarchical":
        raise FitError(
            f"{verb} needs a population: use fit_population or fit_hierarchical, not fit_individuals"
        )
    if asked.get("mixture"):
        raise ConfigError(f"{verb} has no classes of subjects; give a fit without them (mixture=False)")
    if not asked["random"]:
        raise ConfigError(f"{verb}: the fit has no random effects that a covariate could explain")
    covariates = {
        name: [texts] if isinstance(texts, str) else list(texts)
        for name, texts in (asked["requested_covariates"] or {}).items()
    }
    return {
        "random": asked["random"], "covariates": covariates, "correlated": asked["correlated"], "blq": asked["blq"],
        "error": asked["errors"], "assay": asked["assays"], "mixture": False,
    }  # fmt: skip


def population_problem(fit: Fit | PopulationFit, verb: str) -> Problem:
    """The population of a fit, with the priors of its slopes.

    Parameters
    ----------
    fit : Fit or PopulationFit
        Hierarchical, or of a population.
    verb : str
        Who asks, for messages.

    Returns
    -------
    Problem
        Its rows and settings.

    Raises
    ------
    ConfigError, FitError
        As of `population_settings`.
    """
    asked = population_settings(fit, verb) | {"covariates": fit.settings["requested_covariates"]}
    return make_problem(fit.model, fit.data, **asked)


def candidate_pairs(
    problem: Problem, candidates: Iterable[str] | Mapping[str, Iterable[str]]
) -> list[Covariate]:
    """Pairs of a parameter and a covariate that are not in the fit yet.

    Parameters
    ----------
    problem : Problem
        What was fitted.
    candidates : iterable of str, or mapping of str to iterable of str
        Covariates as `carkinetics.fit_hierarchical` takes them, for every parameter with a random effect; or by parameter.

    Returns
    -------
    list of Covariate
        One per pair.

    Raises
    ------
    ConfigError
        If there is none, a parameter has no random effect, or a covariate does not vary or is in the fit.
    """
    if isinstance(candidates, str):
        raise ConfigError(
            f'candidates is the text {candidates!r}; expected a list of covariates, as in ["{candidates}"]'
        )
    if isinstance(candidates, Mapping):
        by = {name: (one,) if isinstance(one, str) else tuple(one) for name, one in candidates.items()}
    else:
        by = dict.fromkeys(problem.random, tuple(candidates))
    for name in by:
        problem.model.require(name, "candidates")
        if name not in problem.random:
            raise ConfigError(
                f"candidates: {name} has no random effect for a covariate to explain; random is {', '.join(problem.random)}"
            )
    there = {(c.parameter, c.text) for c in problem.covariates}
    pairs = list(read_covariates(problem.model, problem.data, by))
    for pair in pairs:
        if (pair.parameter, pair.text) in there:
            raise ConfigError(f"candidates: {pair.parameter} on {pair.text} is in the fit already")
        if not np.ptp(pair.centred) > 0:
            raise ConfigError(f"candidates: {pair.text!r} is the same for all subjects")
    if not pairs:
        raise ConfigError("candidates: none given")
    return pairs

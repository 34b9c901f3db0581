"""Prior predictive check: which data a model expects before it has seen any.

Conventions
-----------
Every replicate has its own population, drawn from the priors, new subjects of it and new measurements at the observed
times, censored like the observed ones. Bands are wide: they hold everything that the priors allow. Data outside them
contradict the priors or the model; bands over many decades in which nobody would expect a level say that the priors are
vaguer than what is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from carkinetics.dataset.table import Dataset
from carkinetics.diagnostics.replicate import Replicates
from carkinetics.diagnostics.vpc import Vpc, check_replicates
from carkinetics.errors import ConfigError
from carkinetics.fit.draws import predictive, prior_draws
from carkinetics.fit.hierarchical import problem_of
from carkinetics.fit.problem import Problem, make_problem
from carkinetics.fit.result import Fit
from carkinetics.model.mixture import Mixture
from carkinetics.model.spec import Model


def prior_check(
    model: Model | Fit,
    data: Dataset | None = None,
    *,
    n_sim: int = 300,
    bins: str | int | Sequence[float] = "nominal",
    by: str | None = None,
    random: Iterable[str] | None = None,
    covariates: Mapping[str, Any] | None = None,
    correlated: Iterable[str] | bool = (),
    mixture: Mixture | Mapping[str, Any] | bool | None = None,
    error: str | Mapping[str, str] | None = None,
    assay: str | Mapping[str, str] | None = None,
    seed: int = 1,
    output: str = "",
) -> Vpc:
    """Compare percentiles of the observations with those of studies drawn from the priors; needs no fit.

    Parameters
    ----------
    model : Model or Fit
        A model with its priors; or a hierarchical fit, whose model, data and settings are taken.
    data : Dataset, optional
        The observations; only with a model.
    n_sim : int
        Number of replicates, each with a population of its own.
    bins : str, int or sequence of float
        Binning rule, see `carkinetics.diagnostics.binning`.
    by : str, optional
        Column of ``data.subjects`` whose values are strata.
    random : iterable of str, optional
        What the fit will be asked, here and below: see `carkinetics.fit_hierarchical`; only with a model.
    covariates : mapping, optional
        Covariate effects.
    correlated : iterable of str or bool
        Random effects with a correlation matrix.
    mixture : Mixture, mapping or bool, optional
        Two classes of subjects.
    error : str or mapping, optional
        Residual error model.
    assay : str or mapping, optional
        Which assay.
    seed : int
        Seed of all random numbers.
    output : str
        Which output of the model; the CAR-T level if empty.

    Returns
    -------
    Vpc
        With ``settings["draws_of"] == "prior"``; ``carkinetics.plot.vpc`` draws it.

    Raises
    ------
    ConfigError
        If a setting names something that does not exist, or settings or data are given with a fit.
    DataError
        If there is nothing to compare.
    FitError
        If no replicate can be computed.

    Notes
    -----
    Replicates that leave the range of numbers, as the tails of a wide prior may, are left out and counted in
    ``settings["n_failed"]``.

    References
    ----------
    .. [1] Gabry J et al. Visualization in Bayesian workflow. J R Stat Soc A 2019;182:389-402.
    """
    if isinstance(n_sim, bool) or not isinstance(n_sim, int) or n_sim < 1:
        raise ConfigError(f"prior_check: n_sim is {n_sim!r}; expected a number of replicates, at least 1")
    asked = {
        "random": random, "covariates": covariates, "correlated": correlated, "mixture": mixture, "error": error,
        "assay": assay,
    }  # fmt: skip
    problem = _problem(model, data, asked)
    made = _replicates(problem, n_sim, seed, problem.model.output(output).name)
    found = check_replicates(made, problem.model, problem.data, bins=bins, by=by, seed=seed, output=output)
    interval = found.settings["interval"].replace("replicates", "replicates drawn from the prior")
    return replace(found, settings=found.settings | {"draws_of": "prior", "interval": interval})


def _problem(model: Model | Fit, data: Dataset | None, asked: Mapping[str, Any]) -> Problem:
    if isinstance(model, Fit):
        given = [name for name, value in asked.items() if not (value is None or value == ())]
        if data is not None or given:
            raise ConfigError(
                f"prior_check: {'data' if data is not None else given[0]} is known from the fit; give a model instead"
            )
        return problem_of(model)
    if not isinstance(model, Model) or not isinstance(data, Dataset):
        raise ConfigError(
            f"prior_check(model, data): found {type(model).__name__} and {type(data).__name__}; expected a Model and a "
            "Dataset, or a Fit alone"
        )
    return make_problem(model, data, **asked)


def _replicates(problem: Problem, n_sim: int, seed: int, output: str) -> Replicates:
    rng = np.random.default_rng(seed)
    drawn = predictive(problem, prior_draws(problem, n_sim, rng), rng)["level"].to_numpy()[0]
    names = [one.output for one in problem.measured]
    if output not in names:
        raise ConfigError(
            f"prior_check: output {output!r} is not measured in these data; known are {', '.join(names)}"
        )
    at = problem.output_index == names.index(output)
    rows = problem.observations[at].reset_index(drop=True)
    return Replicates(rows, problem.subject_index[at], drawn[:, at], np.full(int(at.sum()), np.nan))

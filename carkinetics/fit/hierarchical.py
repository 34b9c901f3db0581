"""All subjects at once: a Bayesian hierarchical fit by PyMC, sampled by nutpie.

Chains start dispersed around an approximate population fit, because from random starts about one chain in
ten settles on a wrong solution with two subjects' peaks in the wrong place. Each random effect is sampled
centred where the data determine it and as a standardised deviation where they do not, which is reported.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from carkinetics.dataset.table import Dataset
from carkinetics.errors import ConfigError, FitError
from carkinetics.fit.approximate import Approximation, laplace_em
from carkinetics.fit.draws import assemble_tree
from carkinetics.fit.problem import Problem, make_problem
from carkinetics.fit.result import INTERVAL, Fit
from carkinetics.fit.summary import summarise
from carkinetics.model.spec import Model

# A random effect is sampled centred when the data determine more than this share of its variance.
CENTRED_ABOVE = 0.5
TARGET_ACCEPT = 0.9


def fit_hierarchical(
    model: Model,
    data: Dataset,
    *,
    random: Iterable[str] | None = None,
    covariates: Mapping[str, Any] | None = None,
    correlated: Iterable[str] | bool = (),
    error: str | None = None,
    blq: str = "M3",
    assay: str | None = None,
    centred: Iterable[str] | None = None,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    cores: int | None = None,
    target_accept: float = TARGET_ACCEPT,
    seed: int = 20260101,
    progress: bool = False,
) -> Fit:
    """Fit a model to all subjects together.

    Parameters
    ----------
    model : Model
        With a closed form; its priors are used.
    data : Dataset
        At least one subject; BLQ-only subjects and single samples count.
    random : iterable of str, optional
        Parameters that differ between subjects; those with an omega in the model file if not given. The
        others are the same for everyone.
    covariates : mapping, optional
        ``{"cmax": "log(dose)"}``: see `carkinetics.fit.covariate.read_covariates`.
    correlated : iterable of str or bool
        Random effects with a full correlation matrix; True for all.
    error : str, optional
        ``lognormal``, ``student_t``, ``additive``, ``proportional``, ``combined1`` or ``combined2``; the
        model file's if not given.
    blq : str
        ``"M1"`` to ``"M7"``; ``"M3"`` treats BLQ values as censored.
    assay : str, optional
        Which assay, when several have the model's unit.
    centred : iterable of str, optional
        Parameters to sample centred; chosen from the data if not given.
    draws, tune, chains : int
        Length of the run, per chain.
    cores : int, optional
        Chains at a time; all cores if not given.
    target_accept : float
        Acceptance that the step size aims at.
    seed : int
        Seed of everything random.
    progress : bool
        Print what is being done, and the sampler's bar, to the standard error stream.

    Returns
    -------
    Fit
        Draws in ``tree``, a table in ``parameters``; not necessarily converged: see `diagnose`.

    Raises
    ------
    ConfigError
        If a setting names something that does not exist.
    DataError
        If the data cannot be fitted.
    FitError
        If the model has differential equations or the sampler could not start.
    """
    if min(draws, tune, chains) < 1:
        raise ConfigError(f"draws, tune and chains are {draws}, {tune} and {chains}; each must be at least 1")
    if not 0.5 <= target_accept < 1 or not 0 <= seed < 2**32:
        raise ConfigError(
            f"target_accept is {target_accept!r} (0.5 to below 1), seed {seed!r} (0 to below 2**32)"
        )
    say = _teller(progress)
    problem = make_problem(
        model,
        data,
        random=random,
        covariates=covariates,
        blq=blq,
        error=error,
        assay=assay,
        correlated=correlated,
    )
    from carkinetics.fit.graph import (
        build_pymc_model,
    )  # PyMC takes seconds to import: only once the input is sound

    if model.level is None:
        build_pymc_model(problem)  # refuses with the reason, before any work is done
    say(f"starting values for {problem.n_subjects} subjects, {len(problem.time)} observations")
    approximation = laplace_em(problem)
    direct = _choose_centred(problem, approximation, centred)
    pymc_model = build_pymc_model(problem, direct)
    started = time.perf_counter()
    raw = _sample(
        pymc_model, problem, approximation, say=say, bar=progress and sys.stderr.isatty(), draws=draws, tune=tune,
        chains=chains, cores=cores or os.cpu_count() or 1, seed=seed, target_accept=target_accept,
    )  # fmt: skip
    settings = _settings(problem, direct, approximation) | {
        "draws": draws, "tune": tune, "chains": chains, "seed": seed, "target_accept": target_accept,
        "sampler": "nutpie", "seconds": round(time.perf_counter() - started, 2),
    }  # fmt: skip
    say("log-likelihood and predictions")
    tree = assemble_tree(problem, raw, seed=seed)
    tree.attrs = {key: settings[key] for key in ("model_sha256", "data_sha256", "seed", "made")} | settings[
        "versions"
    ]
    return Fit(problem.model, problem.data, problem.observations, summarise(problem, tree), tree, settings)


def rebuild_pymc_model(fit: Fit) -> Any:
    """Build the `pymc.Model` that a hierarchical fit was drawn from.

    Parameters
    ----------
    fit : Fit
        A hierarchical fit.

    Returns
    -------
    pymc.Model
        The same density.
    """
    from carkinetics.fit.graph import build_pymc_model

    return build_pymc_model(problem_of(fit), fit.settings["centred"])


def problem_of(fit: Fit) -> Problem:
    """What a fit was asked, as arrays.

    Parameters
    ----------
    fit : Fit
        Any fit.

    Returns
    -------
    Problem
        The same rows and settings.
    """
    asked = fit.settings
    return make_problem(
        fit.model, fit.data, random=asked["random"], covariates=asked["requested_covariates"], blq=asked["blq"],
        error=asked["error"], assay=asked["assay"], correlated=asked["correlated"],
    )  # fmt: skip


def _teller(progress: bool) -> Callable[[str], None]:
    def say(message: str) -> None:
        if progress:
            print(message, file=sys.stderr, flush=True)  # noqa: T201 (the progress that was asked for)

    return say


def _choose_centred(problem: Problem, found: Approximation, asked: Iterable[str] | None) -> list[str]:
    if asked is not None:
        chosen = list(asked)
        for name in chosen:
            if name not in problem.random:
                raise ConfigError(
                    f"centred: {name} has no random effect; random is {', '.join(problem.random)}"
                )
        together = set(problem.correlated) & set(chosen)
        if together and together != set(problem.correlated):
            raise ConfigError(
                f"centred: the correlated {', '.join(problem.correlated)} go together; name all or none"
            )
        return chosen
    chosen = [name for name, share in found.information().items() if share > CENTRED_ABOVE]
    alone = [name for name in chosen if name not in problem.correlated]
    # Correlated effects are one block: centred if most of its members are determined by the data.
    most = 2 * (len(chosen) - len(alone)) > len(problem.correlated)
    return [name for name in problem.random if name in alone or (most and name in problem.correlated)]


def _settings(problem: Problem, centred: list[str], found: Approximation) -> dict[str, Any]:
    packages = ("carkinetics", "pymc", "pytensor", "nutpie", "arviz", "numpy")
    return {
        "method": "hierarchical",
        "assay": str(problem.data.assays["assay"].iloc[0]),
        "random": list(problem.random),
        "correlated": list(problem.correlated),
        "covariates": [
            {
                "parameter": c.parameter,
                "name": c.name,
                "text": c.text,
                "centre": c.centre,
                "prior": c.prior.as_entry(),
            }
            for c in problem.covariates
        ],
        "requested_covariates": {
            name: {c.text: c.prior.as_entry() for c in problem.covariates if c.parameter == name}
            for name in {c.parameter for c in problem.covariates}
        },
        "error": problem.error.name,
        "blq": problem.blq,
        "centred": centred,
        "information": {name: round(share, 3) for name, share in found.information().items()},
        "interval": INTERVAL,
        "model_sha256": problem.model.sha256,
        "data_sha256": problem.data.sha256,
        "versions": {name: version(name) for name in packages},
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _sample(
    pymc_model: Any, problem: Problem, found: Approximation, *, say: Callable[[str], None], bar: bool, draws: int,
    tune: int, chains: int, cores: int, seed: int, target_accept: float,
) -> xr.DataTree:  # fmt: skip
    """Compile and run nutpie from dispersed starts."""
    import nutpie

    say("compiling the model (some 10 to 30 seconds)")
    compiled = nutpie.compile_pymc_model(pymc_model)
    names = [pymc_model.rvs_to_values[rv].name for rv in pymc_model.free_RVs]

    def start(chain_seed: Any) -> NDArray[np.float64]:
        point = starting_point(problem, found, np.random.default_rng(chain_seed))
        return np.concatenate([np.ravel(point[name]) for name in names])

    if len(start(0)) != compiled.n_dim:
        raise FitError(f"the starting point has {len(start(0))} numbers, the compiled model {compiled.n_dim}")
    compiled = dataclasses.replace(compiled, initial_point_func=start)
    say(f"sampling {chains} chains of {tune} + {draws} draws, {compiled.n_dim} dimensions")
    try:
        return nutpie.sample(
            compiled, draws=draws, tune=tune, chains=chains, cores=min(cores, chains), seed=seed, progress_bar=bar,
            save_warmup=False, target_accept=target_accept,
        )  # fmt: skip
    except RuntimeError as error:
        raise FitError(f"the sampler stopped: {error}") from error


def starting_point(problem: Problem, found: Approximation, rng: np.random.Generator) -> dict[str, Any]:
    """A point near the approximate fit, wider than the posterior is likely to be.

    Parameters
    ----------
    problem : Problem
        What is fitted.
    found : Approximation
        Approximate fit.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    dict of str to ndarray
        On the sampler's scale, for every name that `build_pymc_model` may give a value variable: both the
        centred and the non-centred form of a random effect are there.
    """
    n = problem.n_subjects
    point: dict[str, Any] = {}
    location: dict[str, float] = {}
    for name, value in found.location.items():
        prior = problem.model.parameters[name].prior
        error = (
            min(2 * found.omega[name] / np.sqrt(n), prior.spread)
            if name in found.omega
            else 0.1 * prior.spread
        )
        location[name] = value + error * rng.standard_normal()
        point[f"{name}_location"] = location[name]
    slopes = {}
    for covariate in problem.covariates:
        slopes[covariate.name] = (
            found.slopes[covariate.name] + 0.1 * covariate.prior.spread * rng.standard_normal()
        )
        point[covariate.name] = slopes[covariate.name]
    for name, value in found.sigmas.items():
        point[f"{name}_log__"] = np.log(value) + 0.1 * rng.standard_normal()
    omega = {
        name: max(value, 0.1) * np.exp(0.2 * rng.standard_normal()) for name, value in found.omega.items()
    }
    for k, name in enumerate(problem.random):
        mean = location[name] + problem.shift(name, slopes)
        spread = np.sqrt(found.covariance[:, k, k])
        individual = found.modes[:, k] + spread * rng.standard_normal(n)
        point[f"{name}_omega_log__"] = np.log(omega[name])
        point[f"{name}_individual"] = individual
        point[f"{name}_z"] = (individual - mean) / omega[name]
    if problem.correlated:
        point["effect_individual"] = np.column_stack(
            [point[f"{name}_individual"] for name in problem.correlated]
        )
        point["effect_z"] = np.column_stack([point[f"{name}_z"] for name in problem.correlated])
        point["effect_chol_cholesky-cov-packed__"] = _packed_diagonal(
            [omega[name] for name in problem.correlated]
        )
    return point


def _packed_diagonal(omega: list[float]) -> NDArray[np.float64]:
    """Uncorrelated effects in the packed lower triangle, the logs of the diagonal in it."""
    triangle = np.diag(np.log(omega))
    return triangle[np.tril_indices(len(omega))]

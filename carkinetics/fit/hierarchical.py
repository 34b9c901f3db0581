"""All subjects at once: a Bayesian hierarchical fit.

The posterior is that of an ordinary PyMC model. Two engines draw from it: the structured sampler, which uses that
subjects are independent given the population, and nutpie's NUTS, which needs no structure. Both start dispersed
around an approximate population fit, because from random starts about one chain in ten settles on a wrong solution
with two subjects' peaks in the wrong place. The result says which engine made its draws.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
import xarray as xr

from carkinetics.dataset.table import Dataset
from carkinetics.errors import ConfigError, FitError, did_you_mean
from carkinetics.fit.approximate import Approximation
from carkinetics.fit.draws import assemble_tree
from carkinetics.fit.em import laplace_em
from carkinetics.fit.goal import Goal
from carkinetics.fit.laplace import sample_laplace
from carkinetics.fit.nuts import TARGET_ACCEPT, TARGET_ACCEPT_ODE, choose_centred, sample_nuts
from carkinetics.fit.problem import Problem, make_problem
from carkinetics.fit.result import INTERVAL, Fit
from carkinetics.fit.structured import StructuredSampler
from carkinetics.fit.structured_tree import raw_tree
from carkinetics.fit.summary import summarise
from carkinetics.model.mixture import Mixture
from carkinetics.model.spec import Model

SAMPLERS = ("auto", "structured", "nuts")
METHODS = ("mcmc", "laplace", "pathfinder", "advi")
APPROXIMATE_DRAWS = 1000  # per chain, of methods that have no goal to reach
# Where the structured sampler misses the goal, nutpie gets the rest of the time.
STRUCTURED_SHARE = 0.6
MAX_MINUTES = 15.0


def fit_hierarchical(
    model: Model,
    data: Dataset,
    *,
    random: Iterable[str] | None = None,
    covariates: Mapping[str, Any] | None = None,
    correlated: Iterable[str] | bool = (),
    mixture: Mixture | Mapping[str, Any] | bool | None = None,
    error: str | Mapping[str, str] | None = None,
    blq: str = "M3",
    assay: str | Mapping[str, str] | None = None,
    method: str = "mcmc",
    sampler: str = "auto",
    until: Mapping[str, float] | None = None,
    max_minutes: float = MAX_MINUTES,
    draws: int | None = None,
    tune: int = 1000,
    chains: int = 4,
    cores: int | None = None,
    centred: Iterable[str] | None = None,
    target_accept: float | None = None,
    seed: int = 20260101,
    progress: bool = False,
) -> Fit:
    """Fit a model to all subjects together.

    Parameters
    ----------
    model : Model
        A closed form or differential equations; its priors are used.
    data : Dataset
        At least one subject; BLQ-only subjects and single samples count.
    random : iterable of str, optional
        Parameters that differ between subjects; those with an omega in the model file if not given. The
        others are the same for everyone.
    covariates : mapping, optional
        ``{"cmax": "log(dose)"}``: see `carkinetics.fit.covariate.read_covariates`.
    correlated : iterable of str or bool
        Random effects with a full correlation matrix; True for all.
    mixture : Mixture, mapping or bool, optional
        Two classes of subjects (see `carkinetics.model.mixture.Mixture`): ``{"class": "low", "share": prior, "shift": {"cmax":
        prior}}``. The model file's if not given, none if False.
    error : str or mapping, optional
        ``lognormal``, ``student_t``, ``additive``, ``proportional``, ``combined1`` or ``combined2``, of the first
        output or by output; the model file's if not given.
    blq : str
        ``"M1"`` to ``"M7"``; ``"M3"`` treats BLQ values as censored.
    assay : str or mapping, optional
        Which assay, when several have the model's unit; or one by output.
    method : {"mcmc", "laplace", "pathfinder", "advi"}
        ``"mcmc"`` draws from the posterior. The others approximate it, say so, and show Pareto's k: at most 0.7, and
        the draws are corrected by their weights; above, `diagnose` calls the fit not converged.
    sampler : {"auto", "structured", "nuts"}
        The engine. ``"auto"`` takes the structured sampler where there are random effects, and nutpie where there
        are none or where the structured one misses the goal.
    until : mapping, optional
        Draw until every population quantity has this effective sample size and an R-hat below this:
        ``{"ess": 400, "rhat": 1.01}`` is the default.
    max_minutes : float
        Stop then, whatever was reached; `diagnose` says so.
    draws : int, optional
        Exactly so many draws per chain instead.
    tune : int
        Warm-up of nutpie; the structured sampler has a fixed one.
    chains : int
        How many.
    cores : int, optional
        Chains at a time; all cores if not given.
    centred : iterable of str, optional
        Parameters that nutpie samples centred; chosen from the data if not given.
    target_accept : float, optional
        Acceptance that nutpie's step size aims at: 0.9, or 0.95 for differential equations.
    seed : int
        Seed of everything random.
    progress : bool
        Print what is being done, how far it is and how long it may take, to the standard error stream.

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
        If the sampler could not start.
    """
    _refuse(draws, tune, chains, target_accept, seed)
    for name, value, known in (("sampler", sampler, SAMPLERS), ("method", method, METHODS)):
        if value not in known:
            raise ConfigError(f"{name} is {value!r}{did_you_mean(value, known)}")
    goal, say = Goal.of(until, max_minutes), _teller(progress)
    problem = make_problem(
        model, data, random=random, covariates=covariates, blq=blq, error=error, assay=assay, correlated=correlated,
        mixture=mixture,
    )  # fmt: skip
    if problem.mixture and method != "mcmc":
        raise ConfigError(f"method={method!r} has no classes; use 'mcmc', or leave them out by mixture=False")
    say(f"starting values for {problem.n_subjects} subjects, {len(problem.time)} observations")
    found = laplace_em(problem)
    direct = choose_centred(problem, found, centred)
    if target_accept is None:
        target_accept = TARGET_ACCEPT_ODE if model.states else TARGET_ACCEPT
    ask = _Request(
        goal, draws, tune, chains, cores or os.cpu_count() or 1, seed, target_accept, tuple(direct), say
    )
    raw, engine = (
        _draw(problem, found, sampler, ask) if method == "mcmc" else _approximate(problem, found, method, ask)
    )
    settings = _settings(problem, direct, found) | {
        "draws": int(raw["posterior"].sizes["draw"]), "tune": tune, "chains": chains, "seed": seed,
        "target_accept": target_accept, "until": {"ess": goal.ess, "rhat": goal.rhat}, "max_minutes": max_minutes,
    }  # fmt: skip
    settings |= engine
    say("log-likelihood and predictions")
    tree = assemble_tree(problem, raw, seed=seed)
    tree.attrs = {
        key: settings[key] for key in ("model_sha256", "data_sha256", "seed", "made", "sampler")
    } | settings["versions"]
    return Fit(problem.model, problem.data, problem.observations, summarise(problem, tree), tree, settings)


@dataclasses.dataclass(frozen=True)
class _Request:
    """How a posterior is to be drawn from."""

    goal: Goal
    draws: int | None
    tune: int
    chains: int
    cores: int
    seed: int
    target_accept: float
    centred: tuple[str, ...]
    say: Callable[[str], None]


def _refuse(draws: int | None, tune: int, chains: int, target_accept: float | None, seed: int) -> None:
    if min(1 if draws is None else draws, tune, chains) < 1:
        raise ConfigError(f"draws, tune and chains are {draws}, {tune} and {chains}; each must be at least 1")
    if not (target_accept is None or 0.5 <= target_accept < 1) or not 0 <= seed < 2**32:
        raise ConfigError(
            f"target_accept is {target_accept!r} (0.5 to below 1), seed {seed!r} (0 to below 2**32)"
        )


def _draw(
    problem: Problem, found: Approximation, sampler: str, ask: _Request
) -> tuple[xr.DataTree, dict[str, Any]]:
    """Draws, and which engine made them, how and with what result."""
    if sampler == "structured" and not problem.random:
        raise ConfigError("sampler='structured' needs at least one random effect; use 'nuts'")
    if sampler == "nuts" or not problem.random:
        return _nuts(problem, found, ask)
    share = STRUCTURED_SHARE if sampler == "auto" else 1.0
    goal = dataclasses.replace(ask.goal, minutes=ask.goal.minutes * share)
    engine = StructuredSampler(problem, found, chains=ask.chains, cores=ask.cores, seed=ask.seed)
    made = engine.run(goal, draws=ask.draws, say=ask.say)
    raw, record = raw_tree(engine, made)
    if made.reached or sampler == "structured" or ask.draws is not None or ask.goal.seconds_left < 0:
        return raw, record
    ask.say("the structured sampler missed the goal; nutpie takes the rest of the time")
    try:
        other, other_record = _nuts(problem, found, ask)
    except FitError as error:  # draws that missed the goal are worth more than none
        ask.say(f"{error}; the structured sampler's draws are kept")
        return raw, record
    better = other_record["reached"] or other_record["least_ess"] > record["least_ess"]
    return (other, other_record) if better else (raw, record)


def _nuts(problem: Problem, found: Approximation, ask: _Request) -> tuple[xr.DataTree, dict[str, Any]]:
    # PyMC takes seconds to import: only where it draws.
    from carkinetics.fit.graph import build_pymc_model
    from carkinetics.fit.precondition import coupling_of

    pymc_model = build_pymc_model(problem, ask.centred)
    # Common parameters tie all subjects together: on P2 three times the ESS per second. Without any there is no gain.
    useful = len(found.shared) and ask.centred and not problem.mixture  # it knows nothing of classes
    coupling = coupling_of(found, ask.centred) if useful else None
    run = sample_nuts(
        pymc_model, problem, found, ask.goal, draws=ask.draws, tune=ask.tune, chains=ask.chains, cores=ask.cores,
        seed=ask.seed, target_accept=ask.target_accept, coupling=coupling, say=ask.say,
    )  # fmt: skip
    return run.tree, {
        "sampler": "nutpie", "preconditioned": coupling is not None, "failed_solves": run.failed,
        "reached": run.reached, "least_ess": round(run.progress.ess, 1),
        "seconds": round(ask.goal.minutes * 60 - ask.goal.seconds_left, 2) if np.isfinite(ask.goal.minutes) else None,
    }  # fmt: skip


def _approximate(
    problem: Problem, found: Approximation, method: str, ask: _Request
) -> tuple[xr.DataTree, dict[str, Any]]:
    """Draws of an approximation, and Pareto's k of their weights."""
    size = {"draws": ask.draws or APPROXIMATE_DRAWS, "chains": ask.chains, "seed": ask.seed}
    ask.say(f"{method}: an approximation, not the posterior")
    if method == "laplace":
        raw, k = sample_laplace(problem, found, cores=min(ask.cores, os.cpu_count() or 1), **size)
    else:
        from carkinetics.fit import variational  # imports PyMC
        from carkinetics.fit.graph import build_pymc_model

        draw = variational.sample_advi if method == "advi" else variational.sample_pathfinder
        raw, k = draw(build_pymc_model(problem, ask.centred), problem, found, **size)
    return raw, {"sampler": method, "pareto_k": round(k, 3), "reached": False}


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


def problem_of(fit: Fit, output: str | None = None) -> Problem:
    """What a fit was asked, as arrays.

    Parameters
    ----------
    fit : Fit
        Any fit.
    output : str, optional
        Only what was measured of this output; what the model reads as an input stays.

    Returns
    -------
    Problem
        The same rows and settings.
    """
    asked, data = fit.settings, fit.data
    errors, assays = asked.get("errors", asked["error"]), asked.get("assays", asked["assay"])
    if output is not None:
        others = [assay for name, assay in assays.items() if name != output]
        kept = {
            name: table[~table["assay"].isin(others)].reset_index(drop=True)
            for name, table in (("observations", data.observations), ("assays", data.assays))
        }
        data = dataclasses.replace(data, **kept)
        errors, assays = {output: errors[output]}, {output: assays[output]}
    return make_problem(
        fit.model, data, random=asked["random"], covariates=asked["requested_covariates"], blq=asked["blq"],
        error=errors, assay=assays, correlated=asked["correlated"], mixture=asked.get("mixture") or False,
    )  # fmt: skip


def _teller(progress: bool) -> Callable[[str], None]:
    def say(message: str) -> None:
        if progress:
            print(message, file=sys.stderr, flush=True)  # noqa: T201 (the progress that was asked for)

    return say


def _settings(problem: Problem, centred: list[str], found: Approximation) -> dict[str, Any]:
    packages = ("carkinetics", "pymc", "pytensor", "nutpie", "arviz", "numpy")
    return {
        "method": "hierarchical",
        "assay": problem.measured[0].assay,
        "assays": {one.output: one.assay for one in problem.measured},
        "errors": {one.output: one.error.name for one in problem.measured},
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
        "mixture": problem.mixture.as_entry() if problem.mixture else None,
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

"""Draws of the structured sampler under the names of the PyMC model, and what they say of the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import expit

from carkinetics.fit.effects import Effects, split
from carkinetics.fit.failed import failed_solves
from carkinetics.fit.problem import Problem
from carkinetics.fit.structured import Draws, StructuredSampler
from carkinetics.fit.vector import Population, covariance, sizes

Floats = NDArray[np.float64]


def raw_tree(engine: StructuredSampler, made: Draws) -> tuple[xr.DataTree, dict[str, Any]]:
    """Groups ``posterior`` and ``sample_stats`` as nutpie would return them.

    Parameters
    ----------
    engine : StructuredSampler
        What made the draws.
    made : Draws
        The draws.

    Returns
    -------
    tuple of (xarray.DataTree, dict)
        The tree, and entries for the settings of a fit.
    """
    stats = {"logp": made.log_posterior, "log_likelihood": made.log_likelihood}
    tree = population_tree(
        engine.problem, engine.state.effects, engine.population, made.x, made.effect, stats
    )
    return tree, _record(engine, made)


def population_tree(
    problem: Problem, effects: Effects, population: Population, x: Floats, effect: Floats, stats: Mapping[str, Floats]
) -> xr.DataTree:  # fmt: skip
    """Population vectors and subjects' random effects under the names of the PyMC model.

    Parameters
    ----------
    problem, effects, population
        What was fitted.
    x : ndarray, shape (n_chains, n_draws, n_x)
        See `carkinetics.fit.vector`.
    effect : ndarray, shape (n_chains, n_draws, n_subject, n_random)
        On the free scale.
    stats : mapping of str to ndarray, shape (n_chains, n_draws)
        Beside the draws.

    Returns
    -------
    xarray.DataTree
        Groups ``posterior`` and ``sample_stats``.
    """
    c, d, q, r = sizes(population)
    dims = ("chain", "draw")
    location, slopes = split(effects, problem, {"mean": x[..., :c], "shared": x[..., c : c + d]})
    parameters = problem.model.parameters
    found: dict[str, Any] = {
        f"{name}_typical": (dims, parameters[name].from_free(value)) for name, value in location.items()
    }
    found |= {name: (dims, value) for name, value in slopes.items()}
    omegas, sigmas = np.exp(x[..., c + d : c + d + q]), np.exp(x[..., c + d + q + r :])
    if problem.mixture:
        found[problem.mixture.share_name] = (dims, expit(x[..., -1]))
    found |= {f"{name}_omega": (dims, omegas[..., k]) for k, name in enumerate(problem.random)}
    found |= {name: (dims, sigmas[..., k]) for k, name in enumerate(problem.sigma_names)}
    shape = (*x.shape[:2], problem.n_subjects)
    for name in problem.varying:
        if name in problem.random:
            free = effect[..., problem.random.index(name)]
        else:
            free = np.broadcast_to(location[name][..., None] + problem.shift(name, slopes), shape)
        found[name] = ((*dims, "subject"), parameters[name].from_free(free))
    coords: dict[str, Any] = {
        "chain": np.arange(x.shape[0]), "draw": np.arange(x.shape[1]), "subject": problem.data.subject_ids
    }  # fmt: skip
    if problem.correlated:
        found["effect_correlation"] = ((*dims, "effect", "effect_aux"), correlations(x, population))
        coords |= {"effect": list(problem.correlated), "effect_aux": list(problem.correlated)}
    beside = {name: (dims, value) for name, value in stats.items()}
    return xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset(found, coords),
            "sample_stats": xr.Dataset(beside, {name: coords[name] for name in dims}),
        }
    )


def correlations(x: Floats, population: Population) -> Floats:
    """Correlation matrices of the correlated effects.

    Parameters
    ----------
    x : ndarray, shape (..., n_x)
        Population vectors.
    population : Population
        Which effects are correlated.

    Returns
    -------
    ndarray, shape (..., b, b)
        Of b effects.
    """
    q, block = len(population.random), population.block
    flat = x.reshape(-1, x.shape[-1])
    found, between = np.empty((len(flat), len(block), len(block))), np.empty((q, q))
    for k, one in enumerate(flat):
        covariance(one, population, between)
        root = np.sqrt(np.diag(between)[block])
        found[k] = between[np.ix_(block, block)] / np.outer(root, root)
    return found.reshape(*x.shape[:-1], len(block), len(block))


def _record(engine: StructuredSampler, made: Draws) -> dict[str, Any]:
    ids = engine.problem.data.subject_ids
    slow = np.flatnonzero(made.subject_acceptance < 0.05)
    return {
        "sampler": "structured",
        "reached": bool(made.reached),
        "least_ess": round(made.progress.ess, 1),
        "sweeps": made.sweeps,
        "warm_up": made.warm_up,
        "every": made.every,
        "acceptance": made.acceptance,
        "rarely_moved": [ids[i] for i in slow],
        "several_modes": [ids[i] for i in np.flatnonzero(made.n_modes > 1)],
        "failed_solves": failed_solves(engine.problem, made.failed, made.failed_at),
        "seconds": round(made.seconds, 2),
        "cpu_seconds": round(made.cpu_seconds, 2),
    }

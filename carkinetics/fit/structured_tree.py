"""Draws of the structured sampler under the names of the PyMC model, and what they say of the run."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from carkinetics.fit.effects import split
from carkinetics.fit.structured import Draws, StructuredSampler
from carkinetics.fit.surrogate import sizes


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
    problem, effects = engine.problem, engine.state.effects
    c, d, q, r = sizes(engine.population)
    x, dims = made.x, ("chain", "draw")
    location, slopes = split(effects, problem, {"mean": x[..., :c], "shared": x[..., c : c + d]})
    parameters = problem.model.parameters
    found: dict[str, Any] = {
        f"{name}_typical": (dims, parameters[name].from_free(value)) for name, value in location.items()
    }
    found |= {name: (dims, value) for name, value in slopes.items()}
    omegas, sigmas = np.exp(x[..., c + d : c + d + q]), np.exp(x[..., c + d + q + r :])
    found |= {f"{name}_omega": (dims, omegas[..., k]) for k, name in enumerate(problem.random)}
    found |= {name: (dims, sigmas[..., k]) for k, name in enumerate(problem.sigma_names)}
    shape = (*x.shape[:2], problem.n_subjects)
    for name in problem.varying:
        if name in problem.random:
            free = made.effect[..., problem.random.index(name)]
        else:
            free = np.broadcast_to(location[name][..., None] + problem.shift(name, slopes), shape)
        found[name] = ((*dims, "subject"), parameters[name].from_free(free))
    coords: dict[str, Any] = {
        "chain": np.arange(x.shape[0]), "draw": np.arange(x.shape[1]), "subject": problem.data.subject_ids
    }  # fmt: skip
    if problem.correlated:
        found["effect_correlation"] = ((*dims, "effect", "effect_aux"), engine.correlations(x))
        coords |= {"effect": list(problem.correlated), "effect_aux": list(problem.correlated)}
    stats = {"logp": (dims, made.log_posterior), "log_likelihood": (dims, made.log_likelihood)}
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset(found, coords),
            "sample_stats": xr.Dataset(stats, {name: coords[name] for name in dims}),
        }
    )
    return tree, _record(engine, made)


def _record(engine: StructuredSampler, made: Draws) -> dict[str, Any]:
    ids = engine.problem.data.subject_ids
    free = engine.problem.model.free_parameters
    parameters = engine.problem.model.parameters
    failed = {}
    for i in np.flatnonzero(made.failed):
        values = {
            name: float(parameters[name].from_free(value))
            for name, value in zip(free, made.failed_at[i], strict=True)
        }
        failed[ids[i]] = {"count": int(made.failed[i]), "first": values}
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
        "failed_solves": failed,
        "seconds": round(made.seconds, 2),
        "cpu_seconds": round(made.cpu_seconds, 2),
    }

"""The sampler's output → ArviZ's groups, with predictions and log-likelihoods beside the draws.

These are computed by NumPy from the draws, with the functions that the sampler's graph was made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import expit

from carkinetics.fit.classes import class_probability
from carkinetics.fit.problem import Problem
from carkinetics.model.expression import NUMPY, evaluate
from carkinetics.model.observe import draw_values
from carkinetics.model.solve import with_derived

PRIOR_DRAWS = 1000
PREDICTIVE_DRAWS = 500
STATS = {
    "diverging": "diverging", "energy": "energy", "logp": "lp", "n_steps": "n_steps", "depth": "tree_depth",
    "maxdepth_reached": "reached_max_treedepth", "step_size": "step_size", "mean_tree_accept": "acceptance_rate",
}  # fmt: skip


def assemble_tree(problem: Problem, raw: xr.DataTree, *, seed: int) -> xr.DataTree:
    """Put the draws and everything that follows from them into one tree.

    Parameters
    ----------
    problem : Problem
        What was fitted.
    raw : xarray.DataTree
        As nutpie returns it.
    seed : int
        For the predictive draws.

    Returns
    -------
    xarray.DataTree
        Groups as in `carkinetics.fit.result`.
    """
    rng = np.random.default_rng([seed, 1])
    sampled = raw["posterior"].to_dataset()
    posterior = sampled.drop_vars(_auxiliary(problem), errors="ignore")
    posterior = _with_quantities(
        problem, posterior.drop_vars([d for d in posterior.coords if d not in posterior.dims])
    )
    if problem.mixture:
        posterior[problem.mixture.name] = class_probability(problem, posterior)
    prior = _with_quantities(problem, prior_draws(problem, PRIOR_DRAWS, rng))
    stats = raw["sample_stats"].to_dataset()
    stats = stats[[name for name in STATS if name in stats]].rename(
        {k: v for k, v in STATS.items() if k in stats}
    )
    every = max(1, posterior.sizes["draw"] * posterior.sizes["chain"] // PREDICTIVE_DRAWS)
    thinned = posterior.isel(draw=slice(None, None, every))
    population = [name for name in prior.data_vars if "subject" not in prior[name].dims]
    return xr.DataTree.from_dict(
        {
            "posterior": posterior,
            "prior": prior[population],
            "posterior_predictive": predictive(problem, thinned, rng),
            "prior_predictive": predictive(problem, prior.isel(draw=slice(None, PREDICTIVE_DRAWS)), rng),
            "log_likelihood": log_likelihoods(problem, posterior),
            "sample_stats": stats,
            "observed_data": _observed(problem),
            "constant_data": _constant(problem),
        }
    )


def _auxiliary(problem: Problem) -> list[str]:
    """Names of the coordinates that the sampler moves in, which say nothing that the others do not."""
    names = [f"{name}_location" for name in problem.model.free_parameters]
    names += [f"{name}_{form}" for name in problem.random for form in ("individual", "z")]
    names += [f"{problem.mixture.share_name}_location"] if problem.mixture else []
    return [
        *names,
        "mixture_individual",
        "effect_individual",
        "effect_z",
        "effect_chol",
        "effect_chol_corr",
        "effect_chol_stds",
    ]


def prior_draws(problem: Problem, n: int, rng: np.random.Generator) -> xr.Dataset:
    """Draws of the population and of the subjects from the prior.

    Parameters
    ----------
    problem : Problem
        What was fitted.
    n : int
        Number of draws.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    xarray.Dataset
        One chain, with the names of the posterior.
    """
    size = (1, n)
    found: dict[str, Any] = {}
    dims = ("chain", "draw")
    slopes = {c.name: rng.normal(c.prior.centre, c.prior.spread, size) for c in problem.covariates}
    member, mixture = np.zeros((*size, problem.n_subjects)), problem.mixture
    if mixture:
        share = expit(rng.normal(mixture.share.location, mixture.share.spread, size))
        found[mixture.share_name] = (dims, share)
        member = 1.0 * (rng.random(member.shape) < share[..., None])
        slopes |= {
            mixture.shift_name(name): rng.normal(prior.centre, prior.spread, size)
            for name, prior in mixture.shifts.items()
        }
    correlation = _lkj(len(problem.correlated), n, rng) if problem.correlated else None
    z = {name: rng.standard_normal((*size, problem.n_subjects)) for name in problem.random}
    if correlation is not None:
        chol = np.linalg.cholesky(correlation)
        together = np.stack([z[name][0] for name in problem.correlated], axis=1)
        z |= {name: (chol @ together)[None, :, k] for k, name in enumerate(problem.correlated)}
    for name in problem.model.free_parameters:
        parameter = problem.model.parameters[name]
        free = rng.normal(parameter.prior.location, parameter.prior.spread, size)
        found[f"{name}_typical"] = (dims, parameter.from_free(free))
        if name in problem.varying:
            individual = free[..., None] + problem.shift(name, slopes)
            if name in problem.random:
                omega = np.abs(rng.normal(0, parameter.omega_prior, size))
                found[f"{name}_omega"] = (dims, omega)
                individual = individual + omega[..., None] * z[name]
                if mixture and name in mixture.shifts:
                    individual = individual + slopes[mixture.shift_name(name)][..., None] * member
            individual = np.broadcast_to(individual, (*size, problem.n_subjects))
            found[name] = ((*dims, "subject"), parameter.from_free(individual))
    found |= {name: (dims, value) for name, value in slopes.items()}
    for name in problem.sigma_names:
        found[name] = (dims, np.abs(rng.normal(0, problem.sigma_scale(name), size)))
    if correlation is not None:
        found["effect_correlation"] = ((*dims, "effect", "effect_aux"), correlation[None])
    coords: dict[str, Any] = {"chain": [0], "draw": np.arange(n), "subject": problem.data.subject_ids}
    if problem.correlated:
        coords |= {"effect": list(problem.correlated), "effect_aux": list(problem.correlated)}
    return xr.Dataset(found, coords)


def _lkj(size: int, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Correlation matrices from LKJ(2) by the onion method (Lewandowski D et al. J Multivar Anal 2009;100:1989)."""
    beta = 2.0 + (size - 2) / 2
    chol = np.zeros((n, size, size))
    chol[:, 0, 0] = 1.0
    for row in range(1, size):
        shared = rng.beta(row / 2, beta, n)
        direction = rng.standard_normal((n, row))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        chol[:, row, :row] = np.sqrt(shared)[:, None] * direction
        chol[:, row, row] = np.sqrt(1 - shared)
        beta -= 0.5
    return chol @ chol.transpose(0, 2, 1)


def parameter_values(problem: Problem, draws: xr.Dataset) -> dict[str, NDArray[np.float64]]:
    """Natural-scale parameter values of every draw, as `Problem.level` takes them.

    Parameters
    ----------
    problem : Problem
        What was fitted.
    draws : xarray.Dataset
        Posterior or prior.

    Returns
    -------
    dict of str to ndarray
        Shape (chain, draw, subject) or (chain, draw).
    """
    varying = set(problem.varying)
    return {
        name: draws[name if name in varying else f"{name}_typical"].to_numpy()
        for name in problem.model.free_parameters
    }


def _with_quantities(problem: Problem, draws: xr.Dataset) -> xr.Dataset:
    """Add the derived quantities at the typical values (``doubling_time_typical``) and each pair's correlation."""
    typical: dict[str, Any] = {name: p.typical for name, p in problem.model.parameters.items()}
    typical |= {name: entry.default for name, entry in problem.model.inputs.items()}
    typical |= {name: draws[f"{name}_typical"].to_numpy() for name in problem.model.free_parameters}
    with np.errstate(all="ignore"):
        known = with_derived(problem.model, typical)
        values = {name: evaluate(q.value, known, NUMPY) for name, q in problem.model.quantities.items()}
    shape = (draws.sizes["chain"], draws.sizes["draw"])
    mixture = problem.mixture
    if mixture:
        for name, shift in problem.shift_names.items():
            parameter = problem.model.parameters[name]
            in_class = parameter.from_free(parameter.to_free(draws[f"{name}_typical"]) + draws[shift])
            draws = draws.assign({f"{name}_typical_{mixture.name}": in_class})
    if problem.correlated:
        draws = draws.assign(
            {
                f"corr_{one}_{other}": draws["effect_correlation"].sel(
                    effect=one, effect_aux=other, drop=True
                )
                for k, one in enumerate(problem.correlated)
                for other in problem.correlated[k + 1 :]
            }
        )
    return draws.assign(
        {
            f"{name}_typical": (("chain", "draw"), np.broadcast_to(value, shape))
            for name, value in values.items()
        }
    )


def predictive(problem: Problem, draws: xr.Dataset, rng: np.random.Generator) -> xr.Dataset:
    """New measurements of the same subjects at the same times, before censoring.

    Parameters
    ----------
    problem : Problem
        What was fitted.
    draws : xarray.Dataset
        Posterior or prior.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    xarray.Dataset
        ``level`` with dims chain, draw, obs.
    """
    level = problem.level(parameter_values(problem, draws))
    measured = np.empty_like(level)
    for number, one in enumerate(problem.measured):
        at = problem.output_index == number
        sigmas = {
            own: draws[name].to_numpy()[..., None]
            for own, name in zip(one.error.parameters, one.sigmas, strict=True)
        }
        with np.errstate(
            over="ignore", invalid="ignore"
        ):  # the tails of a wide prior leave the range of numbers
            measured[..., at] = draw_values(one.error, level[..., at], sigmas, rng)
    coords = {"chain": draws["chain"], "draw": draws["draw"], "obs": np.arange(len(problem.time))}
    return xr.Dataset({"level": (("chain", "draw", "obs"), measured)}, coords)


def log_likelihoods(problem: Problem, draws: xr.Dataset) -> xr.Dataset:
    """Log-likelihood per observation, and summed per subject given the subject's parameters.

    Parameters
    ----------
    problem : Problem
        What was fitted.
    draws : xarray.Dataset
        Posterior.

    Returns
    -------
    xarray.Dataset
        ``obs`` with dims chain, draw, obs_id; ``subject`` with dims chain, draw, subject_id.
    """
    per_chain = []
    for chain in range(draws.sizes["chain"]):  # one chain at a time: memory
        one = draws.isel(chain=[chain])
        sigmas = {name: one[name].to_numpy() for name in problem.sigma_names}
        per_chain.append(problem.log_likelihood(problem.level(parameter_values(problem, one)), sigmas))
    rows = np.concatenate(per_chain)
    coords = {
        "chain": draws["chain"], "draw": draws["draw"], "obs_id": np.arange(len(problem.time)),
        "subject_id": problem.data.subject_ids,
    }  # fmt: skip
    # A variable may not share the name of its own dimension, so these two dimensions end in _id.
    by_subject: Mapping[str, Any] = {
        "obs": (("chain", "draw", "obs_id"), rows),
        "subject": (("chain", "draw", "subject_id"), problem.by_subject(rows)),
    }
    return xr.Dataset(by_subject, coords)


def _observed(problem: Problem) -> xr.Dataset:
    table = problem.observations
    columns = {name: ("obs", table[name].to_numpy(float)) for name in ("value", "lower", "upper")}
    return xr.Dataset(columns, {"obs": np.arange(len(table))})


def _constant(problem: Problem) -> xr.Dataset:
    table = problem.observations
    found: dict[str, Any] = {
        "time": ("obs", problem.time),
        "lloq": ("obs", table["lloq"].to_numpy(float)),
        "subject_index": ("obs", np.asarray(problem.subject_index)),
    }
    found |= {c.name: ("subject", c.centred, {"centre": c.centre}) for c in problem.covariates}
    found |= {name: ("subject", value) for name, value in problem.inputs.items()}
    return xr.Dataset(found, {"obs": np.arange(len(table)), "subject": problem.data.subject_ids})

"""ADVI and Pathfinder on the PyMC model, with Pareto's k: quick looks, labelled as approximations.

Both fit a Gaussian to all parameters of all subjects at once. PyMC and pymc-extras do the work.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pymc as pm
import xarray as xr
from numpy.typing import NDArray
from pymc.blocking import DictToArrayBijection, RaveledVars

from carkinetics.errors import ConfigError, FitError
from carkinetics.fit.approximate import Approximation
from carkinetics.fit.nuts import starting_point
from carkinetics.fit.pareto import choose
from carkinetics.fit.problem import Problem

Floats = NDArray[np.float64]
ADVI_STEPS, ADVI_RATE = 30_000, 0.01
PROPOSALS = 2  # for each draw that is kept
PATHS, JITTER = 4, 0.2  # the paths begin at the approximate fit, so they need not be thrown far


def start_values(pymc_model: pm.Model, problem: Problem, found: Approximation, seed: int) -> dict[str, Any]:
    """A point near the approximate fit on the natural scale of each free variable, as PyMC takes starts.

    Parameters
    ----------
    pymc_model : pymc.Model
        From `carkinetics.fit.graph.build_pymc_model`.
    problem, found : Problem, Approximation
        What is fitted, and the approximate fit.
    seed : int
        Of the point.

    Returns
    -------
    dict of str to ndarray
        By name of the free random variables.
    """
    point, values = starting_point(problem, found, np.random.default_rng(seed)), {}
    for variable in pymc_model.free_RVs:
        value = pymc_model.rvs_to_values[variable].name
        free = point[value]
        if value.endswith("cholesky-cov-packed__"):
            diagonal = np.cumsum(np.arange(1, len(problem.correlated) + 1)) - 1
            free = free.copy()
            free[diagonal] = np.exp(free[diagonal])
        values[variable.name] = np.exp(free) if value.endswith("_log__") else free
    return values


def sample_advi(
    pymc_model: pm.Model, problem: Problem, found: Approximation, *, draws: int, chains: int, seed: int
) -> tuple[xr.DataTree, float]:
    """Mean-field ADVI: draws of independent normals on the free scale.

    Parameters
    ----------
    pymc_model, problem, found
        As for `start_values`.
    draws, chains : int
        The independent draws are returned in this shape.
    seed : int
        Of everything random.

    Returns
    -------
    tuple of (xarray.DataTree, float)
        Groups ``posterior`` and ``sample_stats``, and Pareto's k.

    Raises
    ------
    FitError
        If the optimiser left the region where the density is finite.
    """
    start = start_values(pymc_model, problem, found, seed)
    try:
        with pymc_model:
            fitted = pm.fit(
                ADVI_STEPS, method="advi", start=start, random_seed=seed, progressbar=False,
                obj_optimizer=pm.adam(learning_rate=ADVI_RATE),
            )  # fmt: skip
    except FloatingPointError as error:
        raise FitError(f"ADVI stopped: {error}") from error
    rng, n = np.random.default_rng([seed, 13]), draws * chains
    mean, sd = fitted.mean.eval(), fitted.std.eval()
    z = rng.standard_normal((PROPOSALS * n, len(mean)))
    like = DictToArrayBijection.map(pymc_model.initial_point())
    points = [DictToArrayBijection.rmap(RaveledVars(one, like.point_map_info)) for one in mean + sd * z]
    logp = pymc_model.compile_logp()
    log_density = np.array([float(logp(point)) for point in points])
    chosen, k = choose(log_density + 0.5 * (z**2).sum(axis=1), n, rng)
    posterior = _natural(pymc_model, [points[i] for i in chosen], (chains, draws))
    stats = xr.Dataset({"logp": (("chain", "draw"), log_density[chosen].reshape(chains, draws))})
    return xr.DataTree.from_dict({"posterior": posterior, "sample_stats": stats}), k


def _natural(pymc_model: pm.Model, points: list[dict[str, Floats]], shape: tuple[int, int]) -> xr.Dataset:
    """All quantities of a PyMC model at given points of its free scale."""
    wanted = [*pymc_model.free_RVs, *pymc_model.deterministics]
    names = [variable.name for variable in wanted]
    compute = pymc_model.compile_fn(
        pymc_model.replace_rvs_by_values(wanted), inputs=pymc_model.value_vars, on_unused_input="ignore"
    )
    rows = [compute(point) for point in points]
    found = {}
    for name, values in zip(names, zip(*rows, strict=True), strict=True):
        array = np.stack(values).reshape(*shape, *np.shape(values[0]))
        own = pymc_model.named_vars_to_dims.get(name) or [f"{name}_{i}" for i in range(array.ndim - 2)]
        found[name] = (("chain", "draw", *own), array)
    coords = {name: list(values) for name, values in pymc_model.coords.items() if values is not None}
    used = {dim for dims, _ in found.values() for dim in dims}
    return xr.Dataset(found, {name: values for name, values in coords.items() if name in used})


def sample_pathfinder(
    pymc_model: pm.Model, problem: Problem, found: Approximation, *, draws: int, chains: int, seed: int
) -> tuple[xr.DataTree, float]:
    """Multi-path Pathfinder of pymc-extras.

    Parameters
    ----------
    pymc_model, problem, found
        As for `start_values`.
    draws, chains : int
        The draws are returned in this shape.
    seed : int
        Of everything random.

    Returns
    -------
    tuple of (xarray.DataTree, float)
        Groups ``posterior`` and ``sample_stats``, and Pareto's k.

    Raises
    ------
    ConfigError
        If pymc-extras is not installed.
    """
    try:
        from pymc_extras import fit_pathfinder
    except ImportError as error:
        raise ConfigError(
            "method='pathfinder' needs pymc-extras: pip install 'carkinetics[pathfinder]'"
        ) from error
    n = draws * chains
    # Machine code has an address of this process, so the paths cannot run in others.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of pymc-extras 0.12 calling PyMC 6.4
        tree = fit_pathfinder(
            pymc_model, num_paths=PATHS, num_draws=n, num_draws_per_path=PROPOSALS * n // PATHS, jitter=JITTER,
            parallel=False, initvals=start_values(pymc_model, problem, found, seed), random_seed=seed,
            progressbar=False,
        )  # fmt: skip
    flat = tree["posterior"].to_dataset().isel(chain=0, drop=True)
    if problem.correlated:  # pymc-extras leaves out the second name of one quantity
        own = {f"effect_chol_corr_dim_{k}": name for k, name in enumerate(("effect", "effect_aux"))}
        flat["effect_correlation"] = flat["effect_chol_corr"].drop_vars(list(own)).rename(own)
        flat = flat.assign_coords({name: list(problem.correlated) for name in own.values()})
    folded = flat.assign_coords(draw=np.arange(n)).coarsen(draw=draws).construct(draw=("chain", "draw"))
    posterior = folded.assign_coords(chain=np.arange(chains), draw=np.arange(draws))
    parts = {"posterior": posterior, "sample_stats": xr.Dataset()}
    return xr.DataTree.from_dict(parts), float(tree["pathfinder"]["pareto_k"])

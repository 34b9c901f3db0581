"""A subject's parameters given the population: every posterior draw of them, weighted for every draw of the population.

A posterior draw pairs a population with parameters of each subject. What an outcome of the subject says has to be averaged over
its parameters given one population, of which there is one draw only. But all draws together are a sample from the mixture of
these conditional distributions, whose densities are known up to a constant each; the constants, and the weights that turn
the sample into one of each conditional distribution, solve a fixed point (the multistate Bennett acceptance ratio).

References
----------
.. [1] Shirts MR, Chodera JD. J Chem Phys 2008;129:124105.
.. [2] Kong A, McCullagh P, Meng XL, Nicolae D, Tan Z. J R Stat Soc B 2003;65:585-604.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from carkinetics.errors import FitError
from carkinetics.fit.classes import covariances
from carkinetics.fit.draws import parameter_values
from carkinetics.fit.hierarchical import problem_of
from carkinetics.fit.problem import Problem
from carkinetics.fit.result import Fit

Floats = NDArray[np.float64]
ROUNDS, CLOSE = 500, 1e-8


def conditional_weights(fit: Fit, rows: NDArray[np.intp]) -> Floats:
    """Weights of each subject's draws given each draw of the population.

    Parameters
    ----------
    fit : Fit
        Hierarchical, with random effects.
    rows : ndarray of int, shape (n,)
        Draws to use, of those of all chains in turn.

    Returns
    -------
    ndarray, shape (n_subjects, n, n)
        ``[i, s, k]``: weight of the parameters that subject ``i`` has in draw ``k``, given the population of draw ``s``; sums to 1
        over ``k``.

    Raises
    ------
    FitError
        If the fit has no posterior, or has classes of subjects.

    Notes
    -----
    Parameters without a random effect belong to the population.
    """
    if fit.method != "hierarchical" or fit.mixture:
        raise FitError("conditional weights need a hierarchical fit without classes")
    problem = problem_of(fit)
    posterior = fit.tree["posterior"].to_dataset().stack(sample=("chain", "draw"), create_index=False)
    taken = posterior.isel(sample=rows).drop_vars(["chain", "draw"]).transpose("sample", ...)
    draws = taken.rename(sample="draw").expand_dims("chain")
    log_density = _log_densities(problem, draws)
    return np.stack([_weights(log_density[:, :, i]) for i in range(problem.n_subjects)])


def _log_densities(problem: Problem, draws: xr.Dataset) -> Floats:
    """Of the measurements and random effects of draw ``k``, given the population of draw ``s``: shape (s, k, n_subjects)."""
    values = {name: value[0] for name, value in parameter_values(problem, draws).items()}
    free = {name: problem.model.parameters[name].to_free for name in values}
    slopes = {name: draws[name].to_numpy()[0] for name in problem.slope_names}
    typical = {name: draws[f"{name}_typical"].to_numpy()[0] for name in values}
    effects = np.stack([free[name](values[name]) for name in problem.random], axis=-1)
    means = np.stack(
        [np.broadcast_to(free[name](typical[name])[:, None] + problem.shift(name, slopes), values[name].shape) for name in problem.random],
        axis=-1,
    )  # fmt: skip
    roots = np.linalg.cholesky(covariances(problem, draws)[0])
    inverses = np.linalg.inv(roots)
    sigmas = {name: draws[name].to_numpy()[0] for name in problem.sigma_names}
    of_population = [name for name in values if name not in problem.random]
    level = None if of_population else problem.level(values)
    found = np.empty((len(means), *effects.shape[:2]))
    for s in range(len(means)):
        if of_population:
            fixed = {name: np.broadcast_to(values[name][s], values[name].shape) for name in of_population}
            level = problem.level(values | fixed)
        assert level is not None
        likelihood = problem.log_likelihood(
            level, {name: np.full(len(level), value[s]) for name, value in sigmas.items()}
        )
        away = (effects - means[s]) @ inverses[s].T
        prior = -0.5 * (away**2).sum(axis=-1) - np.log(np.diag(roots[s])).sum()
        found[s] = problem.by_subject(likelihood) + prior
    return np.nan_to_num(found, nan=-np.inf)


def _weights(log_density: Floats) -> Floats:
    """The fixed point for one subject; rows are populations, columns its parameters."""
    best = log_density.max(axis=0, keepdims=True)  # cancels: every column is divided by its own mixture
    ratio = np.exp(log_density - best)
    constant = ratio.sum(axis=1)
    for _ in range(ROUNDS):
        mixture = (1 / constant) @ ratio
        new = (ratio / mixture).sum(axis=1)
        new /= new.mean()
        done = np.abs(np.log(new / constant * constant.mean())).max() < CLOSE
        constant = new
        if done:
            break
    weight = ratio / ((1 / constant) @ ratio)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))

"""The posterior by a Gaussian for the population and importance sampling for the subjects: seconds, and its own check.

The population vector is drawn from a heavy-tailed Gaussian around the Laplace-EM fit. At each draw every subject's
likelihood is averaged over a few draws from its own Gaussian (`carkinetics.fit.surrogate`), which gives the density of
the population vector without bias; so the weights are exact on average, and their Pareto k tells whether the
approximation was near enough (importance sampling squared: Tran M-N et al. arXiv:1309.3339).
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from carkinetics.fit.adapt import first_surrogate
from carkinetics.fit.approximate import Approximation
from carkinetics.fit.layout import TOLERANCE
from carkinetics.fit.modes import WORST, solve_subject
from carkinetics.fit.pareto import choose
from carkinetics.fit.population_start import make_population, spread_of, vector_of
from carkinetics.fit.problem import Problem
from carkinetics.fit.structured_tree import population_tree
from carkinetics.fit.surrogate import stand_in_all, to_effect_all, transport
from carkinetics.fit.vector import sigmas, sizes
from carkinetics.model.compile import borrowed
from carkinetics.model.jit import compiled

Floats = NDArray[np.float64]
DF = 8.0  # of the population's Student t
INNER = 8  # draws of every subject at each population vector
PROPOSALS = 2  # for each draw that is kept


@compiled()
def weigh(address, vectors, inner, seed, population, surrogate, data, tolerance, log_weight, effect):
    """Log density of population vectors, by averaging over the subjects; and one draw of the subjects for each.

    Parameters
    ----------
    address : int
        Kernel of values.
    vectors : ndarray, shape (n, n_x)
        Population vectors.
    inner, seed : int
        Draws of every subject, and the seed of this thread.
    population, surrogate, data, tolerance
        As for the sampler.
    log_weight : ndarray, shape (n,)
        Filled: log density up to a constant.
    effect : ndarray, shape (n, n_subject, n_random)
        Filled: chosen in proportion to their weights.
    """
    np.random.seed(seed)
    population, surrogate, data = borrowed(population), borrowed(surrogate), borrowed(data)
    c, d, q, n_correlations = sizes(population)
    n, k, rows = effect.shape[1], len(surrogate.power), len(data[1])
    expected, common = np.empty((n, q)), np.empty((n, len(population.common)))
    weight, log_sigma, sigma = np.empty(k), np.empty(k), np.empty(len(population.sigma_scale))
    root, middle, each = np.empty((q, q, n)), np.empty((q, n)), np.empty(n)
    drawn, instead, row, theta = (
        np.empty((q, n)),
        np.empty(n),
        np.empty(n),
        np.empty(q + len(population.common)),
    )
    predicted, nothing, total = np.empty(rows), np.empty((rows, 0)), np.empty(n)
    for m in range(len(vectors)):
        x = vectors[m]
        log_weight[m] = transport(
            x, population, surrogate, expected, common, weight, log_sigma, root, middle, each
        )
        sigmas(x, population, sigma)
        for j in range(inner):
            for a in range(q):
                for i in range(n):
                    drawn[a, i] = np.random.standard_normal()
            to_effect_all(drawn, root, middle, drawn)
            stand_in_all(drawn, x[c : c + d], weight, log_sigma, surrogate, instead, row)
            for i in range(n):
                for a in range(q):
                    theta[population.random[a]] = drawn[a, i]
                for a in range(len(population.common)):
                    theta[population.common[a]] = common[i, a]
                here = solve_subject(address, i, theta, data, sigma, predicted, nothing, tolerance)
                ratio = here - instead[i] if here > WORST else -math.inf
                # Kept with the probability of its share of the weights so far: one pass, no list.
                new = ratio if j == 0 else np.logaddexp(total[i], ratio)
                if j == 0 or math.log(1.0 - np.random.random()) < ratio - new:
                    for a in range(q):
                        effect[m, i, a] = drawn[a, i]
                total[i] = new
        for i in range(n):
            log_weight[m] += total[i] - math.log(inner)


def sample_laplace(
    problem: Problem, found: Approximation, *, draws: int, chains: int, cores: int, seed: int
) -> tuple[xr.DataTree, float]:
    """Draws around an approximate fit, and Pareto's k of their weights.

    Parameters
    ----------
    problem, found : Problem, Approximation
        What is fitted, and the approximate fit.
    draws, chains : int
        The independent draws are returned in this shape.
    cores : int
        Threads.
    seed : int
        Of everything random.

    Returns
    -------
    tuple of (xarray.DataTree, float)
        Groups ``posterior`` and ``sample_stats``, and k.
    """
    population, stand_ins = make_population(found.effects), first_surrogate(found)
    rng, n = np.random.default_rng([seed, 11]), PROPOSALS * draws * chains
    centre, root = vector_of(found, population), np.linalg.cholesky(spread_of(found, population))
    z = rng.standard_normal((n, len(centre))) * np.sqrt(DF / rng.chisquare(DF, n))[:, None]
    vectors = centre + z @ root.T
    log_density, effect = np.empty(n), np.empty((n, problem.n_subjects, found.effects.n_random))
    cuts = np.linspace(0, n, cores + 1).astype(int)

    def work(part: int) -> None:
        rows = slice(cuts[part], cuts[part + 1])
        weigh(
            problem.layout.values.address, vectors[rows], INNER, seed + part, population, stand_ins,
            problem.layout.data, TOLERANCE, log_density[rows], effect[rows],
        )  # fmt: skip

    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(work, range(cores)))
    log_proposal = -0.5 * (DF + len(centre)) * np.log1p((z**2).sum(axis=1) / DF)
    chosen, k = choose(log_density - log_proposal, draws * chains, rng)
    shape = (chains, draws)
    tree = population_tree(
        problem, found.effects, population, vectors[chosen].reshape(*shape, -1),
        effect[chosen].reshape(*shape, *effect.shape[1:]), {"log_marginal": log_density[chosen].reshape(shape)},
    )  # fmt: skip
    return tree, k

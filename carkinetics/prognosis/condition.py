"""A new patient's parameters given its samples: pairs of a population draw and random effects, weighed by importance.

The posterior of a population that has not seen the patient, times the patient's own density, is the joint posterior of both.
Each draw of the population proposes random effects from a mixture: Student t around every mode that the samples have, moved and
narrowed to that population by the Gaussian stand-in of the likelihood there, and some from the population itself, so that no
weight exceeds a multiple of the likelihood. Where these weights are poor, a Gaussian mixture learns from them and proposes again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp

from carkinetics.fit.approximate import inverse
from carkinetics.fit.layout import TOLERANCE
from carkinetics.fit.modes import find_modes
from carkinetics.fit.pareto import GOOD_K, smooth
from carkinetics.fit.problem import Problem
from carkinetics.prognosis.new_patient import Patient, PopulationDraws

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
DF = 5.0  # of the proposals around a mode
WIDER = 1.2  # than the stand-in's variance
FROM_POPULATION = 0.2  # of the proposals
LEAST_OF_A_MODE = 0.1
PILOTS, STARTS, STEPS = 240, 3, 60
SAME_MODE = 0.3  # standard deviations
LOST_MODE = 12.0  # log density below the best
LEARNT_AT_HEAVIEST = 0.1
EACH, ROUNDS = 4, 6  # proposals of a row, and rounds of learning at most
ENOUGH, LEAST = 400.0, 100.0  # effective draws: no further round, and fewest for an answer
GAIN = 1.2  # of a round that is worth another


@dataclass(frozen=True, eq=False)
class Conditional:
    """Draws of a patient's parameters.

    Parameters
    ----------
    theta : ndarray, shape (n, n_free)
        Free parameters, on the free scale.
    row : ndarray of int, shape (n,)
        Row of the population that each belongs to.
    pareto_k : float
        Of the weights; 0 without samples, where there are none.
    ess : float
        Effective number of draws that were chosen from.
    """

    theta: Floats
    row: Ints
    pareto_k: float
    ess: float

    @property
    def converged(self) -> bool:
        """Whether the weights can be trusted."""
        return bool(self.pareto_k <= GOOD_K and self.ess >= LEAST)


@dataclass(frozen=True, eq=False)
class _Mode:
    """A mode of the samples at the mean population, and the stand-in of their likelihood around it."""

    theta: Floats
    information: Floats
    score: Floats
    log_mass: float


@dataclass(frozen=True, eq=False)
class _Mixture:
    """Student t components, each the same for all rows (leading axis 1) or one per row."""

    means: list[Floats]  # (n or 1, q)
    roots: list[Floats]  # lower Cholesky factors of the scales, (n or 1, q, q)
    shares: Floats
    df: list[float]


def condition(patient: Patient, population: PopulationDraws, n: int, rng: np.random.Generator) -> Conditional:
    """Draw a patient's parameters given its samples.

    Parameters
    ----------
    patient : Patient
        With its samples.
    population : PopulationDraws
        At its covariates.
    n : int
        Number of draws.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Conditional
        ``n`` draws of equal weight. Their ``converged`` says whether the weights that they were chosen by can be trusted.
    """
    roots = np.linalg.cholesky(population.between)
    share = np.exp(population.log_share - logsumexp(population.log_share))
    if patient.problem is None:
        row = _systematic(share, n, rng)
        normal = rng.standard_normal((n, len(population.random)))
        theta = population.theta[row].copy()
        theta[:, population.random] += np.einsum("nab,nb->na", roots[row], normal)
        return Conditional(theta, row, 0.0, float(n))
    density = _Density(patient.problem, population, roots)
    mixture = _first_mixture(density, share, rng)
    best: tuple[Floats, Ints, Floats, float, float] | None = None
    for round_ in range(ROUNDS):
        effects, row, log_weight = _propose(density, mixture, rng)
        weight, k = smooth(log_weight)
        ess = float(1 / np.sum(weight**2)) if np.isfinite(k) else 0.0
        stalled = best is not None and best[3] <= GOOD_K and best[4] >= LEAST and ess < GAIN * best[4]
        if best is None or _rank(k, ess) > _rank(best[3], best[4]):
            best = effects, row, weight, k, ess
        enough = (k <= GOOD_K and ess >= ENOUGH) or stalled
        if enough or round_ == ROUNDS - 1 or not np.isfinite(log_weight).any():
            break
        mixture = _learnt(density, mixture, effects, log_weight)
    assert best is not None
    effects, row, weight, k, ess = best
    chosen = _systematic(weight, n, rng)
    theta = population.theta[row[chosen]].copy()
    theta[:, population.random] = effects[chosen]
    return Conditional(theta, row[chosen], k, ess)


def _rank(k: float, ess: float) -> tuple[bool, float]:
    return bool(k <= GOOD_K), ess


class _Density:
    """Log density of random effects and samples, for many pairs at a time."""

    def __init__(self, problem: Problem, population: PopulationDraws, roots: Floats) -> None:
        self.problem, self.population, self.roots = problem, population, roots
        self.inverse_roots = np.linalg.inv(roots)
        self.log_scale = np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(axis=1)

    def likelihood(self, effects: Floats, row: Ints) -> Floats:
        """Of the samples, shape (m,)."""
        problem, population = self.problem, self.population
        theta = population.theta[row].copy()
        theta[:, population.random] = effects
        level = problem.natural(problem.layout.predict(theta[:, None, :]))
        sigmas = {name: population.sigmas[name][row] for name in problem.sigma_names}
        with np.errstate(all="ignore"):
            total = problem.log_likelihood(level, sigmas).sum(axis=-1)
        return np.nan_to_num(total, nan=-np.inf, posinf=-np.inf)

    def prior(self, effects: Floats, row: Ints) -> Floats:
        """Of the random effects and the class, shape (m,)."""
        away = np.einsum("nab,nb->na", self.inverse_roots[row], effects - self.population.mean[row])
        normal = -0.5 * (away**2).sum(axis=1) - 0.5 * effects.shape[1] * np.log(2 * np.pi)
        return np.asarray(normal - self.log_scale[row] + self.population.log_share[row])


def _first_mixture(density: _Density, share: Floats, rng: np.random.Generator) -> _Mixture:
    """Components around the modes, and the population itself."""
    population = density.population
    modes = _modes(density, share, rng) if len(population.random) else []
    means, roots = [population.mean], [density.roots]
    for mode in modes:
        mean, root = _moved(mode, population)
        means.append(mean)
        roots.append(root)
    mass = np.array([mode.log_mass for mode in modes])
    shares = np.maximum(np.exp(mass - mass.max()), LEAST_OF_A_MODE) if modes else np.empty(0)
    first = FROM_POPULATION if modes else 1.0
    return _Mixture(
        means,
        roots,
        np.array([first, *((1 - first) * shares / shares.sum() if modes else ())]),
        [np.inf, *[DF] * len(modes)],
    )


def _modes(density: _Density, share: Floats, rng: np.random.Generator) -> list[_Mode]:
    """Modes at the mean population, found from its centre and from the likeliest of some draws."""
    population, problem = density.population, density.problem
    row = _systematic(share, PILOTS, rng)
    normal = rng.standard_normal((PILOTS, len(population.random)))
    drawn = population.mean[row] + np.einsum("nab,nb->na", density.roots[row], normal)
    likely = density.likelihood(drawn, row)
    order = np.argsort(-likely)
    starts = [share @ population.mean, *drawn[order[:STARTS]]]
    found: list[_Mode] = []
    for start in starts:
        mode = _mode(problem, population, share, np.asarray(start))
        if mode is not None and not any(_same(mode, other, population) for other in found):
            found.append(mode)
    best = max((mode.log_mass for mode in found), default=0.0)
    return [mode for mode in found if mode.log_mass > best - LOST_MODE]


def _mode(problem: Problem, population: PopulationDraws, share: Floats, start: Floats) -> _Mode | None:
    at, rows = population.random, len(problem.time)
    theta = (share @ population.theta)[None].copy()
    mean = theta[:, at].copy()
    between = np.einsum("n,nab->ab", share, population.between)
    away = population.mean - mean
    precision = np.ascontiguousarray(inverse(between + np.einsum("n,na,nb->ab", share, away, away)))
    theta[:, at] = start
    sigma = np.array([np.exp(share @ np.log(population.sigmas[name])) for name in problem.sigma_names])
    p = theta.shape[1]
    information, score, objective = np.empty((1, p, p)), np.empty((1, p)), np.empty(1)
    find_modes(
        problem.layout.gradients.address, 0, 1, theta, mean, precision, at.astype(np.int64), problem.layout.data, sigma,
        STEPS, TOLERANCE, np.empty(rows), np.empty((rows, p)), information, score, objective,
    )  # fmt: skip
    if not (np.isfinite(objective[0]) and np.isfinite(information).all() and objective[0] > -1e50):
        return None
    spread = np.linalg.slogdet(information[0][np.ix_(at, at)] + precision)[1]
    return _Mode(theta[0], information[0], score[0], float(objective[0] - 0.5 * spread))


def _same(one: _Mode, other: _Mode, population: PopulationDraws) -> bool:
    away = (one.theta - other.theta)[population.random]
    precision = one.information[np.ix_(population.random, population.random)] + inverse(
        population.between.mean(axis=0)
    )
    return bool(away @ precision @ away < SAME_MODE**2 * len(away))


def _moved(mode: _Mode, population: PopulationDraws) -> tuple[Floats, Floats]:
    """Mean and root of the Gaussian of every row: the stand-in around the mode times the row's random effects."""
    at = population.random
    others = np.setdiff1d(np.arange(population.theta.shape[1]), at)
    precisions = inverse(population.between)
    pull = (
        mode.score[at]
        - (population.theta[:, others] - mode.theta[others]) @ mode.information[np.ix_(others, at)]
    )
    pull = pull + np.einsum("nab,nb->na", precisions, population.mean - mode.theta[at])
    covariance = inverse(precisions + mode.information[np.ix_(at, at)])
    mean = mode.theta[at] + np.einsum("nab,nb->na", covariance, pull)
    return mean, np.linalg.cholesky(WIDER * covariance)


def _propose(density: _Density, mixture: _Mixture, rng: np.random.Generator) -> tuple[Floats, Ints, Floats]:
    """Effects, rows and log weights of some proposals for every row."""
    n, q = density.population.mean.shape
    row = np.repeat(np.arange(n), EACH)
    component = rng.permutation(_systematic(mixture.shares, len(row), rng))
    effects = np.empty((len(row), q))
    for c, (mean, root, df) in enumerate(zip(mixture.means, mixture.roots, mixture.df, strict=True)):
        mine = np.flatnonzero(component == c)
        of = row[mine] if len(mean) > 1 else np.zeros(len(mine), dtype=np.intp)
        z = rng.standard_normal((len(mine), q))
        if np.isfinite(df):
            z *= np.sqrt(df / rng.chisquare(df, len(mine)))[:, None]
        effects[mine] = mean[of] + np.einsum("nab,nb->na", root[of], z)
    log_weight = density.likelihood(effects, row) + density.prior(effects, row)
    return effects, row, log_weight - _log_density(mixture, effects, row)


def _log_density(mixture: _Mixture, effects: Floats, row: Ints) -> Floats:
    parts, q = [], effects.shape[1]
    for share, mean, root, df in zip(mixture.shares, mixture.means, mixture.roots, mixture.df, strict=True):
        of = row if len(mean) > 1 else np.zeros(len(row), dtype=np.intp)
        away = np.einsum("nab,nb->na", np.linalg.inv(root)[of], effects - mean[of])
        square = (away**2).sum(axis=1)
        constant = -np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)[of]
        if np.isfinite(df):
            constant = constant + gammaln((df + q) / 2) - gammaln(df / 2) - 0.5 * q * np.log(df * np.pi)
            parts.append(np.log(share) + constant - 0.5 * (df + q) * np.log1p(square / df))
        else:
            parts.append(np.log(share) + constant - 0.5 * square - 0.5 * q * np.log(2 * np.pi))
    return np.asarray(logsumexp(parts, axis=0))


def _learnt(density: _Density, mixture: _Mixture, effects: Floats, log_weight: Floats) -> _Mixture:
    """The mixture with mean and covariance of the weighted proposals, flattened until enough count, and around the heaviest."""
    q, power = effects.shape[1], 1.0
    if q == 0:
        return mixture
    while True:
        weight = np.exp(power * (log_weight - log_weight.max()))
        weight /= weight.sum()
        if 1 / np.sum(weight**2) >= 10 * q or power < 1e-3:
            break
        power *= 0.7
    mean = weight @ effects
    away = effects - mean
    spread = np.einsum("n,na,nb->ab", weight, away, away)
    ridge = 1e-6 * np.diag(np.diag(density.population.between.mean(axis=0)))
    root = np.linalg.cholesky(1.5 * spread + ridge)[None]
    # Few draws may weigh most because nothing else was proposed near them: propose there, too.
    heaviest = effects[[log_weight.argmax()]]
    return _Mixture(
        [*mixture.means, mean[None], heaviest],
        [*mixture.roots, root, root],
        np.concatenate([0.5 * mixture.shares, [1 - LEARNT_AT_HEAVIEST - 0.5, LEARNT_AT_HEAVIEST]]),
        [*mixture.df, DF, DF],
    )


def _systematic(weight: Floats, n: int, rng: np.random.Generator) -> Ints:
    """Positions drawn by weight with the least noise, in ascending order."""
    cumulated = np.cumsum(weight)
    places = (rng.random() + np.arange(n)) / n * cumulated[-1]
    return np.minimum(np.searchsorted(cumulated, places, side="right"), len(weight) - 1)

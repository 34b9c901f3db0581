"""The approximate state of a population fit: population values, and a Gaussian around each subject's mode.

`carkinetics.fit.em` searches for it. With the priors of the model it is where the samplers start and says which
random effects the data determine; without them it approximates maximum likelihood (`carkinetics.fit.population`). It
is biased where subjects say little about a parameter, and is never shown as more than an approximation.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from carkinetics.fit.effects import Effects, make_effects, split
from carkinetics.fit.layout import TOLERANCE
from carkinetics.fit.modes import find_modes
from carkinetics.fit.problem import Problem

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Approximation:
    """Population values and each subject's Gaussian, on the free scale.

    Parameters
    ----------
    problem : Problem
        What is fitted.
    effects : Effects
        Where each number of the population stands.
    mean, shared : ndarray
        Coefficients of the random and of the common parameters.
    between : ndarray, shape (n_random, n_random)
        Covariance of the random effects.
    sigma : ndarray, shape (n_sigma,)
        Residual standard deviations.
    theta : ndarray, shape (n_subject, n_free)
        Individual modes, all free parameters.
    data_information : ndarray, shape (n_subject, n_free, n_free)
        Gauss-Newton information of each subject's data at its mode.
    score : ndarray, shape (n_subject, n_free)
        Slope of each subject's log-likelihood there.
    objective : ndarray, shape (n_subject,)
        Log-likelihood less half the squared standardised random effects.
    predicted, jacobian : ndarray, shapes (n_obs,) and (n_obs, n_free)
        At the modes, on the scales of the residual errors.
    share : float
        Of the second class of subjects; NaN without classes.
    """

    problem: Problem
    effects: Effects
    mean: Array
    shared: Array
    between: Array
    sigma: Array
    theta: Array
    data_information: Array
    score: Array
    objective: Array
    predicted: Array
    jacobian: Array
    share: float = np.nan

    @property
    def location(self) -> dict[str, float]:
        """Mean by parameter, for every parameter that is not fixed."""
        found, _ = split(self.effects, self.problem, {"mean": self.mean, "shared": self.shared})
        return {name: float(value) for name, value in found.items()}

    @property
    def slopes(self) -> dict[str, float]:
        """Covariate slopes, and shifts of a class, by name."""
        _, found = split(self.effects, self.problem, {"mean": self.mean, "shared": self.shared})
        return {name: float(value) for name, value in found.items()}

    @property
    def omega(self) -> dict[str, float]:
        """Between-subject standard deviation by random parameter."""
        return dict(zip(self.problem.random, np.sqrt(np.diag(self.between)).tolist(), strict=True))

    @property
    def sigmas(self) -> dict[str, float]:
        """Residual standard deviations by name."""
        return dict(zip(self.problem.sigma_names, self.sigma.tolist(), strict=True))

    @property
    def modes(self) -> Array:
        """Individual values in the order of ``problem.random``, shape (n_subject, n_random)."""
        return self.theta[:, self.effects.random]

    @property
    def expected(self) -> Array:
        """Expected individual values, shape (n_subject, n_random)."""
        return self.effects.mean.means(self.mean, self.effects.n_random)

    @property
    def covariance(self) -> Array:
        """Uncertainty of the modes given the population values, shape (n_subject, n_random, n_random)."""
        r = self.effects.random
        return inverse(self.data_information[:, r[:, None], r] + inverse(self.between))

    @property
    def prediction_variance(self) -> Array:
        """Of every prediction, from the uncertainty of its subject's random effects, shape (n_obs,)."""
        slopes = self.jacobian[:, self.effects.random]
        rows = np.repeat(self.covariance, np.diff(self.problem.layout.pointer), axis=0)
        return np.einsum("ra,rab,rb->r", slopes, rows, slopes)

    def information(self) -> dict[str, float]:
        """How much of a random effect the data determine, 0 (nothing) to 1, averaged over subjects."""
        variance = np.diagonal(self.covariance, axis1=1, axis2=2).mean(axis=0)
        share = 1 - variance / np.diag(self.between)
        return {name: float(np.clip(s, 0.0, 1.0)) for name, s in zip(self.problem.random, share, strict=True)}


def inverse(matrices: Array) -> Array:
    """Inverses of positive definite matrices, however badly scaled.

    Parameters
    ----------
    matrices : ndarray, shape (..., n, n)
        Symmetric, with a diagonal above 0.

    Returns
    -------
    ndarray
        Same shape; a direction in which a matrix is singular gets a large variance.
    """
    scale = 1 / np.sqrt(np.maximum(np.diagonal(matrices, axis1=-2, axis2=-1), 1e-300))
    both = scale[..., :, None] * scale[..., None, :]
    values, vectors = np.linalg.eigh(matrices * both)
    return (vectors / np.maximum(values, 1e-12)[..., None, :]) @ np.swapaxes(vectors, -1, -2) * both


def approximation_at(
    problem: Problem, mean: Array, shared: Array, between: Array, sigma: Array, modes: Array
) -> Approximation:
    """State with given population values, before any search.

    Parameters
    ----------
    problem : Problem
        What is fitted.
    mean, shared, between, sigma : ndarray
        As in `Approximation`.
    modes : ndarray, shape (n_subject, n_random)
        Where the search for the modes starts.

    Returns
    -------
    Approximation
        To be handed to `individual_gaussians`.
    """
    effects, n, rows = make_effects(problem), problem.n_subjects, len(problem.time)
    theta = effects.theta(modes, shared)
    p = theta.shape[1]
    return Approximation(
        problem, effects, np.asarray(mean, float), np.asarray(shared, float), np.asarray(between, float),
        np.asarray(sigma, float), theta, np.zeros((n, p, p)), np.zeros((n, p)), np.zeros(n), np.zeros(rows),
        np.zeros((rows, p)),
    )  # fmt: skip


def individual_gaussians(state: Approximation, *, steps: int = 50) -> Approximation:
    """Modes and covariances of the subjects at given population values (empirical Bayes estimates).

    Parameters
    ----------
    state : Approximation
        Population values; its modes are where the search starts.
    steps : int
        Gauss-Newton steps at most.

    Returns
    -------
    Approximation
        The same population values with new modes and covariances.
    """
    layout, effects, n = state.problem.layout, state.effects, state.problem.n_subjects
    theta = effects.theta(state.modes, state.shared)
    found = replace(
        state, theta=theta, data_information=np.empty_like(state.data_information), score=np.empty_like(state.score),
        objective=np.empty(n), predicted=np.empty_like(state.predicted), jacobian=np.empty_like(state.jacobian),
    )  # fmt: skip
    expected, precision = found.expected, np.ascontiguousarray(inverse(state.between))
    workers = min(os.cpu_count() or 1, 1 + n // 50)
    cuts = np.linspace(0, n, workers + 1).astype(int)
    data, address = layout.data, layout.gradients.address

    def work(part: int) -> None:
        find_modes(
            address, cuts[part], cuts[part + 1], theta, expected, precision, effects.random, data, state.sigma, steps,
            TOLERANCE, found.predicted, found.jacobian, found.data_information, found.score, found.objective,
        )  # fmt: skip

    if workers == 1:
        work(0)
    else:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(work, range(workers)))
    return found


def laplace_minus_two_log_likelihood(state: Approximation) -> float:
    """Minus twice the marginal log-likelihood by Laplace's method, exact where a subject's posterior is Gaussian.

    Parameters
    ----------
    state : Approximation
        From `individual_gaussians`.

    Returns
    -------
    float
        Densities of log y for errors on the log scale.
    """
    within = np.linalg.slogdet(state.covariance)[1].sum()
    among = state.problem.n_subjects * np.linalg.slogdet(state.between)[1]
    return float(-2 * state.objective.sum() - within + among)


def coefficient_system(state: Approximation) -> tuple[Array, Array]:
    """Curvature and slope of the marginal log-likelihood in all coefficients, by the subjects' Gaussians.

    Parameters
    ----------
    state : Approximation
        At the modes.

    Returns
    -------
    tuple of ndarray, shapes (n, n) and (n,)
        Coefficients of the random parameters first, then those of the common ones.
    """
    e = state.effects
    r, c = e.random, e.common
    precision, covariance = inverse(state.between), state.covariance
    cross = state.data_information[:, r[:, None], c]
    carried = precision @ covariance
    top = precision - carried @ precision
    side = carried @ cross
    bottom = state.data_information[:, c[:, None], c] - cross.transpose(0, 2, 1) @ covariance @ cross
    hessian = np.concatenate(
        [np.concatenate([top, side], 2), np.concatenate([side.transpose(0, 2, 1), bottom], 2)], 1
    )
    slope = np.concatenate([(state.modes - state.expected) @ precision, state.score[:, c]], axis=1)
    of = np.concatenate([e.mean.of, len(r) + e.shared.of])
    design = np.concatenate([e.mean.design, e.shared.design])
    curvature = np.einsum("nab,an,bn->ab", hessian[:, of[:, None], of], design, design)
    return curvature, np.einsum("na,an->a", slope[:, of], design)

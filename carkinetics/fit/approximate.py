"""A population fit in a fraction of a second: Laplace-EM, with exact derivatives and BLQ values censored.

Each subject's mode and the Gaussian around it (`carkinetics.fit.modes`), then the population values that fit those
Gaussians best, over and over. With the priors of the model it is where the samplers start and says which random
effects the data determine; without them it approximates maximum likelihood (`carkinetics.fit.population`). It is
biased where subjects say little about a parameter, and is never shown as more than an approximation.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from carkinetics.fit.effects import Effects, make_effects, split
from carkinetics.fit.layout import TOLERANCE
from carkinetics.fit.modes import expected_log_likelihood, find_modes, row_variances
from carkinetics.fit.problem import Problem
from carkinetics.fit.start import starting_values

Array = NDArray[np.float64]
SMALLEST_OMEGA = 0.05  # with priors: a sampler should not start on the edge
SMALLEST_OMEGA_ML = 1e-4
# Population steps after which every subject is also tried from the population mean: some series have two modes.
RETRIES = (0, 4, 12)
LONGEST_STEP = 1.0


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

    @property
    def location(self) -> dict[str, float]:
        """Mean by parameter, for every parameter that is not fixed."""
        found, _ = split(self.effects, self.problem, {"mean": self.mean, "shared": self.shared})
        return {name: float(value) for name, value in found.items()}

    @property
    def slopes(self) -> dict[str, float]:
        """Covariate slopes by name."""
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


def laplace_em(
    problem: Problem, *, priors: bool = True, iterations: int = 60, tolerance: float = 2e-3
) -> Approximation:
    """Approximate population fit.

    Parameters
    ----------
    problem : Problem
        What is fitted.
    priors : bool
        Whether the priors of the population values count; without them it approximates maximum likelihood.
    iterations : int
        EM steps at most.
    tolerance : float
        It stops when no coefficient and no log standard deviation moves by more than this.

    Returns
    -------
    Approximation
        The last state.
    """
    state = individual_gaussians(initial_state(problem), steps=6)
    for iteration in range(iterations):
        before = _vector(state)
        if iteration in RETRIES:
            state = _try_population_start(state)
        state = em_step(state, priors=priors)
        if iteration > max(RETRIES) and np.abs(_vector(state) - before).max() < tolerance:
            break
    return individual_gaussians(state, steps=20)


def em_step(state: Approximation, *, priors: bool) -> Approximation:
    """Population values from the subjects' Gaussians, and the subjects' new modes.

    Parameters
    ----------
    state : Approximation
        At the modes.
    priors : bool
        Whether the priors of the population values count.

    Returns
    -------
    Approximation
        One step further.
    """
    state = individual_gaussians(_coefficient_step(state, priors), steps=3)
    return individual_gaussians(_residual_step(_spread_step(state, priors), priors), steps=2)


def _vector(state: Approximation) -> Array:
    return np.concatenate(
        [state.mean, state.shared, 0.5 * np.log(np.diag(state.between)), np.log(state.sigma)]
    )


def initial_state(problem: Problem) -> Approximation:
    """Starts from each subject's own series; the population at their medians.

    Parameters
    ----------
    problem : Problem
        What is fitted.

    Returns
    -------
    Approximation
        Not yet at the modes.
    """
    effects, model = make_effects(problem), problem.model
    first = problem.output_index == 0
    upper = problem.observations["upper"].to_numpy(float)
    exact = (problem.observations["status"] == "quantified").to_numpy()
    # A value above the ULOQ has no upper limit; a search may start at the level that it exceeds.
    beyond = np.isinf(upper)
    upper = np.where(beyond, problem.observations["lower"].to_numpy(float), upper)
    exact = exact | beyond
    starts = []
    for i in range(problem.n_subjects):
        rows = first & (problem.subject_index == i)
        found = starting_values(model, problem.time[rows], upper[rows], exact[rows])
        starts.append([found[name] for name in model.free_parameters])
    theta = np.array(starts, dtype=float).reshape(problem.n_subjects, len(model.free_parameters))
    # One unusual cohort should not pull a start out of the prior: half way is near enough for both.
    centre = np.array([model.parameters[name].prior.location for name in model.free_parameters])
    middle = 0.5 * np.median(theta, axis=0) + 0.5 * centre

    def coefficients(part: str) -> Array:
        known = dict(zip(model.free_parameters, middle, strict=True))
        return np.array([known.get(name, 0.0) for name in getattr(effects, part).names], dtype=float)

    omega = np.array([min(model.parameters[name].omega or 0.5, 1.0) for name in problem.random])
    sigma = np.array([_first_sigma(problem, name) for name in problem.sigma_names])
    return approximation_at(
        problem,
        coefficients("mean"),
        coefficients("shared"),
        np.diag(omega**2),
        sigma,
        theta[:, effects.random],
    )


def _first_sigma(problem: Problem, name: str) -> float:
    one = next(m for m in problem.measured if name in m.sigmas)
    if name.startswith("sigma_prop") or one.error.name == "proportional":
        return 0.3
    return (
        problem.model.outputs[one.output].residual if one.error.log_scale else 0.3 * problem.sigma_scale(name)
    )


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


def _try_population_start(state: Approximation) -> Approximation:
    """Restart each subject from the population mean and keep the better mode."""
    if not state.effects.n_random:
        return state
    other = replace(state, theta=state.effects.theta(state.expected, state.shared))
    other = individual_gaussians(other, steps=6)
    better = (other.objective > state.objective)[:, None]
    kept = np.where(better, other.theta, state.theta)
    return individual_gaussians(replace(state, theta=kept), steps=0)


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


def _coefficient_step(state: Approximation, priors: bool) -> Approximation:
    """One Newton step of all coefficients; the subjects' values move along."""
    e = state.effects
    curvature, slope = coefficient_system(state)
    values = np.concatenate([state.mean, state.shared])
    if priors:
        centre = np.concatenate([e.mean.centre, e.shared.centre])
        precision = np.concatenate([e.mean.spread, e.shared.spread]) ** -2.0
        curvature = curvature + np.diag(precision)
        slope = slope - precision * (values - centre)
    # Directions that the data do not inform would take endless steps without a prior.
    curvature = curvature + np.eye(len(values)) * 1e-8 * max(1.0, np.abs(np.diag(curvature)).max(initial=1.0))
    step = np.clip(np.linalg.solve(curvature, slope), -LONGEST_STEP, LONGEST_STEP)
    n_mean, r, c = len(state.mean), e.random, e.common
    moved_mean = e.mean.means(step[:n_mean], len(r))
    moved_shared = e.shared.means(step[n_mean:], len(c))
    precision_ = inverse(state.between)
    along = moved_mean @ precision_ - np.einsum(
        "nab,nb->na", state.data_information[:, r[:, None], c], moved_shared
    )
    modes = state.modes + np.clip(
        np.einsum("nab,nb->na", state.covariance, along), -LONGEST_STEP, LONGEST_STEP
    )
    return replace(
        state, mean=state.mean + step[:n_mean], shared=state.shared + step[n_mean:],
        theta=e.theta(modes, state.shared + step[n_mean:]),
    )  # fmt: skip


def _spread_step(state: Approximation, priors: bool) -> Approximation:
    """Covariance of the random effects given the individual Gaussians."""
    e, n = state.effects, state.problem.n_subjects
    if not e.n_random:
        return state
    away = state.modes - state.expected
    total = away.T @ away + state.covariance.sum(axis=0)
    spread = np.diag(total)
    if priors:
        # Mode of -n log w - spread/(2 w²) - w²/(2 scale²): the half-normal prior keeps it finite.
        s = e.omega_scale**2
        variance = s * (np.sqrt(n**2 + 4 * spread / s) - n) / 2
    else:
        variance = spread / n
    omega = np.maximum(np.sqrt(variance), SMALLEST_OMEGA if priors else SMALLEST_OMEGA_ML)
    correlation = np.eye(e.n_random)
    block = np.ix_(e.block, e.block)
    root = np.sqrt(spread)
    shrink = n / (n + 2.0) if priors else 1.0  # LKJ(2) draws correlations towards 0
    correlation[block] = (shrink * total / np.outer(root, root))[block]
    np.fill_diagonal(correlation, 1.0)
    return replace(state, between=correlation * np.outer(omega, omega))


def _residual_step(state: Approximation, priors: bool) -> Approximation:
    """Residual standard deviations, with the uncertainty of the predictions counted in."""
    layout, scale = state.problem.layout, state.effects.sigma_scale
    variance = np.zeros(len(state.predicted))
    if state.effects.n_random:
        row_variances(
            np.ascontiguousarray(state.covariance),
            state.effects.random,
            layout.pointer,
            state.jacobian,
            variance,
        )
    of_row = scale[layout.sigma_at[layout.output, 0]]
    width, sigma, data = np.minimum(np.sqrt(variance), of_row), state.sigma.copy(), layout.data
    # A subject whose equations cannot be solved here says nothing about the residual error.
    predicted = np.where(np.isfinite(state.predicted), state.predicted, layout.value)

    def minus_expected(log_sigma: float, k: int) -> float:
        sigma[k] = np.exp(log_sigma)
        # Without its half-normal prior, sigma would run to infinity where every value is BLQ.
        penalty = 0.5 * (sigma[k] / scale[k]) ** 2 if priors else 0.0
        return penalty - expected_log_likelihood(data, predicted, width, sigma)

    for k in range(len(sigma)):
        at = np.log(state.sigma[k])
        found = minimize_scalar(
            minus_expected, args=(k,), bounds=(at - 1, at + 1), method="bounded", options={"xatol": 1e-5}
        )
        sigma[k] = float(np.exp(found.x))
    return replace(state, sigma=sigma)

"""A population fit in a fraction of a second: Laplace-EM, with exact derivatives and BLQ values censored.

Each subject's mode and the Gaussian around it (`carkinetics.fit.modes`), then the population values that fit those
Gaussians best, over and over; where there are two classes of subjects, each subject's probability as well.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from carkinetics.fit.approximate import (
    Approximation,
    approximation_at,
    coefficient_system,
    individual_gaussians,
    inverse,
)
from carkinetics.fit.classes import class_step
from carkinetics.fit.effects import make_effects
from carkinetics.fit.modes import expected_log_likelihood
from carkinetics.fit.problem import Problem
from carkinetics.fit.start import starting_values

Array = NDArray[np.float64]
SMALLEST_OMEGA = 0.05  # with priors: a sampler should not start on the edge
SMALLEST_OMEGA_ML = 1e-4
# Population steps after which every subject is also tried from the population mean: some series have two modes.
RETRIES = (0, 4, 12)
LONGEST_STEP = 1.0


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
        if problem.mixture:
            state = class_step(state)
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

    known = dict(zip(model.free_parameters, middle, strict=True))
    # A covariate may do nothing at first; a class without a shift would be none.
    known |= {effects.mean.names[k]: effects.mean.centre[k] for k in effects.member}

    def coefficients(part: str) -> Array:
        return np.array([known.get(name, 0.0) for name in getattr(effects, part).names], dtype=float)

    omega = np.array([min(model.parameters[name].omega or 0.5, 1.0) for name in problem.random])
    sigma = np.array([_first_sigma(problem, name) for name in problem.sigma_names])
    state = approximation_at(
        problem,
        coefficients("mean"),
        coefficients("shared"),
        np.diag(omega**2),
        sigma,
        theta[:, effects.random],
    )
    return replace(state, share=problem.mixture.share.centre) if problem.mixture else state


def _first_sigma(problem: Problem, name: str) -> float:
    one = next(m for m in problem.measured if name in m.sigmas)
    if name.startswith("sigma_prop") or one.error.name == "proportional":
        return 0.3
    return (
        problem.model.outputs[one.output].residual if one.error.log_scale else 0.3 * problem.sigma_scale(name)
    )


def _try_population_start(state: Approximation) -> Approximation:
    """Restart each subject from the population mean and keep the better mode."""
    if not state.effects.n_random:
        return state
    other = replace(state, theta=state.effects.theta(state.expected, state.shared))
    other = individual_gaussians(other, steps=6)
    better = (other.objective > state.objective)[:, None]
    kept = np.where(better, other.theta, state.theta)
    return individual_gaussians(replace(state, theta=kept), steps=0)


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
    of_row = scale[layout.sigma_at[layout.output, 0]]
    width, sigma = np.minimum(np.sqrt(state.prediction_variance), of_row), state.sigma.copy()
    data = layout.data
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

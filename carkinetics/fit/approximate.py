"""A population fit in about a second: where the sampler starts, and how it is centred.

Laplace-EM: Gauss-Newton to each subject's mode and a Gaussian around it, then the population values that
fit those modes best, over and over. It is biased where subjects say little about a parameter, so its
numbers are starting values and never an answer. It needs only the predicted levels: derivatives are
differences, all subjects at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from carkinetics.fit.problem import Problem
from carkinetics.fit.start import starting_values
from carkinetics.model.observe import TINY

Array = NDArray[np.float64]
STEP = 1e-4
CURVATURE_STEP = 1e-3  # a second difference loses twice the digits
SMALLEST_OMEGA = 0.05


@dataclass
class Approximation:
    """Population values and each subject's Gaussian, on the free scale.

    Parameters
    ----------
    location : dict of str to float
        Mean by parameter, for every parameter that is not fixed.
    slopes : dict of str to float
        Covariate slopes by name.
    omega : dict of str to float
        Between-subject standard deviation by random parameter.
    sigmas : dict of str to float
        Residual standard deviations.
    modes : ndarray, shape (n_subject, n_random)
        Individual values in the order of ``problem.random``.
    covariance : ndarray, shape (n_subject, n_random, n_random)
        Their uncertainty given the population values.
    """

    location: dict[str, float]
    slopes: dict[str, float]
    omega: dict[str, float]
    sigmas: dict[str, float]
    modes: Array
    covariance: Array

    def information(self) -> dict[str, float]:
        """How much of a random effect the data determine, 0 (nothing) to 1, averaged over subjects."""
        variance = np.diagonal(self.covariance, axis1=1, axis2=2).mean(axis=0)
        return {
            name: float(np.clip(1 - variance[k] / omega**2, 0.0, 1.0))
            for k, (name, omega) in enumerate(self.omega.items())
        }


def laplace_em(problem: Problem, *, iterations: int = 60) -> Approximation:
    """Approximate population fit.

    Parameters
    ----------
    problem : Problem
        What is fitted; a closed form, for speed.
    iterations : int
        EM steps at most; it stops when no location moves by more than 0.002 on its free scale.

    Returns
    -------
    Approximation
        Starting values for a sampler.
    """
    state = _initial(problem)
    for iteration in range(iterations):
        before = np.array([*state.location.values()])
        for _ in range(3):
            _individual_step(problem, state)
        if iteration in (0, 4, 12):
            _try_population_start(problem, state)
        _population_step(problem, state)
        _common_step(problem, state)
        _residual_step(problem, state)
        moved = np.abs(np.array([*state.location.values()]) - before).max()
        if iteration > 15 and moved < 2e-3:
            break
    return state


def individual_gaussians(problem: Problem, state: Approximation, *, steps: int = 50) -> Approximation:
    """Modes and covariances of the subjects at given population values (empirical Bayes estimates).

    Parameters
    ----------
    problem : Problem
        What is fitted.
    state : Approximation
        Population values; its modes are where the search starts.
    steps : int
        Gauss-Newton steps.

    Returns
    -------
    Approximation
        The same population values with new modes and covariances.
    """
    found = replace(state)
    for _ in range(steps):
        _individual_step(problem, found)
    return found


def laplace_minus_two_log_likelihood(problem: Problem, state: Approximation) -> float:
    """Minus twice the marginal log-likelihood by Laplace's method, exact where a subject's posterior is Gaussian.

    Parameters
    ----------
    problem : Problem
        What is fitted.
    state : Approximation
        From `individual_gaussians`.

    Returns
    -------
    float
        Densities of log y for errors on the log scale.
    """
    joint = 2 * _objective(problem, state, state.modes).sum()
    omega = np.array([*state.omega.values()])
    _, log_determinant = np.linalg.slogdet(state.covariance)
    return float(joint - log_determinant.sum() + 2 * problem.n_subjects * np.log(omega).sum())


def _initial(problem: Problem) -> Approximation:
    """Starts from each subject's own series; the population at their medians."""
    model, observations = problem.model, problem.observations
    starts = []
    for i in range(problem.n_subjects):
        rows = problem.subject_index == i
        upper = observations["upper"].to_numpy(float)[rows]
        exact = (observations["status"] == "quantified").to_numpy()[rows]
        starts.append(starting_values(model, problem.time[rows], upper, exact))
    location = {}
    for name in model.free_parameters:
        prior = model.parameters[name].prior
        # One unusual cohort should not pull a start out of the prior: half way is near enough for both.
        location[name] = 0.5 * float(np.median([start[name] for start in starts])) + 0.5 * prior.location
    omega = {name: min(model.parameters[name].omega or 0.5, 1.0) for name in problem.random}
    q = len(problem.random)
    modes = np.array([[start[name] for name in problem.random] for start in starts]).reshape(len(starts), q)
    scale = problem.model.residual if problem.error.log_scale else _natural_scale(problem)
    sigmas = {
        name: (0.3 if name == "sigma_prop" or problem.error.name == "proportional" else scale)
        for name in problem.error.parameters
    }
    covariance = np.tile(np.diag(np.array([*omega.values()]) ** 2), (problem.n_subjects, 1, 1))
    return Approximation(
        location, {c.name: 0.0 for c in problem.covariates}, omega, sigmas, modes, covariance
    )


def _natural_scale(problem: Problem) -> float:
    """A first residual standard deviation in the unit of the data."""
    values = problem.observations["upper"].to_numpy(float)
    return float(max(np.median(values[values > 0]) * 0.3, TINY))


def natural_values(
    problem: Problem, location: dict[str, float], slopes: dict[str, float], modes: Array
) -> dict[str, Array]:
    """Natural-scale parameter values as `Problem.level` takes them.

    Parameters
    ----------
    problem : Problem
        What is fitted.
    location, slopes : dict of str to float
        Population values on the free scale.
    modes : ndarray, shape (n_subject, n_random)
        Individual values on the free scale.

    Returns
    -------
    dict of str to ndarray
        One per parameter that is not fixed.
    """
    values: dict[str, Array] = {}
    for name in problem.model.free_parameters:
        parameter = problem.model.parameters[name]
        if name in problem.random:
            free = modes[:, problem.random.index(name)]
        else:
            free = location[name] + problem.shift(name, slopes)
            if name in problem.varying:
                free = np.broadcast_to(free, problem.n_subjects)
        values[name] = np.asarray(parameter.from_free(free), dtype=float)
    return values


def _log_level(problem: Problem, state: Approximation, modes: Array | None = None) -> Array:
    values = natural_values(problem, state.location, state.slopes, state.modes if modes is None else modes)
    return np.log(np.maximum(np.nan_to_num(problem.level(values), nan=TINY, posinf=1 / TINY), TINY))


def _row_derivatives(problem: Problem, state: Approximation, log_level: Array) -> tuple[Array, Array, Array]:
    """Log-likelihood of every row, its slope in the log level, and its (non-negative) curvature."""
    h = CURVATURE_STEP
    here, above, below = (problem.log_likelihood(np.exp(log_level + d), state.sigmas) for d in (0.0, h, -h))
    slope = (above - below) / (2 * h)
    curvature = np.maximum(-(above - 2 * here + below) / h**2, 0.0)
    return here, slope, curvature


def _means(problem: Problem, state: Approximation) -> Array:
    """Expected individual values, shape (n_subject, n_random)."""
    columns = [
        np.broadcast_to(state.location[n] + problem.shift(n, state.slopes), problem.n_subjects)
        for n in problem.random
    ]
    return np.column_stack(columns) if columns else np.zeros((problem.n_subjects, 0))


def _objective(problem: Problem, state: Approximation, modes: Array) -> Array:
    """Minus the log joint density of each subject."""
    log_level = _log_level(problem, state, modes)
    fit = -problem.by_subject(problem.log_likelihood(np.exp(log_level), state.sigmas))
    omega = np.array([*state.omega.values()])
    penalty = 0.5 * (((modes - _means(problem, state)) / omega) ** 2).sum(axis=1)
    return np.where(np.isfinite(fit), fit, 1e10) + penalty


def _jacobian(problem: Problem, state: Approximation) -> Array:
    """Derivative of every row's log level in its subject's random effects, shape (n_obs, n_random)."""
    columns = []
    for k in range(len(problem.random)):
        up, down = state.modes.copy(), state.modes.copy()
        up[:, k] += STEP
        down[:, k] -= STEP
        columns.append((_log_level(problem, state, up) - _log_level(problem, state, down)) / (2 * STEP))
    return np.column_stack(columns) if columns else np.zeros((len(problem.time), 0))


def _individual_step(problem: Problem, state: Approximation) -> None:
    """One damped Gauss-Newton step of every subject, and the Gaussian around where it ends."""
    q = len(problem.random)
    if not q:
        return
    log_level = _log_level(problem, state)
    _, slope, curvature = _row_derivatives(problem, state, log_level)
    jacobian = _jacobian(problem, state)
    precision = np.array([*state.omega.values()]) ** -2.0
    deviation = state.modes - _means(problem, state)
    gradient = problem.by_subject(slope * jacobian.T).T - deviation * precision
    outer = curvature[:, None, None] * jacobian[:, :, None] * jacobian[:, None, :]
    hessian = problem.by_subject(outer.reshape(len(outer), -1).T).T.reshape(-1, q, q) + np.diag(precision)
    state.covariance = np.linalg.inv(hessian)
    step = np.einsum("nij,nj->ni", state.covariance, gradient)
    # A long step from a poor start would leave the region where the curvature means anything.
    step *= np.minimum(1.0, 2.0 / np.maximum(np.abs(step).max(axis=1, keepdims=True), 1e-12))
    current = _objective(problem, state, state.modes)
    length = np.ones(problem.n_subjects)
    for _ in range(6):
        trial = state.modes + length[:, None] * step
        worse = ~(_objective(problem, state, trial) <= current)
        if not worse.any():
            break
        length[worse] *= 0.35
    length[worse] = 0.0
    state.modes = state.modes + length[:, None] * step


def _try_population_start(problem: Problem, state: Approximation) -> None:
    """Restart each subject from the population mean and keep the better mode: some series have two."""
    kept = state.modes
    current = _objective(problem, state, kept)
    state.modes = _means(problem, state).copy()
    for _ in range(4):
        _individual_step(problem, state)
    better = _objective(problem, state, state.modes) < current
    state.modes = np.where(better[:, None], state.modes, kept)


def _population_step(problem: Problem, state: Approximation) -> None:
    """Location, slopes and omega of the random effects given the individual Gaussians, with their priors."""
    for k, name in enumerate(problem.random):
        parameter = problem.model.parameters[name]
        effects = [c for c in problem.covariates if c.parameter == name]
        design = np.column_stack([np.ones(problem.n_subjects), *(c.centred for c in effects)])
        prior_mean = np.array([parameter.prior.location, *(c.prior.centre for c in effects)])
        prior_precision = np.diag([parameter.prior.spread**-2.0, *(c.prior.spread**-2.0 for c in effects)])
        weight = state.omega[name] ** -2.0
        solved = np.linalg.solve(
            weight * design.T @ design + prior_precision,
            weight * design.T @ state.modes[:, k] + prior_precision @ prior_mean,
        )
        state.location[name] = float(solved[0])
        state.slopes.update({c.name: float(b) for c, b in zip(effects, solved[1:], strict=True)})
        spread = ((state.modes[:, k] - design @ solved) ** 2 + state.covariance[:, k, k]).sum()
        n, scale = problem.n_subjects, parameter.omega_prior
        # Mode of -n log w - spread/(2 w²) - w²/(2 scale²): the half-normal prior keeps it finite.
        variance = scale**2 * (np.sqrt(n**2 + 4 * spread / scale**2) - n) / 2
        state.omega[name] = float(max(np.sqrt(variance), SMALLEST_OMEGA))


def _common_step(problem: Problem, state: Approximation) -> None:
    """One Gauss-Newton step of everything that is the same for all subjects, at their modes."""
    names = [n for n in problem.model.free_parameters if n not in problem.random]
    slopes = [c for c in problem.covariates if c.parameter not in problem.random]
    if not names:
        return
    targets: list[tuple[dict[str, float], str, float, float]] = [
        (
            state.location,
            n,
            problem.model.parameters[n].prior.location,
            problem.model.parameters[n].prior.spread,
        )
        for n in names
    ]
    targets += [(state.slopes, c.name, c.prior.centre, c.prior.spread) for c in slopes]

    def objective() -> float:
        fit = problem.log_likelihood(np.exp(_log_level(problem, state)), state.sigmas).sum()
        return -float(fit) + sum(
            0.5 * ((where[n] - centre) / spread) ** 2 for where, n, centre, spread in targets
        )

    log_level = _log_level(problem, state)
    _, slope, curvature = _row_derivatives(problem, state, log_level)
    jacobian = np.empty((len(log_level), len(targets)))
    for k, (where, name, _, _) in enumerate(targets):
        where[name] += STEP
        jacobian[:, k] = (_log_level(problem, state) - log_level) / STEP
        where[name] -= STEP
    precision = np.array([spread**-2.0 for *_, spread in targets])
    away = np.array([where[name] - centre for where, name, centre, _ in targets])
    hessian = (curvature[:, None] * jacobian).T @ jacobian + np.diag(precision)
    step = np.clip(np.linalg.solve(hessian, jacobian.T @ slope - precision * away), -1.0, 1.0)
    current, old = objective(), [where[name] for where, name, _, _ in targets]
    for length in (1.0, 0.3, 0.1, 0.0):
        for (where, name, _, _), start, move in zip(targets, old, step, strict=True):
            where[name] = start + length * float(move)
        if objective() <= current:
            return


def _residual_step(problem: Problem, state: Approximation) -> None:
    """Residual standard deviations, with the uncertainty of the predictions counted in."""
    log_level = _log_level(problem, state)
    jacobian = _jacobian(problem, state)
    variance = np.einsum("ni,nij,nj->n", jacobian, state.covariance[problem.subject_index], jacobian)
    half_width = np.sqrt(np.minimum(variance, 1.0))

    def expected(name: str, log_sigma: float) -> float:
        sigmas = state.sigmas | {name: float(np.exp(log_sigma))}
        both = sum(
            problem.log_likelihood(np.exp(log_level + sign * half_width), sigmas).sum() for sign in (-1, 1)
        )  # fmt: skip
        # Without its half-normal prior, sigma would run to infinity where every value is BLQ.
        return -0.5 * float(both) + 0.5 * (sigmas[name] / problem.sigma_scale(name)) ** 2

    for name in problem.error.parameters:
        at = np.log(state.sigmas[name])
        found = minimize_scalar(lambda x, n=name: expected(n, x), bounds=(at - 1, at + 1), method="bounded")
        state.sigmas[name] = float(np.exp(found.x))

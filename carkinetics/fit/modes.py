"""Each subject's most probable values given the population, and what its data say around them (compiled).

Damped Gauss-Newton on one subject after another, with exact derivatives. Beside the mode it leaves the information
and the score of the subject's data in all free parameters, from which population steps and surrogates are made.
"""

from __future__ import annotations

import math

import numpy as np

from carkinetics.fit.rowwise import row_slope, rows_log_likelihood
from carkinetics.model.compile import call
from carkinetics.model.jit import compiled

# Of a matrix scaled to a diagonal of ones; and the longest step on a free scale that means anything.
SMALLEST_PIVOT, LONGEST = 1e-10, 5.0
WORST = -1e100  # log-likelihood of a subject whose equations could not be solved


@compiled(forceinline=True)
def solve_subject(address, i, theta, data, sigma, predicted, jacobian, tolerance):
    """Predictions of one subject with their derivatives; its log-likelihood."""
    pointer, time, output, kind, value, lower, above, numbers, sigma_at, fixed, schedule, lines = data
    a, b = pointer[i], pointer[i + 1]
    code = call(
        address, theta, fixed[i], time[a:b], output[a:b], schedule[lines[i] : lines[i + 1]], tolerance,
        predicted[a:b], jacobian[a:b],
    )  # fmt: skip
    if code < 0:
        return WORST
    total = rows_log_likelihood(a, b, predicted, output, kind, value, lower, above, numbers, sigma_at, sigma)
    return total if total > WORST else WORST


@compiled()
def gather(i, data, sigma, predicted, jacobian, information, score):
    """Gauss-Newton information and score of one subject's data in its free parameters."""
    pointer, _, output, kind, value, lower, above, numbers, sigma_at, _, _, _ = data
    n = len(score)
    information[:, :] = 0.0
    score[:] = 0.0
    for r in range(pointer[i], pointer[i + 1]):
        k = output[r]
        slope, curvature = row_slope(
            numbers[k],
            kind[r],
            predicted[r],
            value[r],
            lower[r],
            above[r],
            sigma[sigma_at[k, 0]],
            sigma[sigma_at[k, 1]],
        )
        size = abs(slope) + curvature
        for p in range(n):
            size += abs(jacobian[r, p])
        if not (size < 1e20):  # a row that far off says nothing of use, and NaN would spoil the rest
            continue
        for p in range(n):
            score[p] += slope * jacobian[r, p]
            for s in range(p + 1):
                information[p, s] += curvature * jacobian[r, p] * jacobian[r, s]
    for p in range(n):
        for s in range(p):
            information[s, p] = information[p, s]


@compiled()
def solve_positive(matrix, right, solution):
    """Solve with a positive definite matrix, however badly scaled; a direction it does not know hardly moves."""
    q = len(right)
    scale, root = np.empty(q), np.zeros((q, q))
    for a in range(q):
        scale[a] = 1.0 / math.sqrt(matrix[a, a]) if matrix[a, a] > 1e-300 else 0.0
    for a in range(q):
        for b in range(a + 1):
            total = matrix[a, b] * scale[a] * scale[b]
            for k in range(b):
                total -= root[a, k] * root[b, k]
            root[a, b] = math.sqrt(max(total, SMALLEST_PIVOT)) if a == b else total / root[b, b]
    for a in range(q):
        total = right[a] * scale[a]
        for k in range(a):
            total -= root[a, k] * solution[k]
        solution[a] = total / root[a, a]
    for a in range(q - 1, -1, -1):
        total = solution[a]
        for k in range(a + 1, q):
            total -= root[k, a] * solution[k]
        solution[a] = total / root[a, a]
    for a in range(q):
        solution[a] *= scale[a]


@compiled()
def find_modes(
    address, first, last, theta, mean, precision, random, data, sigma, steps, tolerance,
    predicted, jacobian, information, score, objective,
):  # fmt: skip
    """Move the subjects ``first`` to ``last`` to their modes, in place.

    Parameters
    ----------
    address : int
        Kernel with derivatives.
    first, last : int
        Range of subjects.
    theta : ndarray, shape (n_subject, n_free)
        Where to start; the modes afterwards.
    mean : ndarray, shape (n_subject, n_random)
        Expected values.
    precision : ndarray, shape (n_random, n_random)
        Inverse of their covariance.
    random : ndarray of int
        Positions of the random parameters.
    data : tuple of ndarray
        See `carkinetics.fit.layout.Layout.data`.
    sigma : ndarray
        Residual standard deviations.
    steps : int
        Gauss-Newton steps at most.
    tolerance : float
        Of the solver.
    predicted, jacobian, information, score, objective : ndarray
        Filled: at the modes, for all rows or all subjects. The objective is the log joint density.
    """
    q, n_free = len(random), theta.shape[1]
    gradient, hessian, trial = np.empty(q), np.empty((q, q)), np.empty(n_free)
    away, step = np.empty(q), np.empty(q)
    for i in range(first, last):
        here = solve_subject(address, i, theta[i], data, sigma, predicted, jacobian, tolerance)
        here += _log_prior(theta[i], mean[i], precision, random, away)
        gather(i, data, sigma, predicted, jacobian, information[i], score[i])
        for _ in range(steps):
            for a in range(q):
                away[a] = theta[i, random[a]] - mean[i, a]
            for a in range(q):
                gradient[a] = score[i, random[a]]
                for b in range(q):
                    gradient[a] -= precision[a, b] * away[b]
                    hessian[a, b] = information[i, random[a], random[b]] + precision[a, b]
            solve_positive(hessian, gradient, step)
            gain = 0.0
            for a in range(q):
                step[a] = min(max(step[a], -LONGEST), LONGEST)
                gain += step[a] * gradient[a]
            if not (gain > 1e-9):
                break
            length, moved = 1.0, False
            for _try in range(8):
                trial[:] = theta[i]
                for a in range(q):
                    trial[random[a]] += length * step[a]
                there = solve_subject(address, i, trial, data, sigma, predicted, jacobian, tolerance)
                there += _log_prior(trial, mean[i], precision, random, away)
                if there > here + 1e-4 * length * gain:
                    moved = True
                    break
                length *= 0.4
            if not moved:
                solve_subject(address, i, theta[i], data, sigma, predicted, jacobian, tolerance)
                break
            theta[i] = trial
            here = there
            gather(i, data, sigma, predicted, jacobian, information[i], score[i])
        objective[i] = here


@compiled()
def _log_prior(theta, mean, precision, random, away):
    """Quadratic part of the log density of a subject's random effects."""
    q, total = len(random), 0.0
    for a in range(q):
        away[a] = theta[random[a]] - mean[a]
    for a in range(q):
        for b in range(q):
            total -= 0.5 * away[a] * precision[a, b] * away[b]
    return total


@compiled()
def expected_log_likelihood(data, predicted, width, sigma):
    """Log-likelihood of all rows, averaged over predictions one standard deviation above and below."""
    _, _, output, kind, value, lower, above, numbers, sigma_at, _, _, _ = data
    n = len(predicted)
    shifted, total = np.empty(n), 0.0
    for sign in (-1.0, 1.0):
        for r in range(n):
            shifted[r] = predicted[r] + sign * width[r]
        total += 0.5 * rows_log_likelihood(
            0, n, shifted, output, kind, value, lower, above, numbers, sigma_at, sigma
        )
    return total


@compiled()
def importance_log_weights(
    address, first, last, modes, roots, theta, mean, precision, random, data, sigma, tolerance, normal, chi, df,
    predicted, log_weight,
):  # fmt: skip
    """Log importance weights of draws of the subjects' random effects from a Student t around their modes.

    Parameters
    ----------
    modes, roots : ndarray, shapes (n_subject, n_random) and (n_subject, n_random, n_random)
        Modes and lower Cholesky factors of the covariances there.
    theta : ndarray, shape (n_subject, n_free)
        All free parameters; those of the random effects are replaced.
    normal, chi : ndarray, shapes (n_draws, n_random) and (n_draws,)
        Standard normal and chi-squared numbers.
    df : float
        Degrees of freedom of the t.
    log_weight : ndarray, shape (n_subject, n_draws)
        Filled: log of likelihood times prior over proposal, up to constants of the caller.
    """
    q = len(random)
    none, away, trial = np.empty((len(predicted), 0)), np.empty(q), np.empty(theta.shape[1])
    for i in range(first, last):
        trial[:] = theta[i]
        for m in range(len(normal)):
            factor, square = math.sqrt(df / chi[m]), 0.0
            for a in range(q):
                total = 0.0
                for b in range(a + 1):
                    total += roots[i, a, b] * normal[m, b]
                trial[random[a]] = modes[i, a] + factor * total
                square += (factor * normal[m, a]) ** 2
            here = solve_subject(address, i, trial, data, sigma, predicted, none, tolerance)
            here += _log_prior(trial, mean[i], precision, random, away)
            log_weight[i, m] = here + 0.5 * (df + q) * math.log1p(square / df)

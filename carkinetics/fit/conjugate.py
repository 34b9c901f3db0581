"""Draws given the subjects' values: coefficients, covariance and residual error (compiled)."""

from __future__ import annotations

import math

import numpy as np

from carkinetics.fit.chain import COVARIANCE, SIGMA, accept
from carkinetics.fit.rowwise import rows_log_likelihood
from carkinetics.fit.vector import LKJ_ETA, invert, set_covariance, sizes
from carkinetics.model.jit import compiled


@compiled()
def draw_coefficients(x, theta, precision, population):
    """Coefficients of the random parameters given the subjects' values: a conjugate regression."""
    c, d, q, n_correlations = sizes(population)
    n = len(theta)
    matrix, right = np.empty((c, c)), np.empty(c)
    for a in range(c):
        for b in range(c):
            matrix[a, b] = (
                population.mean_gram[a, b] * precision[population.mean_of[a], population.mean_of[b]]
            )
        spread = population.mean_spread[a] ** -2
        matrix[a, a] += spread
        right[a] = spread * population.mean_centre[a]
        for k in range(q):
            total = 0.0
            for i in range(n):
                total += population.mean_design[a, i] * theta[i, population.random[k]]
            right[a] += precision[population.mean_of[a], k] * total
    root = np.linalg.cholesky(matrix)
    for a in range(c):
        for b in range(a):
            right[a] -= root[a, b] * right[b]
        right[a] /= root[a, a]
    for a in range(c):
        right[a] += np.random.standard_normal()
    for a in range(c - 1, -1, -1):
        for b in range(a + 1, c):
            right[a] -= root[b, a] * right[b]
        right[a] /= root[a, a]
    x[:c] = right


@compiled()
def draw_covariance(x, theta, between, population, expected, record):
    """Covariance of the random effects given the subjects' values: inverse gamma and Wishart proposals."""
    c, d, q, n_correlations = sizes(population)
    n, b = len(theta), len(population.block)
    away, together = np.empty((n, q)), np.zeros(q, np.bool_)
    for i in range(n):
        for k in range(q):
            away[i, k] = theta[i, population.random[k]] - expected[i, k]
    for k in population.block:
        together[k] = True
    changed = False
    for k in range(q):
        if together[k] or n < 2:
            continue
        total = 0.0
        for i in range(n):
            total += away[i, k] * away[i, k]
        new = 0.5 * total / np.random.gamma(0.5 * (n - 1), 1.0)
        ratio = -0.5 * (new - between[k, k]) / population.omega_scale[k] ** 2
        record.proposed[COVARIANCE] += 1.0
        if new > 1e-300 and accept(ratio):
            record.accepted[COVARIANCE] += 1.0
            between[k, k] = new
            changed = True
    if b and n > b + 1 and draw_block(away, between, population, record):
        changed = True
    if changed:
        set_covariance(x, population, between)


@compiled()
def draw_block(away, between, population, record):
    """Covariance of the correlated effects by an inverse Wishart proposal; True where it was taken."""
    n, block = len(away), population.block
    b = len(block)
    scatter, w = np.zeros((b, b)), np.zeros((b, b))
    for g in range(b):
        for h in range(b):
            for i in range(n):
                scatter[g, h] += away[i, block[g]] * away[i, block[h]]
    record.proposed[COVARIANCE] += 1.0
    if not invert(scatter, w):
        return False
    w[:, :] = 0.0
    root = np.linalg.cholesky(scatter)
    for g in range(b):  # Bartlett: a Wishart matrix with n - 1 degrees of freedom is w w'
        w[g, g] = math.sqrt(2.0 * np.random.gamma(0.5 * (n - 1 - g), 1.0))
        for h in range(g):
            w[g, h] = np.random.standard_normal()
    half = np.ascontiguousarray(np.linalg.solve(w, np.ascontiguousarray(root.T)).T)
    new = half @ half.T
    old = np.empty((b, b))
    for g in range(b):
        for h in range(b):
            old[g, h] = between[block[g], block[h]]
    ratio = (LKJ_ETA - 1.0 + 0.5 * b) * (log_correlation(new) - log_correlation(old))
    for g in range(b):
        ratio -= 0.5 * (new[g, g] - old[g, g]) / population.omega_scale[block[g]] ** 2
    if not accept(ratio):
        return False
    record.accepted[COVARIANCE] += 1.0
    for g in range(b):
        for h in range(b):
            between[block[g], block[h]] = new[g, h]
    return True


@compiled()
def log_correlation(matrix):
    """Log determinant of the correlation matrix of a covariance."""
    total = math.log(np.linalg.det(matrix))
    for g in range(len(matrix)):
        total -= math.log(matrix[g, g])
    return total


@compiled()
def draw_sigma(adapt, gain, x, population, data, sigma, tuning, work, record):
    """Residual standard deviations given the predictions: random walks that need no solution."""
    c, d, q, n_correlations = sizes(population)
    pointer, _, output, kind, value, lower, above, numbers, sigma_at, _, _, _ = data
    n, start = len(pointer) - 1, c + d + q + n_correlations
    other = np.empty_like(sigma)
    for _ in range(2):
        k = int(np.random.random() * len(sigma))
        other[:] = sigma
        new = x[start + k] + math.exp(tuning.sigma_scale[k]) * np.random.standard_normal()
        other[k] = math.exp(new)
        ratio = new - x[start + k] - 0.5 * (other[k] ** 2 - sigma[k] ** 2) / population.sigma_scale[k] ** 2
        for i in range(n):
            work.log_likelihood2[i] = rows_log_likelihood(
                pointer[i],
                pointer[i + 1],
                work.predicted,
                output,
                kind,
                value,
                lower,
                above,
                numbers,
                sigma_at,
                other,
            )
            ratio += work.log_likelihood2[i] - work.log_likelihood[i]
        taken = accept(ratio)
        record.proposed[SIGMA] += 1.0
        if taken:
            record.accepted[SIGMA] += 1.0
            sigma[:] = other
            x[start + k] = new
            work.log_likelihood[:] = work.log_likelihood2
        if adapt:
            tuning.sigma_scale[k] += gain * ((1.0 if taken else 0.0) - 0.4)

"""The population vector: where its numbers stand, its prior, and what it says of the subjects (compiled).

``x`` holds, in this order, the coefficients of the random parameters, those of the common ones, log omega, the
correlations (inverse hyperbolic tangents of canonical partial correlations), log sigma and, where there are two classes
of subjects, the logit of the second one's share. ``mean_design`` holds each subject's class, 0 or 1, in the rows
``member``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from carkinetics.model.jit import QUICK, compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LKJ_ETA = 2.0


class Population(NamedTuple):
    """The prior and the design of a population, as compiled code takes them (see `carkinetics.fit.effects`)."""

    random: Ints
    common: Ints
    mean_of: Ints
    mean_design: Floats
    mean_centre: Floats
    mean_spread: Floats
    mean_gram: Floats
    shared_of: Ints
    shared_design: Floats
    shared_centre: Floats
    shared_spread: Floats
    omega_scale: Floats
    block: Ints
    sigma_scale: Floats
    member: Ints
    share: Floats


@compiled(fastmath=QUICK)
def sizes(population):
    """Numbers of mean coefficients, common coefficients, random effects and correlations."""
    c, d, q = len(population.mean_of), len(population.shared_of), len(population.random)
    b = len(population.block)
    return c, d, q, b * (b - 1) // 2


@compiled(fastmath=QUICK)
def covariance(x, population, between):
    """Covariance of the random effects; returns its log determinant."""
    c, d, q, n_correlations = sizes(population)
    between[:, :] = 0.0
    total, b = 0.0, len(population.block)
    for a in range(q):
        total += 2.0 * x[c + d + a]
        between[a, a] = math.exp(2.0 * x[c + d + a])
    if b:
        root, at = np.zeros((b, b)), c + d + q
        for i in range(b):
            left = 1.0
            for j in range(i):
                p = math.tanh(x[at])
                at += 1
                root[i, j] = p * math.sqrt(left)
                left *= 1.0 - p * p
            root[i, i] = math.sqrt(left)
            total += math.log(max(left, 1e-300))
        for i in range(b):
            for j in range(i):
                dot = 0.0
                for k in range(j + 1):
                    dot += root[i, k] * root[j, k]
                scale = math.exp(x[c + d + population.block[i]] + x[c + d + population.block[j]])
                between[population.block[i], population.block[j]] = dot * scale
                between[population.block[j], population.block[i]] = dot * scale
    return total


@compiled(fastmath=QUICK)
def set_covariance(x, population, between):
    """Write a covariance into the coordinates of ``x``."""
    c, d, q, n_correlations = sizes(population)
    for a in range(q):
        x[c + d + a] = 0.5 * math.log(between[a, a])
    b, at = len(population.block), c + d + q
    root = np.zeros((b, b))
    for i in range(b):
        left = 1.0
        for j in range(i):
            g, h = population.block[i], population.block[j]
            dot = between[g, h] / math.sqrt(between[g, g] * between[h, h])
            for k in range(j):
                dot -= root[i, k] * root[j, k]
            root[i, j] = dot / root[j, j]
            p = root[i, j] / math.sqrt(left)
            p = min(max(p, -1.0 + 1e-12), 1.0 - 1e-12)
            x[at] = math.atanh(p)
            at += 1
            left *= 1.0 - p * p
        root[i, i] = math.sqrt(max(left, 1e-300))


@compiled(fastmath=QUICK)
def invert(matrix, inverse):
    """Inverse of a positive definite matrix; False where it is not."""
    q = len(matrix)
    root = np.zeros((q, q))
    for a in range(q):
        for b in range(a + 1):
            total = matrix[a, b]
            for k in range(b):
                total -= root[a, k] * root[b, k]
            if a == b:
                if not (total > 1e-300):
                    return False
                root[a, a] = math.sqrt(total)
            else:
                root[a, b] = total / root[b, b]
    for c in range(q):
        for a in range(q):
            total = 1.0 if a == c else 0.0
            for k in range(a):
                total -= root[a, k] * inverse[k, c]
            inverse[a, c] = total / root[a, a]
        for a in range(q - 1, -1, -1):
            total = inverse[a, c]
            for k in range(a + 1, q):
                total -= root[k, a] * inverse[k, c]
            inverse[a, c] = total / root[a, a]
    return True


@compiled(fastmath=QUICK)
def log_prior(x, population):
    """Log prior density of the population vector, up to a constant."""
    c, d, q, n_correlations = sizes(population)
    total = 0.0
    for k in range(c):
        u = (x[k] - population.mean_centre[k]) / population.mean_spread[k]
        total -= 0.5 * u * u
    for k in range(d):
        u = (x[c + k] - population.shared_centre[k]) / population.shared_spread[k]
        total -= 0.5 * u * u
    for k in range(q):
        u = math.exp(x[c + d + k]) / population.omega_scale[k]
        total += x[c + d + k] - 0.5 * u * u
    b, at = len(population.block), c + d + q
    for i in range(b):
        for j in range(i):
            p = math.tanh(x[at])
            total += (LKJ_ETA + 0.5 * (b - 2 - j)) * math.log(max(1.0 - p * p, 1e-300))
            at += 1
    for k in range(len(population.sigma_scale)):
        u = math.exp(x[at + k]) / population.sigma_scale[k]
        total += x[at + k] - 0.5 * u * u
    if len(population.member):
        u = (x[-1] - population.share[0]) / population.share[1]
        total -= 0.5 * u * u
    return total


@compiled(fastmath=QUICK)
def log_classes(x, population):
    """Log probability of the subjects' classes at the share in ``x``; 0 without classes."""
    if not len(population.member):
        return 0.0
    total, row = 0.0, population.mean_design[population.member[0]]
    log_share, log_rest = -math.log1p(math.exp(-x[-1])), -math.log1p(math.exp(x[-1]))
    for i in range(len(row)):
        total += row[i] * log_share + (1.0 - row[i]) * log_rest
    return total


@compiled(fastmath=QUICK)
def expect(x, population, expected, common):
    """Expected random effects and common parameters of every subject."""
    c, d, q, n_correlations = sizes(population)
    expected[:, :] = 0.0
    common[:, :] = 0.0
    for k in range(c):
        for i in range(len(expected)):
            expected[i, population.mean_of[k]] += x[k] * population.mean_design[k, i]
    for k in range(d):
        for i in range(len(expected)):
            common[i, population.shared_of[k]] += x[c + k] * population.shared_design[k, i]


@compiled()
def sigmas(x, population, sigma):
    """Residual standard deviations of ``x``."""
    c, d, q, n_correlations = sizes(population)
    for k in range(len(sigma)):
        sigma[k] = math.exp(x[c + d + q + n_correlations + k])

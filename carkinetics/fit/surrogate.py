"""A Gaussian stand-in for each subject's likelihood, and the coordinates that it makes (compiled).

Given population values ``x``, subject i's stand-in and its random-effects distribution give a Gaussian with mean
``m`` and precision ``R R'``. The sampler moves in ``x`` and in ``e = R' (b - m)``: if the stand-in were right, the two
would be independent. Nothing is approximated by this: the difference between likelihood and stand-in is part of every
acceptance, so a poor stand-in costs speed and never truth. ``R`` is lower triangular, and its diagonal is kept as
reciprocals, because dividing is slow.

The population vector ``x`` holds, in this order, the coefficients of the random parameters, those of the common ones,
log omega, the correlations (inverse hyperbolic tangents of canonical partial correlations), and log sigma.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from carkinetics.model.jit import QUICK, compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
IMPOSSIBLE = -1e100
LKJ_ETA = 2.0
# The stand-in follows a common effect by a parabola up to this many standard deviations, and a line beyond.
STRAIGHT_BEYOND = 1.8


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


class Surrogate(NamedTuple):
    """Stand-ins of all subjects, around reference values, by output (q random, d common coefficients).

    ``information`` (n, k, q + d, q + d), ``slope`` (n, k, q + d) and ``offset`` (n, k) of the log-likelihood at
    ``centre`` (n, q) and ``shared`` (d,); ``exact`` (n, k) counts exact rows; ``power`` (k,) is 2 where the
    likelihood scales with ``sigma`` (k,) and 0 where it does not; ``bend`` (n, q, d) and ``whiten`` (d, d) describe
    how the modes bend with the common coefficients.
    """

    centre: Floats
    shared: Floats
    sigma: Floats
    sigma_at: Ints
    power: Floats
    information: Floats
    slope: Floats
    offset: Floats
    exact: Floats
    bend: Floats
    whiten: Floats


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
    return total


@compiled(fastmath=QUICK)
def weights(x, population, surrogate, weight, log_sigma):
    """How much each output's information counts at the present sigma, and the log of that sigma."""
    c, d, q, n_correlations = sizes(population)
    start = c + d + q + n_correlations
    for k in range(len(weight)):
        log_sigma[k] = x[start + surrogate.sigma_at[k]]
        weight[k] = (surrogate.sigma[k] / math.exp(log_sigma[k])) ** surrogate.power[k]


@compiled(fastmath=QUICK)
def bent(g):
    """Parabola near 0, straight beyond."""
    g = abs(g)
    return g * g if g < STRAIGHT_BEYOND else STRAIGHT_BEYOND * (2.0 * g - STRAIGHT_BEYOND)


@compiled(fastmath=QUICK)
def condition(i, shared, expected, precision, weight, log_sigma, surrogate, root, middle):
    """Gaussian of one subject: precision ``root root'`` and mean ``middle``; returns the log of its normaliser."""
    q, d = len(middle), len(shared)
    total, determinant = 0.0, 1.0
    for a in range(q):
        pull = 0.0
        for b in range(q):
            pull += precision[a, b] * (expected[b] - surrogate.centre[i, b])
        middle[a] = pull
        total -= 0.5 * pull * (expected[a] - surrogate.centre[i, a])
        for b in range(a + 1):
            root[a, b] = precision[a, b]
    for k in range(len(weight)):
        w = weight[k]
        for a in range(q):
            push = surrogate.slope[i, k, a]
            for f in range(d):
                push -= surrogate.information[i, k, a, q + f] * (shared[f] - surrogate.shared[f])
            middle[a] += w * push
            for b in range(a + 1):
                root[a, b] += w * surrogate.information[i, k, a, b]
        value = -surrogate.offset[i, k]
        for f in range(d):
            away = shared[f] - surrogate.shared[f]
            value += surrogate.slope[i, k, q + f] * away
            for g in range(d):
                value -= (
                    0.5 * away * surrogate.information[i, k, q + f, q + g] * (shared[g] - surrogate.shared[g])
                )
        total += w * value
        if surrogate.power[k] > 0.0:
            total -= surrogate.exact[i, k] * log_sigma[k]
    for j in range(d):
        g = 0.0
        for f in range(d):
            g += surrogate.whiten[j, f] * (shared[f] - surrogate.shared[f])
        for a in range(q):
            middle[a] += surrogate.bend[i, a, j] * bent(g)
    for a in range(q):
        for b in range(a + 1):
            value = root[a, b]
            for k in range(b):
                value -= root[a, k] * root[b, k]
            if a == b:
                root[a, a] = 1.0 / math.sqrt(max(value, 1e-12))
                determinant *= root[a, a]
            else:
                root[a, b] = value * root[b, b]
    total += math.log(determinant)
    for a in range(q):
        value = middle[a]
        for b in range(a):
            value -= root[a, b] * middle[b]
        middle[a] = value * root[a, a]
        total += 0.5 * middle[a] * middle[a]
    for a in range(q - 1, -1, -1):
        value = middle[a]
        for b in range(a + 1, q):
            value -= root[b, a] * middle[b]
        middle[a] = value * root[a, a]
    for a in range(q):
        middle[a] += surrogate.centre[i, a]
    return total


@compiled(fastmath=QUICK)
def stand_in(i, effect, shared, weight, log_sigma, surrogate):
    """Log of one subject's stand-in likelihood."""
    q, d = len(effect), len(shared)
    total = 0.0
    for k in range(len(weight)):
        value = -surrogate.offset[i, k]
        for a in range(q + d):
            away = effect[a] - surrogate.centre[i, a] if a < q else shared[a - q] - surrogate.shared[a - q]
            row = surrogate.slope[i, k, a] - 0.5 * surrogate.information[i, k, a, a] * away
            for b in range(a):
                other = (
                    effect[b] - surrogate.centre[i, b] if b < q else shared[b - q] - surrogate.shared[b - q]
                )
                row -= surrogate.information[i, k, a, b] * other
            value += row * away
        total += weight[k] * value
        if surrogate.power[k] > 0.0:
            total -= surrogate.exact[i, k] * log_sigma[k]
    for j in range(d):
        g = 0.0
        for f in range(d):
            g += surrogate.whiten[j, f] * (shared[f] - surrogate.shared[f])
        for a in range(q):
            total += surrogate.bend[i, a, j] * bent(g) * (effect[a] - surrogate.centre[i, a])
    return total


@compiled(fastmath=QUICK)
def to_effect(e, root, middle, effect):
    """Random effects from standardised coordinates: middle + root'⁻¹ e."""
    for a in range(len(e) - 1, -1, -1):
        value = e[a]
        for b in range(a + 1, len(e)):
            value -= root[b, a] * effect[b]
        effect[a] = value * root[a, a]
    for a in range(len(e)):
        effect[a] += middle[a]


@compiled(fastmath=QUICK)
def from_effect(effect, root, middle, e):
    """Standardised coordinates of random effects."""
    for a in range(len(e)):
        value = (effect[a] - middle[a]) / root[a, a]
        for b in range(a + 1, len(e)):
            value += root[b, a] * (effect[b] - middle[b])
        e[a] = value


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


@compiled(fastmath=QUICK)
def transport(x, population, surrogate, expected, common, weight, log_sigma, root, middle):
    """Coordinates of all subjects at ``x``; returns the log density of ``x`` under the stand-ins."""
    c, d, q, n_correlations = sizes(population)
    n = len(expected)
    between, precision = np.empty((q, q)), np.empty((q, q))
    log_determinant = covariance(x, population, between)
    if not invert(between, precision) or not math.isfinite(log_determinant):
        return IMPOSSIBLE
    expect(x, population, expected, common)
    weights(x, population, surrogate, weight, log_sigma)
    total = log_prior(x, population) - 0.5 * n * log_determinant
    shared = x[c : c + d]
    for i in range(n):
        total += condition(
            i, shared, expected[i], precision, weight, log_sigma, surrogate, root[i], middle[i]
        )
    return total if total > IMPOSSIBLE else IMPOSSIBLE

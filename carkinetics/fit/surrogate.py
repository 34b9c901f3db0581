"""A Gaussian stand-in for each subject's likelihood, and the coordinates that it makes (compiled).

Given population values ``x``, subject i's stand-in and its random-effects distribution give a Gaussian with mean
``m`` and precision ``R R'``. The sampler moves in ``x`` and in ``e = R' (b - m)``: if the stand-in were right, the two
would be independent. Nothing is approximated by this: the difference between likelihood and stand-in is part of every
acceptance, so a poor stand-in costs speed and never truth. ``R`` is lower triangular, and its diagonal is kept as
reciprocals, because dividing is slow.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from carkinetics.fit.vector import covariance, expect, invert, log_classes, log_prior, sizes
from carkinetics.model.jit import QUICK, compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
IMPOSSIBLE = -1e100
# The stand-in follows a common effect by a parabola up to this many standard deviations, and a line beyond.
STRAIGHT_BEYOND = 1.8


class Transposed(NamedTuple):
    """Parts of the stand-ins with the subjects on the last axis, so that one instruction serves several of them."""

    centre: Floats
    information: Floats
    slope: Floats
    offset: Floats
    exact: Floats
    bend: Floats


class Surrogate(NamedTuple):
    """Stand-ins of all subjects, around reference values, by output (q random, d common coefficients).

    ``information`` (n, k, q + d, q + d), ``slope`` (n, k, q + d) and ``offset`` (n, k) of the log-likelihood at
    ``centre`` (n, q) and ``shared`` (d,); ``exact`` (n, k) counts exact rows; ``power`` (k,) is 2 where the
    likelihood scales with ``sigma`` (k,) and 0 where it does not; ``bend`` (n, q, d) and ``whiten`` (d, d) describe
    how the modes bend with the common coefficients. ``by_subject`` holds the same numbers for loops over all subjects.
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
    by_subject: Transposed


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
def condition(shared, expected, precision, weight, log_sigma, surrogate, root, middle, each):
    """Gaussians of all subjects: precision ``root root'`` (q, q, n), mean ``middle`` (q, n), log normaliser ``each`` (n,).

    Every inner loop runs over subjects, which lie side by side: one instruction then serves several of them.
    """
    t = surrogate.by_subject
    q, n = middle.shape
    d = len(shared)
    for i in range(n):
        each[i] = 0.0
    for a in range(q):
        for i in range(n):
            middle[a, i] = 0.0
        for b in range(q):
            p = precision[a, b]
            for i in range(n):
                middle[a, i] += p * (expected[b, i] - t.centre[b, i])
        for i in range(n):
            each[i] -= 0.5 * middle[a, i] * (expected[a, i] - t.centre[a, i])
        for b in range(a + 1):
            p = precision[a, b]
            for i in range(n):
                root[a, b, i] = p
    for k in range(len(weight)):
        w = weight[k]
        for a in range(q):
            for i in range(n):
                middle[a, i] += w * t.slope[k, a, i]
            for f in range(d):
                away = w * (shared[f] - surrogate.shared[f])
                for i in range(n):
                    middle[a, i] -= away * t.information[k, a, q + f, i]
            for b in range(a + 1):
                for i in range(n):
                    root[a, b, i] += w * t.information[k, a, b, i]
        constant = log_sigma[k] if surrogate.power[k] > 0.0 else 0.0
        for i in range(n):
            each[i] -= w * t.offset[k, i] + constant * t.exact[k, i]
        for f in range(d):
            away = w * (shared[f] - surrogate.shared[f])
            for i in range(n):
                each[i] += away * t.slope[k, q + f, i]
            for g in range(d):
                both = 0.5 * away * (shared[g] - surrogate.shared[g])
                for i in range(n):
                    each[i] -= both * t.information[k, q + f, q + g, i]
    for j in range(d):
        g = 0.0
        for f in range(d):
            g += surrogate.whiten[j, f] * (shared[f] - surrogate.shared[f])
        g = bent(g)
        for a in range(q):
            for i in range(n):
                middle[a, i] += g * t.bend[a, j, i]
    factorise(root, middle, each)
    for a in range(q):
        for i in range(n):
            middle[a, i] += t.centre[a, i]


@compiled(fastmath=QUICK)
def factorise(root, middle, each):
    """Cholesky factors of all subjects in place, solutions for ``middle`` in place, and half the squared lengths."""
    q, n = middle.shape
    for a in range(q):
        for b in range(a + 1):
            for k in range(b):
                for i in range(n):
                    root[a, b, i] -= root[a, k, i] * root[b, k, i]
            if a == b:
                for i in range(n):
                    root[a, a, i] = 1.0 / math.sqrt(max(root[a, a, i], 1e-12))
            else:
                for i in range(n):
                    root[a, b, i] *= root[b, b, i]
    for i in range(n):
        determinant = 1.0
        for a in range(q):
            determinant *= root[a, a, i]
        each[i] += math.log(determinant)
    for a in range(q):
        for b in range(a):
            for i in range(n):
                middle[a, i] -= root[a, b, i] * middle[b, i]
        for i in range(n):
            middle[a, i] *= root[a, a, i]
            each[i] += 0.5 * middle[a, i] * middle[a, i]
    for a in range(q - 1, -1, -1):
        for b in range(a + 1, q):
            for i in range(n):
                middle[a, i] -= root[b, a, i] * middle[b, i]
        for i in range(n):
            middle[a, i] *= root[a, a, i]


@compiled(fastmath=QUICK)
def stand_in_all(effect, shared, weight, log_sigma, surrogate, found, row):
    """Log stand-in likelihoods of all subjects at once; ``effect`` (q, n), ``row`` (n,) is room to work in."""
    t = surrogate.by_subject
    q, n = effect.shape
    d = len(shared)
    for i in range(n):
        found[i] = 0.0
    for k in range(len(weight)):
        w = weight[k]
        constant = log_sigma[k] if surrogate.power[k] > 0.0 else 0.0
        for i in range(n):
            found[i] -= w * t.offset[k, i] + constant * t.exact[k, i]
        for a in range(q + d):
            for i in range(n):
                row[i] = t.slope[k, a, i]
            for b in range(a + 1):
                half = 0.5 if a == b else 1.0
                if b < q:
                    for i in range(n):
                        row[i] -= half * t.information[k, a, b, i] * (effect[b, i] - t.centre[b, i])
                else:
                    away = half * (shared[b - q] - surrogate.shared[b - q])
                    for i in range(n):
                        row[i] -= away * t.information[k, a, b, i]
            if a < q:
                for i in range(n):
                    found[i] += w * row[i] * (effect[a, i] - t.centre[a, i])
            else:
                away = w * (shared[a - q] - surrogate.shared[a - q])
                for i in range(n):
                    found[i] += away * row[i]
    for j in range(d):
        g = 0.0
        for f in range(d):
            g += surrogate.whiten[j, f] * (shared[f] - surrogate.shared[f])
        g = bent(g)
        for a in range(q):
            for i in range(n):
                found[i] += g * t.bend[a, j, i] * (effect[a, i] - t.centre[a, i])


@compiled(fastmath=QUICK)
def to_effect_all(e, root, middle, effect):
    """Random effects of all subjects from standardised coordinates; all (q, n)."""
    q, n = e.shape
    for a in range(q - 1, -1, -1):
        for i in range(n):
            effect[a, i] = e[a, i]
        for b in range(a + 1, q):
            for i in range(n):
                effect[a, i] -= root[b, a, i] * effect[b, i]
        for i in range(n):
            effect[a, i] *= root[a, a, i]
    for a in range(q):
        for i in range(n):
            effect[a, i] += middle[a, i]


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
def transport(x, population, surrogate, expected, common, weight, log_sigma, root, middle, each):
    """Coordinates of all subjects at ``x``; returns the log density of ``x`` under the stand-ins."""
    c, d, q, n_correlations = sizes(population)
    n = len(expected)
    between, precision = np.empty((q, q)), np.empty((q, q))
    log_determinant = covariance(x, population, between)
    if not invert(between, precision) or not math.isfinite(log_determinant):
        return IMPOSSIBLE
    expect(x, population, expected, common)
    weights(x, population, surrogate, weight, log_sigma)
    turned = np.empty((q, n))
    for a in range(q):
        for i in range(n):
            turned[a, i] = expected[i, a]
    condition(x[c : c + d], turned, precision, weight, log_sigma, surrogate, root, middle, each)
    total = log_prior(x, population) + log_classes(x, population) - 0.5 * n * log_determinant
    for i in range(n):
        total += each[i]
    return total if total > IMPOSSIBLE else IMPOSSIBLE


def complete(surrogate: Surrogate) -> Surrogate:
    """The same stand-ins with their transposed copies made anew.

    Parameters
    ----------
    surrogate : Surrogate
        Whose other parts count.

    Returns
    -------
    Surrogate
        Ready for compiled loops.
    """

    def last(array: Floats) -> Floats:
        return np.ascontiguousarray(np.moveaxis(array, 0, -1))

    parts = (getattr(surrogate, name) for name in Transposed._fields)
    return surrogate._replace(by_subject=Transposed(*map(last, parts)))

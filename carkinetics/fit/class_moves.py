"""Updates of the subjects' classes, where there are two, and of the second one's share (compiled).

A class is a covariate, 0 or 1, in the rows ``member`` of the design. It is drawn given the subject's values; and,
because values that the data hardly determine would keep it in its place, also proposed with the standardised values
held: then the subject's values follow the class.
"""

from __future__ import annotations

import math

import numpy as np

from carkinetics.fit.chain import CLASS, accept, likelihood
from carkinetics.fit.modes import WORST
from carkinetics.fit.subject_moves import own_coordinates
from carkinetics.fit.surrogate import condition, stand_in, to_effect
from carkinetics.fit.vector import expect, sizes
from carkinetics.model.jit import compiled


@compiled()
def class_shift(x, population):
    """What the second class adds to the random effects."""
    shift = np.zeros(len(population.random))
    for k in population.member:
        shift[population.mean_of[k]] += x[k]
    return shift


@compiled()
def log_ratio_of_classes(i, theta, expected, precision, shift, present, population):
    """Log density of one subject's random effects under the second class, less that under the first."""
    total, q = 0.0, len(shift)
    for a in range(q):
        for b in range(q):
            middle = expected[i, b] + (0.5 - present) * shift[b]
            total += shift[a] * precision[a, b] * (theta[i, population.random[b]] - middle)
    return total


@compiled()
def draw_classes(x, theta, precision, population, expected):
    """Classes given the subjects' values, and the share given the classes."""
    shift, row = class_shift(x, population), population.mean_design[population.member[0]]
    n, members = len(theta), 0.0
    for i in range(n):
        odds = x[-1] + log_ratio_of_classes(i, theta, expected, precision, shift, row[i], population)
        new = 1.0 if np.random.random() * (1.0 + math.exp(-odds)) < 1.0 else 0.0
        for k in population.member:
            population.mean_design[k, i] = new
        members += new
    draw_share(x, members, n, population)


@compiled()
def draw_share(x, members, n, population):
    """A beta proposal for the share; the prior of its logit decides."""
    s = np.random.beta(members + 0.5, n - members + 0.5)
    if not 0.0 < s < 1.0:
        return
    new, old = math.log(s) - math.log1p(-s), x[-1]
    ratio = 0.0
    for u, sign in ((new, 1.0), (old, -1.0)):
        away = (u - population.share[0]) / population.share[1]
        # The proposal has half a subject of each class too many.
        ratio += sign * (-0.5 * away * away + 0.5 * math.log1p(math.exp(-u)) + 0.5 * math.log1p(math.exp(u)))
    if accept(ratio):
        x[-1] = new


@compiled()
def flip_classes(
    address, x, theta, precision, population, surrogate, data, sigma, tolerance, work, record, trial
):
    """Propose the other class for every subject at fixed standardised values."""
    c, d, q, n_correlations = sizes(population)
    n, shared, shift = len(theta), x[c : c + d], class_shift(x, population)
    row = population.mean_design[population.member[0]].copy()
    here, there = np.empty((q, n)), np.empty((q, n))
    for i in range(n):
        for a in range(q):
            here[a, i] = work.expected[i, a]
            there[a, i] = work.expected[i, a] + (1.0 - 2.0 * row[i]) * shift[a]
    present, other, effect = np.empty(n), np.empty(n), np.empty(q)
    condition(
        shared, here, precision, work.weight, work.log_sigma, surrogate, work.root, work.middle, present
    )
    condition(
        shared, there, precision, work.weight, work.log_sigma, surrogate, work.root2, work.middle2, other
    )
    for i in range(n):
        own_coordinates(i, work.root2, work.middle2, work)
        to_effect(work.e[i], work.own_root, work.own_middle, effect)
        trial[:] = theta[i]
        for a in range(q):
            trial[population.random[a]] = effect[a]
        new = likelihood(address, i, trial, data, sigma, work.predicted2, tolerance, work, record)
        record.proposed[CLASS] += 1.0
        if new == WORST:
            continue
        instead = stand_in(i, effect, shared, work.weight, work.log_sigma, surrogate)
        ratio = (1.0 - 2.0 * row[i]) * x[-1] + other[i] - present[i]
        ratio += (new - instead) - (work.log_likelihood[i] - work.log_stand_in[i])
        if accept(ratio):
            record.accepted[CLASS] += 1.0
            a, b = data[0][i], data[0][i + 1]
            theta[i] = trial
            work.log_likelihood[i], work.log_stand_in[i] = new, instead
            work.predicted[a:b] = work.predicted2[a:b]
            for k in population.member:
                population.mean_design[k, i] = 1.0 - row[i]


@compiled()
def after_classes(x, population, work, record):
    """Everything that follows from the classes: the design's products, expected values, counts."""
    for k in population.member:
        for j in range(len(population.mean_of)):
            total = 0.0
            for i in range(population.mean_design.shape[1]):
                total += population.mean_design[k, i] * population.mean_design[j, i]
            population.mean_gram[k, j] = total
            population.mean_gram[j, k] = total
    expect(x, population, work.expected, work.common)
    for i in range(len(record.member)):
        record.member[i] += population.mean_design[population.member[0], i]

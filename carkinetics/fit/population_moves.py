"""Moves of population values at fixed standardised subjects (compiled)."""

from __future__ import annotations

import math

import numpy as np

from carkinetics.fit.chain import POPULATION_AR, POPULATION_WALK, accept, likelihood
from carkinetics.fit.modes import WORST
from carkinetics.fit.surrogate import IMPOSSIBLE, stand_in_all, to_effect_all, transport
from carkinetics.fit.vector import sigmas, sizes
from carkinetics.model.jit import compiled


@compiled()
def propose_population(chosen, autoregressive, scale, x, tuning, proposal):
    """A new population vector on the move's own scale; returns the log of the proposal's ratio, or -inf."""
    n = len(x)
    size = tuning.set_sizes[chosen]
    members, root = tuning.sets[chosen], tuning.root[chosen]
    u, w, ratio = np.empty(n), np.empty(n), 0.0
    for k in range(n):
        u[k] = math.exp(tuning.power[k] * x[k]) if tuning.power[k] > 0.0 else x[k]
        proposal[k] = u[k]
    if autoregressive:
        keep = math.sqrt(1.0 - scale * scale)
        middle = np.empty(n)
        for a in range(size):
            middle[a] = tuning.middle[members[a]]
            for k in range(n):
                middle[a] -= tuning.gain[chosen, a, k] * (u[k] - tuning.middle[k])
        for a in range(size):
            value = u[members[a]] - middle[a]
            for b in range(a):
                value -= root[a, b] * w[b]
            w[a] = value / root[a, a]
        for a in range(size):
            ratio -= 0.5 * w[a] * w[a]
            w[a] = keep * w[a] + scale * np.random.standard_normal()
            ratio += 0.5 * w[a] * w[a]
        for a in range(size):
            value = middle[a]
            for b in range(a + 1):
                value += root[a, b] * w[b]
            proposal[members[a]] = value
    else:
        for a in range(size):
            w[a] = scale * np.random.standard_normal()
        for a in range(size):
            for b in range(a + 1):
                proposal[members[a]] += root[a, b] * w[b]
    for k in range(n):
        if tuning.power[k] > 0.0:
            if proposal[k] <= 0.0:
                return -math.inf
            proposal[k] = math.log(proposal[k]) / tuning.power[k]
            ratio += tuning.power[k] * (x[k] - proposal[k])
    return ratio


@compiled()
def move_population(address, adapt, gain, x, log_density, theta, population, surrogate, data, sigma, tolerance, tuning,
                    work, record, proposal, trial):  # fmt: skip
    """Move a set of population values at fixed standardised subjects; returns the log density of ``x``."""
    c, d, q, n_correlations = sizes(population)
    n = len(theta)
    chosen, u = 0, np.random.random()
    while chosen < len(tuning.set_sizes) - 1 and u > tuning.set_weights[chosen]:
        u -= tuning.set_weights[chosen]
        chosen += 1
    autoregressive = np.random.random() < 0.5
    kind = POPULATION_AR if autoregressive else POPULATION_WALK
    step = 0 if autoregressive else 1
    scale = math.exp(tuning.set_scale[chosen, step])
    shorter = np.random.random() < 0.4  # now and then a shorter step, for narrow places
    if shorter:
        scale *= 10.0 ** -np.random.random()
    if autoregressive:
        scale = min(scale, 1.0)
    ratio = propose_population(chosen, autoregressive, scale, x, tuning, proposal)
    record.proposed[kind] += 1.0
    log_ratio, there = -math.inf, IMPOSSIBLE
    expected, common = np.empty_like(work.expected), np.empty_like(work.common)
    weight, log_sigma = np.empty_like(work.weight), np.empty_like(work.log_sigma)
    sigma2 = np.empty_like(sigma)
    if ratio > -math.inf:
        there = transport(
            proposal,
            population,
            surrogate,
            expected,
            common,
            weight,
            log_sigma,
            work.root2,
            work.middle2,
            work.each,
        )
        if there > IMPOSSIBLE:
            sigmas(proposal, population, sigma2)
            total = 0.0
            for i in range(n):
                for k in range(q):
                    work.effect2[k, i] = work.e[i, k]
            to_effect_all(work.effect2, work.root2, work.middle2, work.effect2)
            stand_in_all(
                work.effect2, proposal[c : c + d], weight, log_sigma, surrogate, work.log_stand_in2, work.row
            )
            for i in range(n):
                for k in range(q):
                    work.theta2[i, population.random[k]] = work.effect2[k, i]
                for k in range(len(population.common)):
                    work.theta2[i, population.common[k]] = common[i, k]
                new = likelihood(
                    address, i, work.theta2[i], data, sigma2, work.predicted2, tolerance, work, record
                )
                work.log_likelihood2[i] = new
                if new == WORST:
                    total = -math.inf
                    break
                total += (new - work.log_stand_in2[i]) - (work.log_likelihood[i] - work.log_stand_in[i])
            log_ratio = there - log_density + ratio + total
        if accept(log_ratio):
            record.accepted[kind] += 1.0
            x[:] = proposal
            sigma[:] = sigma2
            theta[:, :] = work.theta2
            work.log_likelihood[:] = work.log_likelihood2
            work.log_stand_in[:] = work.log_stand_in2
            work.expected[:, :] = expected
            work.common[:, :] = common
            work.weight[:] = weight
            work.log_sigma[:] = log_sigma
            work.root[:, :, :] = work.root2
            work.middle[:, :] = work.middle2
            work.predicted[:] = work.predicted2
            log_density = there
    if adapt and not shorter:
        chance = math.exp(min(0.0, log_ratio)) if log_ratio == log_ratio else 0.0
        top = 0.0 if autoregressive else 1.5
        tuning.set_scale[chosen, step] = min(top, tuning.set_scale[chosen, step] + gain * (chance - 0.3))
    return log_density

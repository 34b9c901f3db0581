"""Updates of one subject at fixed population values: proposals, walks, and jumps between modes (compiled)."""

from __future__ import annotations

import math

import numpy as np

from carkinetics.fit.chain import DF, JUMP, SUBJECT, WALK, accept, heavy_tail, likelihood
from carkinetics.fit.surrogate import from_effect, stand_in, to_effect
from carkinetics.fit.vector import sizes
from carkinetics.model.jit import compiled


@compiled()
def own_coordinates(i, root, middle, work):
    """Copy one subject's coordinates from the tables of all."""
    q = len(work.own_middle)
    for a in range(q):
        work.own_middle[a] = middle[a, i]
        for b in range(a + 1):
            work.own_root[a, b] = root[a, b, i]


@compiled()
def move_subject(address, i, repeats, adapt, gain, x, theta, population, surrogate, data, sigma, tolerance, tuning, work,
                 record, trial, proposal):  # fmt: skip
    """Student t independence proposals and random walks of one subject in its standardised coordinates."""
    c, d, q, n_correlations = sizes(population)
    a, b = data[0][i], data[0][i + 1]
    shared, e = x[c : c + d], work.e[i]
    trial[:] = theta[i]
    effect = np.empty(q)
    for repeat in range(repeats):
        kind = SUBJECT if repeat % 2 == 0 else WALK
        old, new = 0.0, 0.0
        if kind == SUBJECT:
            spread = heavy_tail()
            for k in range(q):
                proposal[k] = spread * np.random.standard_normal()
        else:
            spread = math.exp(tuning.subject_scale[i])
            for k in range(q):
                proposal[k] = e[k] + spread * np.random.standard_normal()
        for k in range(q):
            old += e[k] * e[k]
            new += proposal[k] * proposal[k]
        ratio = -0.5 * (new - old)
        if kind == SUBJECT:
            ratio += 0.5 * (DF + q) * (math.log1p(new / DF) - math.log1p(old / DF))
        to_effect(proposal, work.own_root, work.own_middle, effect)
        for k in range(q):
            trial[population.random[k]] = effect[k]
        there = likelihood(address, i, trial, data, sigma, work.predicted2, tolerance, work, record)
        instead = stand_in(i, effect, shared, work.weight, work.log_sigma, surrogate)
        ratio += (there - instead) - (work.log_likelihood[i] - work.log_stand_in[i])
        taken = accept(ratio)
        record.proposed[kind] += 1.0
        if taken:
            record.accepted[kind] += 1.0
            record.subject_accepted[i] += 1.0
            work.log_likelihood[i], work.log_stand_in[i] = there, instead
            e[:] = proposal
            theta[i] = trial
            work.predicted[a:b] = work.predicted2[a:b]
        if adapt and kind == WALK:
            tuning.subject_scale[i] += 2.0 * gain * ((1.0 if taken else 0.0) - 0.3)


@compiled()
def mixture(i, effect, tuning, q, e):
    """Density of the mixture of Student t around a subject's modes, up to a constant."""
    total = 0.0
    for m in range(tuning.n_modes[i]):
        from_effect(effect, tuning.mode_root[i, m], tuning.mode[i, m], e)
        square = 0.0
        for k in range(q):
            square += e[k] * e[k]
        total += math.exp(tuning.mode_weight[i, m] - 0.5 * (DF + q) * math.log1p(square / DF))
    return total


@compiled()
def jump_subject(address, i, x, theta, precision, population, surrogate, data, sigma, tolerance, tuning, work, record,
                 trial, proposal):  # fmt: skip
    """Jump between the modes of a subject that has several."""
    c, d, q, n_correlations = sizes(population)
    a, b = data[0][i], data[0][i + 1]
    chosen, spread = int(np.random.random() * tuning.n_modes[i]), heavy_tail()
    for k in range(q):
        proposal[k] = spread * np.random.standard_normal()
    effect, present = np.empty(q), np.empty(q)
    to_effect(proposal, tuning.mode_root[i, chosen], tuning.mode[i, chosen], effect)
    trial[:] = theta[i]
    for k in range(q):
        present[k] = theta[i, population.random[k]]
        trial[population.random[k]] = effect[k]
    there = likelihood(address, i, trial, data, sigma, work.predicted2, tolerance, work, record)
    ratio = there - work.log_likelihood[i]
    ratio += math.log(mixture(i, present, tuning, q, proposal) + 1e-300)
    ratio -= math.log(mixture(i, effect, tuning, q, proposal) + 1e-300)
    for k in range(q):
        for m in range(q):
            new = (effect[k] - work.expected[i, k]) * (effect[m] - work.expected[i, m])
            old = (present[k] - work.expected[i, k]) * (present[m] - work.expected[i, m])
            ratio -= 0.5 * precision[k, m] * (new - old)
    record.proposed[JUMP] += 1.0
    if accept(ratio):
        record.accepted[JUMP] += 1.0
        theta[i] = trial
        work.log_likelihood[i] = there
        work.predicted[a:b] = work.predicted2[a:b]
        from_effect(effect, work.own_root, work.own_middle, work.e[i])
        work.log_stand_in[i] = stand_in(i, effect, x[c : c + d], work.weight, work.log_sigma, surrogate)

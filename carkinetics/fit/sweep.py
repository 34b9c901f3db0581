"""One sweep after another of the structured sampler (compiled): subjects, population, and what is conjugate.

See `carkinetics.fit.surrogate` for the coordinates. A sweep updates every subject at fixed population values, moves
the population at fixed standardised subjects, and then draws coefficients, covariance and residual error given the
subjects' values. Every update leaves the posterior of the PyMC model invariant.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from carkinetics.fit.modes import WORST, solve_subject
from carkinetics.fit.rowwise import rows_log_likelihood
from carkinetics.fit.surrogate import (
    IMPOSSIBLE,
    LKJ_ETA,
    covariance,
    expect,
    from_effect,
    invert,
    log_prior,
    set_covariance,
    sizes,
    stand_in,
    stand_in_all,
    to_effect,
    to_effect_all,
    transport,
)
from carkinetics.model.compile import borrowed
from carkinetics.model.jit import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
DF = 6  # of the Student t proposals: tails a little heavier than the posterior's
SUBJECT, WALK, POPULATION_AR, POPULATION_WALK, SIGMA, JUMP, COVARIANCE, N_MOVES = 0, 1, 2, 3, 4, 5, 6, 7


class Tuning(NamedTuple):
    """Everything that warm-up adapts.

    ``sets`` (n_sets, n) lists the coordinates of each population move, ``set_sizes`` and ``set_weights`` (n_sets,)
    their numbers and how often they are chosen; ``middle`` (n,), ``gain`` and ``root`` (n_sets, n, n) their conditional
    means and Cholesky factors on the move's scale; ``power`` (n,) the Box-Cox power of a log standard deviation, 0 for
    its log. ``set_scale`` (n_sets, 2), ``sigma_scale`` (n_sigma,) and ``subject_scale`` (n_subject,) are log step sizes.
    ``n_modes`` (n_subject,), ``mode``, ``mode_root`` and ``mode_weight`` hold the modes of subjects with several.
    """

    sets: Ints
    set_sizes: Ints
    set_weights: Floats
    middle: Floats
    gain: Floats
    root: Floats
    power: Floats
    set_scale: Floats
    sigma_scale: Floats
    subject_scale: Floats
    n_modes: Ints
    mode: Floats
    mode_root: Floats
    mode_weight: Floats


class Record(NamedTuple):
    """What a run leaves: kept draws, moments of the standardised subjects, counts of proposals and acceptances."""

    x: Floats
    effect: Floats
    log_likelihood: Floats
    log_posterior: Floats
    first: Floats
    second: Floats
    with_shared: Floats
    proposed: Floats
    accepted: Floats
    subject_accepted: Floats
    failed: Ints
    failed_at: Floats


class Workspace(NamedTuple):
    """Present values of one chain, and room for a proposal."""

    e: Floats
    log_likelihood: Floats
    log_stand_in: Floats
    expected: Floats
    common: Floats
    weight: Floats
    log_sigma: Floats
    root: Floats
    middle: Floats
    predicted: Floats
    theta2: Floats
    log_likelihood2: Floats
    log_stand_in2: Floats
    root2: Floats
    middle2: Floats
    predicted2: Floats
    nothing: Floats
    each: Floats
    own_root: Floats
    own_middle: Floats
    effect2: Floats
    row: Floats


@compiled()
def likelihood(address, i, theta, data, sigma, predicted, tolerance, work, record):
    """Log-likelihood of one subject; equations that could not be solved are counted and named."""
    total = solve_subject(address, i, theta, data, sigma, predicted, work.nothing, tolerance)
    if total == WORST:
        if record.failed[i] == 0:
            record.failed_at[i] = theta
        record.failed[i] += 1
    return total


@compiled()
def sigmas(x, population, sigma):
    """Residual standard deviations of ``x``."""
    c, d, q, n_correlations = sizes(population)
    for k in range(len(sigma)):
        sigma[k] = math.exp(x[c + d + q + n_correlations + k])


@compiled()
def accept(log_ratio):
    """Metropolis's choice; a ratio that is no number is refused."""
    return log_ratio >= 0.0 or np.random.random() < math.exp(log_ratio)


@compiled()
def heavy_tail():
    """Factor that makes normal numbers Student t with DF degrees of freedom (chi-squared by its even-df form)."""
    product = 1.0
    for _ in range(DF // 2):
        product *= 1.0 - np.random.random()
    return math.sqrt(DF / max(-2.0 * math.log(product), 1e-300))


@compiled()
def own_coordinates(i, work):
    """Copy one subject's coordinates from the table of all."""
    q = len(work.own_middle)
    for a in range(q):
        work.own_middle[a] = work.middle[a, i]
        for b in range(a + 1):
            work.own_root[a, b] = work.root[a, b, i]


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


@compiled()
def log_effects(theta, expected, precision, log_determinant, population):
    """Log density of all random effects, up to a constant."""
    q, total = len(population.random), -0.5 * len(theta) * log_determinant
    for i in range(len(theta)):
        for a in range(q):
            for b in range(q):
                left = theta[i, population.random[a]] - expected[i, a]
                right = theta[i, population.random[b]] - expected[i, b]
                total -= 0.5 * left * precision[a, b] * right
    return total


@compiled()
def run_chain(address, x, theta, sweeps, every, repeats, adapt, seed, population, surrogate, data, tolerance, tuning, work,
              record):  # fmt: skip
    """Many sweeps of one chain, in place.

    Parameters
    ----------
    address : int
        Kernel of values.
    x, theta : ndarray
        Present population vector and all subjects' free parameters.
    sweeps, every : int
        How many sweeps, and after how many one is kept.
    repeats : int
        Updates of every subject in a sweep.
    adapt : bool
        Whether step sizes are tuned.
    seed : int
        Of this thread's random numbers.
    population, surrogate, data, tolerance, tuning, work, record
        See their types.
    """
    np.random.seed(seed)
    x, theta, population, surrogate = borrowed(x), borrowed(theta), borrowed(population), borrowed(surrogate)
    data, tuning, work, record = borrowed(data), borrowed(tuning), borrowed(work), borrowed(record)
    c, d, q, n_correlations = sizes(population)
    n, n_free = theta.shape
    sigma, trial, proposal = np.empty(len(population.sigma_scale)), np.empty(n_free), np.empty(q)
    between, precision, new = np.empty((q, q)), np.empty((q, q)), np.empty(len(x))
    effect = np.empty(q)
    sigmas(x, population, sigma)
    expect(x, population, work.expected, work.common)
    for i in range(n):
        for k in range(len(population.common)):
            theta[i, population.common[k]] = work.common[i, k]
        work.log_likelihood[i] = likelihood(
            address, i, theta[i], data, sigma, work.predicted, tolerance, work, record
        )
    for sweep in range(sweeps):
        gain = 1.0 / (1.0 + sweep) ** 0.6
        log_determinant = covariance(x, population, between)
        invert(between, precision)
        log_density = transport(
            x,
            population,
            surrogate,
            work.expected,
            work.common,
            work.weight,
            work.log_sigma,
            work.root,
            work.middle,
            work.each,
        )
        for i in range(n):
            for k in range(q):
                effect[k] = theta[i, population.random[k]]
            own_coordinates(i, work)
            from_effect(effect, work.own_root, work.own_middle, work.e[i])
            work.log_stand_in[i] = stand_in(i, effect, x[c : c + d], work.weight, work.log_sigma, surrogate)
            move_subject(
                address, i, repeats, adapt, gain, x, theta, population, surrogate, data, sigma, tolerance, tuning, work,
                record, trial, proposal,
            )  # fmt: skip
            if tuning.n_modes[i] > 1:
                jump_subject(
                    address, i, x, theta, precision, population, surrogate, data, sigma, tolerance, tuning, work, record,
                    trial, proposal,
                )  # fmt: skip
            for a in range(q):
                record.first[i, a] += work.e[i, a]
                for b in range(q):
                    record.second[i, a, b] += work.e[i, a] * work.e[i, b]
                for f in range(d):
                    record.with_shared[i, a, f] += work.e[i, a] * (x[c + f] - surrogate.shared[f])
        for _ in range(2):
            log_density = move_population(
                address, adapt, gain, x, log_density, theta, population, surrogate, data, sigma, tolerance, tuning, work,
                record, new, trial,
            )  # fmt: skip
        if q:
            covariance(x, population, between)
            invert(between, precision)
            draw_coefficients(x, theta, precision, population)
            expect(x, population, work.expected, work.common)
            draw_covariance(x, theta, between, population, work.expected, record)
        draw_sigma(adapt, gain, x, population, data, sigma, tuning, work, record)
        if (sweep + 1) % every == 0:
            at = (sweep + 1) // every - 1
            log_determinant = covariance(x, population, between)
            invert(between, precision)
            record.x[at] = x
            for i in range(n):
                for k in range(q):
                    record.effect[at, i, k] = theta[i, population.random[k]]
            record.log_likelihood[at] = work.log_likelihood.sum()
            record.log_posterior[at] = record.log_likelihood[at] + log_effects(
                theta, work.expected, precision, log_determinant, population
            )
            record.log_posterior[at] += log_prior(x, population)


@compiled()
def log_posterior(address, x, effect, population, data, tolerance):
    """Log posterior density of a population vector and all subjects' random effects, up to a constant.

    The density that `run_chain` leaves invariant; a test holds it equal to the PyMC model's.
    """
    c, d, q, n_correlations = sizes(population)
    n = len(effect)
    expected, common = np.empty((n, q)), np.empty((n, len(population.common)))
    between, precision = np.empty((q, q)), np.empty((q, q))
    log_determinant = covariance(x, population, between)
    invert(between, precision)
    expect(x, population, expected, common)
    sigma, theta = np.empty(len(population.sigma_scale)), np.empty((n, q + len(population.common)))
    sigmas(x, population, sigma)
    predicted = np.empty(len(data[1]))
    nothing, total = np.empty((len(data[1]), 0)), log_prior(x, population)
    for i in range(n):
        for k in range(q):
            theta[i, population.random[k]] = effect[i, k]
        for k in range(len(population.common)):
            theta[i, population.common[k]] = common[i, k]
        total += solve_subject(address, i, theta[i], data, sigma, predicted, nothing, tolerance)
    return total + log_effects(theta, expected, precision, log_determinant, population)

"""One sweep after another of the structured sampler (compiled): subjects, population, and what is conjugate.

See `carkinetics.fit.surrogate` for the coordinates. A sweep updates every subject at fixed population values, moves
the population at fixed standardised subjects, and then draws coefficients, covariance and residual error given the
subjects' values. Every update leaves the posterior of the PyMC model invariant.
"""

from __future__ import annotations

import math

import numpy as np

from carkinetics.fit.chain import likelihood
from carkinetics.fit.class_moves import (
    after_classes,
    class_shift,
    draw_classes,
    flip_classes,
    log_ratio_of_classes,
)
from carkinetics.fit.conjugate import draw_coefficients, draw_covariance, draw_sigma
from carkinetics.fit.modes import solve_subject
from carkinetics.fit.population_moves import move_population
from carkinetics.fit.subject_moves import jump_subject, move_subject, own_coordinates
from carkinetics.fit.surrogate import from_effect, stand_in, transport
from carkinetics.fit.vector import covariance, expect, invert, log_prior, sigmas, sizes
from carkinetics.model.compile import borrowed
from carkinetics.model.jit import compiled


@compiled()
def log_effects(x, theta, expected, precision, log_determinant, population):
    """Log density of all random effects, up to a constant; summed over the classes where there are two."""
    q, total, two = len(population.random), -0.5 * len(theta) * log_determinant, len(population.member) > 0
    shift = class_shift(x, population)
    for i in range(len(theta)):
        for a in range(q):
            for b in range(q):
                left = theta[i, population.random[a]] - expected[i, a]
                right = theta[i, population.random[b]] - expected[i, b]
                total -= 0.5 * left * precision[a, b] * right
        if two:
            present = population.mean_design[population.member[0], i]
            odds = log_ratio_of_classes(i, theta, expected, precision, shift, present, population)
            # To the density of the first class, then over both.
            total -= present * odds + math.log1p(math.exp(x[-1])) - np.logaddexp(0.0, x[-1] + odds)
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
            own_coordinates(i, work.root, work.middle, work)
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
            if len(population.member):
                flip_classes(
                    address,
                    x,
                    theta,
                    precision,
                    population,
                    surrogate,
                    data,
                    sigma,
                    tolerance,
                    work,
                    record,
                    trial,
                )
                expect(x, population, work.expected, work.common)
                draw_classes(x, theta, precision, population, work.expected)
                after_classes(x, population, work, record)
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
                x, theta, work.expected, precision, log_determinant, population
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
    return total + log_effects(x, theta, expected, precision, log_determinant, population)

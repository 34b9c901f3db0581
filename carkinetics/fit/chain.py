"""What a chain of the structured sampler carries: tuning, records, room to work in; and parts that all moves use (compiled)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from carkinetics.fit.modes import WORST, solve_subject
from carkinetics.model.jit import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
DF = 6  # of the Student t proposals: tails a little heavier than the posterior's
SUBJECT, WALK, POPULATION_AR, POPULATION_WALK, SIGMA, JUMP, COVARIANCE, CLASS, N_MOVES = (
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
)


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
    """What a run leaves: kept draws, moments of the standardised subjects, counts of classes, proposals, acceptances."""

    x: Floats
    effect: Floats
    log_likelihood: Floats
    log_posterior: Floats
    first: Floats
    second: Floats
    with_shared: Floats
    member: Floats
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

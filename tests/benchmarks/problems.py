"""The benchmark problems: simulated data and priors that every engine reads from here.

=======  ==============================================================  ==================================
problem  model                                                           data
=======  ==============================================================  ==================================
P1       piecewise closed form (Stein 2019), 6 random effects            17 planned samples, M3 below LLOQ
P2       effector, memory and tumour ODE, 5 random and 3 fixed effects   12 samples, tumour in every second
sparse   as P1, levels 4.5 times lower                                   5 samples, the first on day 7
=======  ==============================================================  ==================================

Conventions
-----------
Time is in days since infusion, values are natural logarithms, and a censored value stands at the limit.
Individual and typical parameters are on the free scale: logarithms, and the logit for ``fb``. The order
of the random numbers is part of the problem: numbers measured at one N and seed stay comparable.

References
----------
.. [1] Stein AM et al. CPT Pharmacometrics Syst Pharmacol 2019;8:285-295 (closed form of P1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

Array = np.ndarray
Priors = Mapping[str, Mapping[str, Any]]

# --- P1 and sparse: typical values, spread and residual error that the data are drawn with
P1_RANDOM = ("cmax", "tmax", "doubling", "half_life_alpha", "half_life_beta", "fb")
P1_TYPICAL = np.array(
    [np.log(24000.0), np.log(9.3), np.log(0.78), np.log(4.3), np.log(220.0), np.log(0.0079 / (1 - 0.0079))]
)
P1_OMEGA = np.array([1.0, 0.35, 0.5, 0.6, 0.9, 1.0])
P1_SIGMA = 0.6
P1_DAYS = np.array([0.5, 2, 4, 7, 9, 11, 14, 17, 21, 28, 60, 90, 180, 270, 365, 545, 730.0])
SPARSE_DAYS = np.array([7, 14, 28, 90, 270.0])
SPARSE_LOWER = 1.5  # typical log Cmax is lower by this, so that about half of the samples are BLQ

# --- P2
P2_RANDOM = ("expansion", "effector_loss", "to_memory", "kill", "start_level")
P2_FIXED = ("tumour_half", "memory_loss", "tumour_growth")
P2_TYPICAL = np.log(np.array([1.3, 0.15, 0.012, 0.6, 100.0]))
P2_FIXED_VALUES = np.log(np.array([0.3, 0.004, 0.012]))
P2_OMEGA = np.array([0.15, 0.4, 0.6, 0.3, 0.7])
P2_SIGMA = {"qpcr": 0.5, "tumour": 0.2}
P2_DAYS = np.array([1, 4, 7, 10, 14, 21, 28, 60, 90, 180, 270, 365.0])
# Held constant: carrying capacity, level of half-maximal killing, reactivation, memory share, tumour at day 0.
P2_CONSTANTS = {
    "capacity": 10.0,
    "kill_half": 3000.0,
    "reactivation": 0.02,
    "memory_share": 0.01,
    "tumour_start": 1.0,
}

LLOQ = {"qpcr": 50.0, "tumour": 0.01}
UNITS = {"qpcr": "copies/ug", "tumour": "cm3"}

# Normal priors (mean, sd) on the free scale; half-normal scales.
P1_PRIORS: dict[str, dict[str, Any]] = {
    "typical": {
        "cmax": (np.log(20000.0), 1.5),
        "tmax": (np.log(9.0), 0.5),
        "doubling": (np.log(0.8), 0.7),
        "half_life_alpha": (np.log(4.0), 0.7),
        "half_life_beta": (np.log(200.0), 0.8),
        "fb": (np.log(0.01 / 0.99), 1.5),
    },
    "omega": dict.fromkeys(P1_RANDOM, 1.0),
    "fixed": {},
    "sigma": {"qpcr": 1.0},
}
P2_PRIORS: dict[str, dict[str, Any]] = {
    "typical": {
        "expansion": (np.log(1.2), 0.3),
        "effector_loss": (np.log(0.2), 0.5),
        "to_memory": (np.log(0.01), 1.0),
        "kill": (np.log(0.5), 0.5),
        "start_level": (np.log(100.0), 1.0),
    },
    "omega": dict.fromkeys(P2_RANDOM, 0.5),
    "fixed": {
        "tumour_half": (np.log(0.25), 0.5),
        "memory_loss": (np.log(0.005), 0.5),
        "tumour_growth": (np.log(0.01), 0.5),
    },
    "sigma": {"qpcr": 1.0, "tumour": 1.0},
}


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """One simulated data set, one row per observation, sorted by subject, output and time."""

    name: str
    n_subjects: int
    seed: int
    outputs: tuple[str, ...]
    subject: Array  # int, 0 to n_subjects - 1
    time: Array  # days
    output: Array  # int, index into ``outputs``
    log_value: Array  # at log(LLOQ) where censored
    censored: Array  # bool: below the LLOQ
    truth: Array  # (n_subjects, n_random), free scale
    lloq: Array  # by output

    @property
    def log_limit(self) -> Array:
        """Log LLOQ of every row."""
        return np.log(self.lloq)[self.output]


def p1_log_level(time: Array, parameters: Array) -> Array:
    """Log level of the closed form: exponential growth to Cmax at Tmax, then two phases of decline.

    Parameters
    ----------
    time : ndarray
        Days.
    parameters : sequence of 6 floats or arrays
        In the order of ``P1_RANDOM``, free scale.

    Returns
    -------
    ndarray
        Natural logarithm of the level.
    """
    log_cmax, log_tmax, log_doubling, log_alpha, log_beta, logit_fb = parameters
    growth, alpha, beta = (np.log(2) / np.exp(x) for x in (log_doubling, log_alpha, log_beta))
    since_peak = time - np.exp(log_tmax)
    before, after = np.minimum(since_peak, 0.0), np.maximum(since_peak, 0.0)
    log_fast, log_slow = -np.log1p(np.exp(logit_fb)), -np.log1p(np.exp(-logit_fb))
    return log_cmax + growth * before + np.logaddexp(log_fast - alpha * after, log_slow - beta * after)


def simulate_p1(n_subjects: int = 90, seed: int = 1) -> Problem:
    """P1: rich sampling of the closed form, drop-out from day 60 on, 5 % of the samples missing.

    Parameters
    ----------
    n_subjects, seed : int
        Size and seed of the data set.

    Returns
    -------
    Problem
    """
    rng = np.random.default_rng(seed)
    truth = P1_TYPICAL + P1_OMEGA * rng.standard_normal((n_subjects, len(P1_RANDOM)))
    series = []
    for parameters in truth:
        n_planned = rng.integers(12, len(P1_DAYS) + 1)
        time = P1_DAYS[:n_planned] * np.exp(0.03 * rng.standard_normal(n_planned))
        time = time[rng.random(n_planned) > 0.05]
        series.append((time, p1_log_level(time, parameters) + P1_SIGMA * rng.standard_normal(len(time))))
    return _assemble("P1", seed, truth, [{"qpcr": one} for one in series])


def simulate_sparse(n_subjects: int = 12, seed: int = 7) -> Problem:
    """The sparse set: five samples, none before day 7, about half of them below the LLOQ.

    Parameters
    ----------
    n_subjects, seed : int
        Size and seed of the data set.

    Returns
    -------
    Problem
    """
    rng = np.random.default_rng(seed)
    truth = P1_TYPICAL + P1_OMEGA * rng.standard_normal((n_subjects, len(P1_RANDOM)))
    truth[:, 0] -= SPARSE_LOWER
    series = []
    for parameters in truth:
        time = SPARSE_DAYS * np.exp(0.03 * rng.standard_normal(len(SPARSE_DAYS)))
        time[0] = max(time[0], 7.0)
        series.append((time, p1_log_level(time, parameters) + P1_SIGMA * rng.standard_normal(len(time))))
    return _assemble("sparse", seed, truth, [{"qpcr": one} for one in series])


def p2_rates(time: float, state: Array, parameters: Array) -> Array:
    """Right-hand side of P2 in log states: effector, memory, tumour.

    Parameters
    ----------
    time : float
        Days; not used.
    state : sequence of 3 floats
        Log effector level, log memory level, log tumour size.
    parameters : sequence of 8 floats
        In the order of ``P2_RANDOM`` and ``P2_FIXED``, natural scale.

    Returns
    -------
    ndarray, shape (3,)
        Rates of the log states, 1/day.
    """
    effector, memory, log_tumour = state
    expansion, loss, to_memory, kill, _, tumour_half, memory_loss, growth = parameters
    level, tumour = np.exp(effector), np.exp(log_tumour)
    antigen = tumour / (tumour_half + tumour)
    back = P2_CONSTANTS["reactivation"] * antigen
    return np.array(
        [
            expansion * antigen - loss - to_memory + back * np.exp(memory - effector),
            to_memory * np.exp(effector - memory) - memory_loss - back,
            growth * (1 - tumour / P2_CONSTANTS["capacity"])
            - kill * level / (P2_CONSTANTS["kill_half"] + level),
        ]
    )


def p2_start(log_start_level: float) -> list[float]:
    """Log states of P2 at day 0.

    Parameters
    ----------
    log_start_level : float
        Log effector level at day 0.

    Returns
    -------
    list of 3 floats
    """
    share, tumour = P2_CONSTANTS["memory_share"], P2_CONSTANTS["tumour_start"]
    return [log_start_level, np.log(share * np.exp(log_start_level)), np.log(tumour)]


def simulate_p2(n_subjects: int = 30, seed: int = 2) -> Problem:
    """P2: the CAR level of every subject and the tumour size of every second one.

    Parameters
    ----------
    n_subjects, seed : int
        Size and seed of the data set.

    Returns
    -------
    Problem
    """
    rng = np.random.default_rng(seed)
    truth = P2_TYPICAL + P2_OMEGA * rng.standard_normal((n_subjects, len(P2_RANDOM)))
    series = []
    for i, parameters in enumerate(truth):
        time = P2_DAYS * np.exp(0.02 * rng.standard_normal(len(P2_DAYS)))
        effector, memory, tumour = _solve_p2(time, parameters)
        level = np.logaddexp(effector, memory)
        one = {"qpcr": (time, level + P2_SIGMA["qpcr"] * rng.standard_normal(len(time)))}
        if i % 2 == 0:
            one["tumour"] = (time, tumour + P2_SIGMA["tumour"] * rng.standard_normal(len(time)))
        series.append(one)
    return _assemble("P2", seed, truth, series)


def _solve_p2(time: Array, parameters: Array) -> Array:
    """Log states (3, n_times) of one subject, to nine digits."""
    natural = np.exp(np.concatenate([parameters, P2_FIXED_VALUES]))
    solution = solve_ivp(
        p2_rates,
        (0, time[-1]),
        p2_start(np.log(natural[4])),
        t_eval=time,
        args=(natural,),
        method="LSODA",
        rtol=1e-9,
        atol=1e-9,
    )
    return solution.y


def _assemble(name: str, seed: int, truth: Array, series: list[dict[str, tuple[Array, Array]]]) -> Problem:
    """One row per value; values below the LLOQ are put at it and marked."""
    outputs = tuple(dict.fromkeys(key for one in series for key in one))
    columns: dict[str, list[Array]] = {"subject": [], "time": [], "output": [], "log_value": []}
    for i, one in enumerate(series):
        for key, (time, log_value) in one.items():
            columns["subject"].append(np.full(len(time), i))
            columns["output"].append(np.full(len(time), outputs.index(key)))
            columns["time"].append(time)
            columns["log_value"].append(log_value)
    rows = {key: np.concatenate(parts) for key, parts in columns.items()}
    lloq = np.array([LLOQ[key] for key in outputs])
    limit = np.log(lloq)[rows["output"]]
    censored = rows["log_value"] < limit
    rows["log_value"] = np.where(censored, limit, rows["log_value"])
    return Problem(name, len(truth), seed, outputs, censored=censored, truth=truth, lloq=lloq, **rows)

"""A benchmark problem in the shapes that engines ask for: a long table, a grid, names, starting values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from problems import LLOQ, P1_PRIORS, P2_PRIORS, UNITS, Array, Priors, Problem


def priors_of(problem: Problem) -> Priors:
    """Priors of a problem; the sparse set has those of P1.

    Parameters
    ----------
    problem : Problem
        A simulated data set.

    Returns
    -------
    mapping
        ``typical`` and ``fixed``: name → (mean, sd) of a normal on the free scale; ``omega`` and
        ``sigma``: name → scale of a half-normal.
    """
    return P2_PRIORS if problem.name == "P2" else P1_PRIORS


def population_names(priors: Priors) -> list[str]:
    """Names of the population parameters, in the order that every engine reports them.

    Parameters
    ----------
    priors : mapping
        ``P1_PRIORS`` or ``P2_PRIORS``.

    Returns
    -------
    list of str
        Typical values, omegas, fixed effects, residual sigmas.

    Examples
    --------
    >>> population_names(P1_PRIORS)[::6]
    ['cmax_typical', 'cmax_omega', 'qpcr_sigma']
    """
    return [
        *(f"{name}_typical" for name in priors["typical"]),
        *(f"{name}_omega" for name in priors["omega"]),
        *(f"{name}_fixed" for name in priors["fixed"]),
        *(f"{name}_sigma" for name in priors["sigma"]),
    ]


def prior_arrays(priors: Priors) -> dict[str, Array]:
    """Priors as arrays in the order of their names.

    Parameters
    ----------
    priors : mapping
        ``P1_PRIORS`` or ``P2_PRIORS``.

    Returns
    -------
    dict of ndarray
        ``typical_mean``, ``typical_sd``, ``fixed_mean``, ``fixed_sd``, ``omega_scale``, ``sigma_scale``.
    """
    arrays = {}
    for key in ("typical", "fixed"):
        table = np.array(list(priors[key].values())).reshape(-1, 2)
        arrays[f"{key}_mean"], arrays[f"{key}_sd"] = table[:, 0], table[:, 1]
    for key in ("omega", "sigma"):
        arrays[f"{key}_scale"] = np.array(list(priors[key].values()))
    return arrays


def start_values(problem: Problem, n_chains: int, seed: int = 5) -> list[dict[str, Array]]:
    """Starting values for engines that have no good ones themselves: the prior's centre, jittered.

    Parameters
    ----------
    problem : Problem
        A simulated data set.
    n_chains, seed : int
        Number of chains; seed of the jitter.

    Returns
    -------
    list of dict
        For each chain ``typical``, ``omega``, ``fixed``, ``sigma`` and ``z`` (n_subjects, n_random),
        the standardised random effects.
    """
    rng = np.random.default_rng(seed)
    prior = prior_arrays(priors_of(problem))
    n_random = len(prior["omega_scale"])
    return [
        {
            "typical": prior["typical_mean"] + 0.1 * prior["typical_sd"] * rng.standard_normal(n_random),
            "omega": 0.5 * prior["omega_scale"],
            "fixed": prior["fixed_mean"],
            "sigma": 0.5 * prior["sigma_scale"],
            "z": 0.1 * rng.standard_normal((problem.n_subjects, n_random)),
        }
        for _ in range(n_chains)
    ]


def long_table(problem: Problem) -> pd.DataFrame:
    """The data as `carkinetics.read_nonmem` reads them.

    Parameters
    ----------
    problem : Problem
        A simulated data set.

    Returns
    -------
    pandas.DataFrame
        Columns ID (from 1), TIME in days, DV in the assay's unit or the text BLQ, DVID (assay).
    """
    value = pd.Series(np.exp(problem.log_value), dtype=object)
    return pd.DataFrame(
        {
            "ID": problem.subject + 1,
            "TIME": problem.time,
            "DV": value.mask(problem.censored, "BLQ"),
            "DVID": np.array(problem.outputs)[problem.output],
        }
    )


def read_options(problem: Problem) -> dict[str, Any]:
    """Arguments of `carkinetics.read_nonmem` that go with `long_table`.

    Parameters
    ----------
    problem : Problem
        A simulated data set.

    Returns
    -------
    dict
        ``value_unit`` and ``lloq`` by assay.
    """
    return {
        "value_unit": {name: UNITS[name] for name in problem.outputs},
        "lloq": {name: LLOQ[name] for name in problem.outputs},
    }


def p2_grid(problem: Problem) -> dict[str, Array]:
    """P2 as rectangles of subject by time, for engines that solve all subjects at once.

    Parameters
    ----------
    problem : Problem
        From `simulate_p2`.

    Returns
    -------
    dict of ndarray, shape (n_subjects, n_times)
        ``time``; ``qpcr`` and ``tumour`` (0 where there is none); ``qpcr_censored``,
        ``tumour_censored``, ``tumour_seen``.
    """
    n_times = np.count_nonzero((problem.subject == 0) & (problem.output == 0))
    shape = (problem.n_subjects, n_times)
    grid = {"time": problem.time[problem.output == 0].reshape(shape)}
    for index, name in enumerate(problem.outputs):
        rows = problem.output == index
        subjects = np.unique(problem.subject[rows])
        values, censored, seen = np.zeros(shape), np.zeros(shape, bool), np.zeros(shape, bool)
        values[subjects] = problem.log_value[rows].reshape(-1, n_times)
        censored[subjects] = problem.censored[rows].reshape(-1, n_times)
        seen[subjects] = True
        grid |= {name: values, f"{name}_censored": censored, f"{name}_seen": seen}
    return grid

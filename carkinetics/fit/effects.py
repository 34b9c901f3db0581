"""Where every number of a population stands in arrays: coefficients, random effects, residual error.

A coefficient is a location (the mean of a parameter on its free scale) or the slope of a covariate. Coefficients of
random parameters move the mean of the subjects' values; those of common parameters are the values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carkinetics.fit.problem import Problem

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Coefficients:
    """Locations and slopes of some parameters.

    Parameters
    ----------
    names : tuple of str
        The parameter's name for its location, the slope's name for a slope.
    of : ndarray of int, shape (n,)
        Which of the parameters each belongs to.
    design : ndarray, shape (n, n_subject)
        1 for a location, the centred covariate for a slope.
    centre, spread : ndarray, shape (n,)
        Mean and standard deviation of the normal prior.
    """

    names: tuple[str, ...]
    of: Ints
    design: Floats
    centre: Floats
    spread: Floats

    def means(self, values: Floats, n_parameters: int) -> Floats:
        """Value of every parameter for every subject, shape (n_subject, n_parameters)."""
        found = np.zeros((self.design.shape[1], n_parameters))
        for value, k, x in zip(values, self.of, self.design, strict=True):
            found[:, k] += value * x
        return found


@dataclass(frozen=True, eq=False)
class Effects:
    """The population of a problem.

    Parameters
    ----------
    random, common : ndarray of int
        Positions of the random and of the common parameters among the free ones.
    mean, shared : Coefficients
        Of the random and of the common parameters.
    omega_scale : ndarray, shape (n_random,)
        Scales of the half-normal priors of omega.
    block : ndarray of int
        Random effects that are correlated, counted among the random ones.
    sigma_scale : ndarray, shape (n_sigma,)
        Scales of the half-normal priors of the residual standard deviations.
    """

    random: Ints
    common: Ints
    mean: Coefficients
    shared: Coefficients
    omega_scale: Floats
    block: Ints
    sigma_scale: Floats

    @property
    def n_random(self) -> int:
        """Number of random effects."""
        return len(self.random)

    def theta(self, individual: Floats, shared: Floats) -> Floats:
        """Free parameters of every subject, shape (n_subject, n_free)."""
        full = np.empty((len(individual), len(self.random) + len(self.common)))
        full[:, self.random] = individual
        full[:, self.common] = self.shared.means(shared, len(self.common))
        return full


def make_effects(problem: Problem) -> Effects:
    """The population of a problem as arrays.

    Parameters
    ----------
    problem : Problem
        What is fitted.

    Returns
    -------
    Effects
        Its arrays.
    """
    free = problem.model.free_parameters
    random = list(problem.random)
    common = [name for name in free if name not in random]
    return Effects(
        random=np.array([free.index(name) for name in random], dtype=np.int64),
        common=np.array([free.index(name) for name in common], dtype=np.int64),
        mean=_coefficients(problem, random),
        shared=_coefficients(problem, common),
        omega_scale=np.array([problem.model.parameters[name].omega_prior for name in random], dtype=float),
        block=np.array([random.index(name) for name in problem.correlated], dtype=np.int64),
        sigma_scale=np.array([problem.sigma_scale(name) for name in problem.sigma_names], dtype=float),
    )


def _coefficients(problem: Problem, parameters: list[str]) -> Coefficients:
    rows: list[tuple[str, int, Any, float, float]] = []
    for k, name in enumerate(parameters):
        prior = problem.model.parameters[name].prior
        rows.append((name, k, np.ones(problem.n_subjects), prior.location, prior.spread))
        rows += [
            (c.name, k, c.centred, c.prior.centre, c.prior.spread)
            for c in problem.covariates
            if c.parameter == name
        ]
    design = np.array([row[2] for row in rows], dtype=float).reshape(len(rows), problem.n_subjects)
    return Coefficients(
        tuple(row[0] for row in rows),
        np.array([row[1] for row in rows], dtype=np.int64),
        design,
        np.array([row[3] for row in rows], dtype=float),
        np.array([row[4] for row in rows], dtype=float),
    )


def split(
    effects: Effects, problem: Problem, values: Mapping[str, Floats]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Locations and slopes by name from the two lists of coefficients.

    Parameters
    ----------
    effects : Effects
        The population.
    problem : Problem
        What is fitted.
    values : mapping
        ``mean`` and ``shared``: coefficients on the last axis.

    Returns
    -------
    tuple of dict
        Locations by parameter in the model's order, slopes by name.
    """
    found: dict[str, Any] = {}
    for part in ("mean", "shared"):
        coefficients = getattr(effects, part)
        found |= {name: values[part][..., k] for k, name in enumerate(coefficients.names)}
    free = problem.model.free_parameters
    return {name: found[name] for name in free}, {c.name: found[c.name] for c in problem.covariates}

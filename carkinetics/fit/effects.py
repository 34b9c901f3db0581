"""Where every number of a population stands in arrays: coefficients, random effects, residual error.

A coefficient is a location (the mean of a parameter on its free scale), the slope of a covariate or the shift of a class. Coefficients of
random parameters move the mean of the subjects' values; those of common parameters are the values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
        1 for a location, the centred covariate for a slope, the probability of the class for a shift.
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
    member : ndarray of int
        Coefficients in ``mean`` that are shifts of the second class; empty without a mixture.
    share : ndarray, shape (2,)
        Mean and standard deviation of the normal prior of the logit of that class's share.
    """

    random: Ints
    common: Ints
    mean: Coefficients
    shared: Coefficients
    omega_scale: Floats
    block: Ints
    sigma_scale: Floats
    member: Ints
    share: Floats

    @property
    def n_random(self) -> int:
        """Number of random effects."""
        return len(self.random)

    @property
    def membership(self) -> Floats:
        """Probability of every subject to be of the second class, shape (n_subject,); of no subjects without classes."""
        return self.mean.design[self.member[0]] if len(self.member) else np.empty(0)

    def with_membership(self, probability: Floats) -> Effects:
        """Copy with other probabilities of the second class, shape (n_subject,)."""
        design = self.mean.design.copy()
        design[self.member] = probability
        return replace(self, mean=replace(self.mean, design=design))

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
    mean, mixture = _coefficients(problem, random), problem.mixture
    shifts = set(problem.shift_names.values())
    return Effects(
        random=np.array([free.index(name) for name in random], dtype=np.int64),
        common=np.array([free.index(name) for name in common], dtype=np.int64),
        mean=mean,
        shared=_coefficients(problem, common),
        omega_scale=np.array([problem.model.parameters[name].omega_prior for name in random], dtype=float),
        block=np.array([random.index(name) for name in problem.correlated], dtype=np.int64),
        sigma_scale=np.array([problem.sigma_scale(name) for name in problem.sigma_names], dtype=float),
        member=np.array([k for k, name in enumerate(mean.names) if name in shifts], dtype=np.int64),
        share=np.array([mixture.share.location, mixture.share.spread]) if mixture else np.zeros(2),
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
        mixture = problem.mixture
        if mixture and name in mixture.shifts:
            prior, at_first = mixture.shifts[name], np.full(problem.n_subjects, mixture.share.centre)
            rows.append((mixture.shift_name(name), k, at_first, prior.centre, prior.spread))
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
        Locations by parameter in the model's order; slopes of covariates and shifts of a class by name.
    """
    found: dict[str, Any] = {}
    for part in ("mean", "shared"):
        coefficients = getattr(effects, part)
        found |= {name: values[part][..., k] for k, name in enumerate(coefficients.names)}
    free = problem.model.free_parameters
    slopes = problem.slope_names
    return {name: found[name] for name in free}, {name: found[name] for name in slopes}

"""A population fit by approximate maximum likelihood: what a pharmacometrician expects of FOCE, with BLQ values censored.

Laplace-EM without priors (`carkinetics.fit.approximate`), speeded up by extrapolation; the objective by importance
sampling, which is exact up to its stated Monte-Carlo error; standard errors from the curvature (coefficients) and
from the spread of the subjects' scores (standard deviations). It is labelled approximate wherever it is shown: for
parameters that single subjects say little about, the hierarchical fit is the answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from carkinetics.dataset.table import Dataset
from carkinetics.errors import ConfigError
from carkinetics.fit.approximate import (
    Approximation,
    individual_gaussians,
    laplace_minus_two_log_likelihood,
)
from carkinetics.fit.em import em_step, laplace_em
from carkinetics.fit.objective import minus_two_log_likelihood
from carkinetics.fit.problem import make_problem
from carkinetics.fit.summary import SCALE_WORDS
from carkinetics.fit.uncertainty import correlated_pairs, standard_errors
from carkinetics.fit.variability import shrinkage
from carkinetics.model.spec import Model

Array = NDArray[np.float64]
INTERVAL = 0.95


@dataclass(frozen=True, eq=False)
class PopulationFit:
    """An approximate population fit.

    Parameters
    ----------
    model : Model
        As fitted.
    data : Dataset
        As fitted.
    parameters : pandas.DataFrame
        Indexed by parameter: ``estimate, se, rse_percent, lower, upper, unit``. The standard error is on the free scale
        of the parameter (of log omega and log sigma for these), the 95 % interval on the natural one.
    individual : pandas.DataFrame
        Empirical Bayes estimates: ``subject, parameter, estimate, sd`` (of the free scale), ``unit``.
    shrinkage : pandas.DataFrame
        Indexed by random parameter: ``sd_percent, variance_percent``.
    minus_two_ll, minus_two_ll_error : float
        By importance sampling, and its Monte-Carlo standard error.
    minus_two_ll_laplace : float
        By Laplace's method.
    converged : bool
        Whether the estimates had stopped moving.
    settings : dict
        What was asked.
    """

    model: Model
    data: Dataset
    parameters: pd.DataFrame
    individual: pd.DataFrame
    shrinkage: pd.DataFrame
    minus_two_ll: float
    minus_two_ll_error: float
    minus_two_ll_laplace: float
    converged: bool
    settings: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        state = "" if self.converged else "; NOT CONVERGED"
        return (
            f"<PopulationFit of {self.model.name}, approximate (Laplace-EM{state}): {len(self.data.subjects)} subjects, "
            f"-2LL {self.minus_two_ll:.2f} (Monte-Carlo error {self.minus_two_ll_error:.2f})>"
        )

    @property
    def aic(self) -> float:
        """Akaike's criterion."""
        return self.minus_two_ll + 2 * len(self.parameters)

    @property
    def bic(self) -> float:
        """Bayesian criterion, with the number of subjects as the sample size."""
        return self.minus_two_ll + math.log(len(self.data.subjects)) * len(self.parameters)


def fit_population(
    model: Model,
    data: Dataset,
    *,
    random: Iterable[str] | None = None,
    covariates: Mapping[str, Any] | None = None,
    correlated: Iterable[str] | bool = (),
    mixture: bool | None = None,
    error: str | Mapping[str, str] | None = None,
    blq: str = "M3",
    assay: str | Mapping[str, str] | None = None,
    draws: int = 1000,
    iterations: int = 300,
    seed: int = 1,
) -> PopulationFit:
    """Fit a population by approximate maximum likelihood.

    Parameters
    ----------
    model : Model
        Its priors do not count; its typical values are where the search starts.
    data : Dataset
        At least two subjects.
    random : iterable of str, optional
        Parameters with random effects; those with an omega in the model file if not given.
    covariates : mapping, optional
        See `carkinetics.fit.covariate.read_covariates`.
    correlated : iterable of str or bool
        Random effects with a full correlation matrix; True for all.
    mixture : bool, optional
        False leaves out the two classes of subjects that a model has; they are not fitted here.
    error : str or mapping, optional
        Residual error, of the first output or by output; the model file's if not given.
    blq : str
        ``"M1"`` to ``"M7"``.
    assay : str or mapping, optional
        Which assay, when several have the model's unit; or one by output.
    draws : int
        Importance draws per subject for -2LL.
    iterations : int
        Steps of the search at most.
    seed : int
        Of the importance draws.

    Returns
    -------
    PopulationFit
        Estimates, labelled approximate.

    Raises
    ------
    ConfigError
        If a setting names something that does not exist.
    DataError
        If the data cannot be fitted.
    ConfigError
        If the model has two classes of subjects and they are not left out.

    References
    ----------
    .. [1] Lindstrom MJ, Bates DM. Biometrics 1990;46:673-687.
    .. [2] Varadhan R, Roland C. Scand J Stat 2008;35:335-353 (the extrapolation).
    """
    problem = make_problem(
        model, data, random=random, covariates=covariates, blq=blq, error=error, assay=assay, correlated=correlated,
        mixture=mixture,
    )  # fmt: skip
    if problem.mixture:
        raise ConfigError(
            f"fit_population has no classes, and model {model.name} has two; use fit_hierarchical, or leave them out by "
            "mixture=False"
        )
    state, converged = maximise(laplace_em(problem, priors=False, tolerance=5e-3), iterations)
    value, monte_carlo = minus_two_log_likelihood(state, draws, seed)
    return PopulationFit(
        model, problem.data, _estimates(state), _individual(state), _shrinkage(state), value, monte_carlo,
        laplace_minus_two_log_likelihood(state), converged,
        {"method": "population", "random": list(problem.random), "correlated": list(problem.correlated), "blq": blq,
         "errors": {one.output: one.error.name for one in problem.measured},
         "assays": {one.output: one.assay for one in problem.measured},
         "requested_covariates": {
             name: [c.text for c in problem.covariates if c.parameter == name]
             for name in dict.fromkeys(c.parameter for c in problem.covariates)
         },
         "draws": draws, "seed": seed, "interval": f"{INTERVAL:.0%}, normal on the free scale"},
    )  # fmt: skip


def maximise(state: Approximation, iterations: int, tolerance: float = 1e-6) -> tuple[Approximation, bool]:
    """EM steps with squared extrapolation until nothing moves.

    Parameters
    ----------
    state : Approximation
        Where to begin.
    iterations : int
        Rounds of three EM steps at most.
    tolerance : float
        Largest movement of a coefficient or a log standard deviation that counts as none.

    Returns
    -------
    tuple of (Approximation, bool)
        The estimates, and whether they had stopped moving.
    """
    best = laplace_minus_two_log_likelihood(state)
    for _ in range(iterations):
        once = em_step(state, priors=False)
        twice = em_step(once, priors=False)
        v0, v1, v2 = (to_vector(s) for s in (state, once, twice))
        first, second = v1 - v0, (v2 - v1) - (v1 - v0)
        if np.abs(v2 - v1).max() < tolerance:
            return individual_gaussians(twice), True
        ratio = float(np.linalg.norm(first)) / max(float(np.linalg.norm(second)), 1e-12)
        length = -min(max(ratio, 1.0), 50.0)
        leap = em_step(from_vector(twice, v0 - 2 * length * first + length**2 * second), priors=False)
        reached = laplace_minus_two_log_likelihood(leap)
        state = leap if reached < best + 1e-3 * abs(length) else twice
        best = min(best, laplace_minus_two_log_likelihood(state))
    return individual_gaussians(state), False


def to_vector(state: Approximation) -> Array:
    """Population values as unconstrained numbers.

    Parameters
    ----------
    state : Approximation
        Their source.

    Returns
    -------
    ndarray
        Coefficients, log-Cholesky entries of the covariance, log sigma.
    """
    root = np.linalg.cholesky(state.between) if len(state.between) else state.between
    below = [root[a, b] for a, b in correlated_pairs(state)]
    return np.concatenate([state.mean, state.shared, np.log(np.diag(root)), below, np.log(state.sigma)])


def from_vector(state: Approximation, vector: Array) -> Approximation:
    """The inverse of `to_vector`, with the modes found anew.

    Parameters
    ----------
    state : Approximation
        Where the search for the modes starts.
    vector : ndarray
        Population values.

    Returns
    -------
    Approximation
        At the modes.
    """
    c, d, q = len(state.mean), len(state.shared), state.effects.n_random
    pairs = correlated_pairs(state)
    root = np.diag(np.exp(vector[c + d : c + d + q]))
    for (a, b), value in zip(pairs, vector[c + d + q :], strict=False):
        root[a, b] = value
    moved = replace(
        state, mean=vector[:c], shared=vector[c : c + d], between=root @ root.T,
        sigma=np.exp(vector[c + d + q + len(pairs) :]),
    )  # fmt: skip
    return individual_gaussians(moved, steps=6)


def _estimates(state: Approximation) -> pd.DataFrame:
    """The table of population values."""
    problem, z = state.problem, stats.norm.ppf(0.5 + INTERVAL / 2)
    errors = iter(standard_errors(state))
    of = {}
    for coefficients, values in ((state.effects.mean, state.mean), (state.effects.shared, state.shared)):
        for name, value in zip(coefficients.names, values, strict=True):
            of[name] = (float(value), float(next(errors)))
    rows = {}
    for name in problem.model.free_parameters:
        parameter, (value, error) = problem.model.parameters[name], of[name]
        with np.errstate(over="ignore"):  # infinite where the data do not tell it
            low, middle, high = (float(parameter.from_free(value + k * z * error)) for k in (-1, 0, 1))
        # How far one standard error moves the natural value, relative to it.
        relative = {"log": error, "logit": error * (1 - middle)}.get(
            parameter.transform, error / abs(middle or 1.0)
        )
        rows[f"{name}_typical"] = (middle, error, 100 * relative, low, high, parameter.unit)
    for c in problem.covariates:
        value, error = of[c.name]
        rows[c.name] = (
            value,
            error,
            100 * error / abs(value or 1.0),
            value - z * error,
            value + z * error,
            "1",
        )
    for name, omega in state.omega.items():
        error = float(next(errors))
        unit = SCALE_WORDS[problem.model.parameters[name].transform]
        rows[f"{name}_omega"] = (
            omega,
            error,
            100 * error,
            *_ends(omega, z * error),
            unit,
        )
    for a, b in correlated_pairs(state):
        omegas = np.sqrt(np.diag(state.between))
        value, error = float(state.between[a, b] / (omegas[a] * omegas[b])), float(next(errors))
        name = f"corr_{problem.random[b]}_{problem.random[a]}"
        rows[name] = (
            value,
            error,
            100 * error / abs(value or 1.0),
            max(value - z * error, -1.0),
            min(value + z * error, 1.0),
            "1",
        )
    for one in problem.measured:
        unit = "SD of log" if one.error.log_scale else problem.model.outputs[one.output].unit
        for name in one.sigmas:
            value, error = state.sigmas[name], float(next(errors))
            rows[name] = (
                value,
                error,
                100 * error,
                *_ends(value, z * error),
                unit,
            )
    table = pd.DataFrame.from_dict(
        rows, orient="index", columns=["estimate", "se", "rse_percent", "lower", "upper", "unit"]
    )
    table.attrs = {"interval": f"{INTERVAL:.0%}", "label": "approximate: Laplace-EM"}
    return table.rename_axis("parameter")


def _ends(value: float, reach: float) -> tuple[float, float]:
    """Interval of a positive number, symmetric on the log scale; infinite for one that the data do not tell, as ω at 0."""
    with np.errstate(over="ignore"):
        return float(value * np.exp(-reach)), float(value * np.exp(reach))


def _individual(state: Approximation) -> pd.DataFrame:
    problem = state.problem
    sd = np.sqrt(np.diagonal(state.covariance, axis1=1, axis2=2))
    parts = []
    for k, name in enumerate(problem.random):
        parameter = problem.model.parameters[name]
        parts.append(
            pd.DataFrame(
                {
                    "subject": problem.data.subject_ids, "parameter": name,
                    "estimate": parameter.from_free(state.modes[:, k]), "sd": sd[:, k], "unit": parameter.unit,
                }
            )
        )  # fmt: skip
    columns = ["subject", "parameter", "estimate", "sd", "unit"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _shrinkage(state: Approximation) -> pd.DataFrame:
    away = state.modes - state.expected
    rows = {name: shrinkage(away[:, k], omega) for k, (name, omega) in enumerate(state.omega.items())}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["sd_percent", "variance_percent"])
    return table.rename_axis("parameter")

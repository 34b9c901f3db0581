"""One subject at a time, by least squares (lmfit): a quick look, and a check of each series on its own.

A BLQ value is a censored one here too. Its term in the sum of squares is minus twice the log of the
probability of lying below the limit, so the minimum is the maximum of the M3 likelihood. That needs a
residual standard deviation, which few samples cannot give: it is set, not estimated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import lmfit
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from carkinetics.dataset.table import ABOVE_ULOQ, QUANTIFIED, Dataset
from carkinetics.errors import ConfigError
from carkinetics.fit.problem import Problem, make_problem
from carkinetics.fit.result import INTERVAL, PARAMETER_COLUMNS, Fit
from carkinetics.fit.start import starting_values
from carkinetics.model.rows import Rows
from carkinetics.model.spec import Model

# Bounds in standard deviations of a new subject under the prior: reaching one means "not determined".
BOUND = 6.0
ERROR_STEP = 1e-4
CONSTANT_SD = ("lognormal", "student_t", "additive")
Z = float(norm.ppf(0.5 + INTERVAL / 2))
Array = NDArray[np.float64]


def fit_individuals(
    model: Model,
    data: Dataset,
    *,
    priors: bool = False,
    sigma: float | None = None,
    error: str | None = None,
    blq: str = "M3",
    assay: str | None = None,
) -> Fit:
    """Fit every subject alone.

    Parameters
    ----------
    model : Model
        Closed form or differential equations.
    data : Dataset
        At least one subject.
    priors : bool
        Add each parameter's prior for a new subject (location of the prior; its spread and the omega of the
        model file together): maximum a posteriori, for series with fewer values than parameters.
    sigma : float, optional
        Residual standard deviation, held fixed; the model's typical one if not given.
    error : str, optional
        ``lognormal``, ``student_t`` or ``additive``; the model file's if not given.
    blq : str
        BLQ method, ``"M3"`` by default.
    assay : str, optional
        Which assay, when several have the model's unit.

    Returns
    -------
    Fit
        ``parameters`` has a row for every subject and parameter with ``status`` and ``message``. Where the
        status is not ``"converged"`` there are no numbers: a fit that failed is never shown as one.

    Raises
    ------
    ConfigError
        If a setting names something that does not exist or does not go with least squares.
    DataError
        If the data cannot be fitted.
    """
    problem = make_problem(model, data, random=model.free_parameters, blq=blq, error=error, assay=assay)
    if problem.error.name not in CONSTANT_SD:
        raise ConfigError(
            f"error is {problem.error.name!r}; individual least squares takes {', '.join(CONSTANT_SD)}"
        )
    if blq == "M2" or (blq == "M4" and not problem.error.log_scale):
        raise ConfigError(
            f"blq is {blq!r}, a conditional likelihood that is no sum of squares; use M3 for individual fits"
        )
    scale = _residual_scale(problem, sigma)
    rows = [row for i in range(problem.n_subjects) for row in _fit_one(_only(problem, i), priors, scale)]
    table = pd.DataFrame(rows)[[*PARAMETER_COLUMNS, "status", "message", "n_obs"]]
    table.attrs = {"interval": f"{INTERVAL:.0%}, normal on the free scale", "sigma": scale}
    settings: dict[str, Any] = {
        "method": "individual", "assay": problem.measured[0].assay,
        "assays": {one.output: one.assay for one in problem.measured},
        "errors": {one.output: one.error.name for one in problem.measured}, "random": list(problem.random),
        "correlated": [], "covariates": [], "requested_covariates": {}, "error": problem.error.name, "blq": blq,
        "priors": priors, "sigma": scale, "interval": INTERVAL, "model_sha256": model.sha256,
        "data_sha256": problem.data.sha256,
        "versions": {name: version(name) for name in ("carkinetics", "lmfit", "scipy", "numpy")},
    }  # fmt: skip
    return Fit(model, problem.data, problem.observations, table, settings=settings)


def _residual_scale(problem: Problem, sigma: float | None) -> float:
    if sigma is not None:
        if not 0 < sigma < np.inf:
            raise ConfigError(f"sigma is {sigma!r}; expected a standard deviation above 0")
        return float(sigma)
    if problem.error.log_scale:
        return problem.model.residual
    raise ConfigError(
        "an additive error has no typical size in every unit; give sigma= in the unit of the data"
    )


@dataclass(frozen=True)
class _Subject:
    """One subject's part of a problem."""

    name: str
    problem: Problem


def _only(problem: Problem, i: int) -> _Subject:
    """The same problem for subject ``i`` alone."""
    mine = np.flatnonzero(problem.subject_index == i)
    place = {old: new for new, old in enumerate(mine)}

    def keep(at: NDArray[np.intp]) -> NDArray[np.intp]:
        return np.array([place[a] for a in at if a in place], dtype=np.intp)

    r = problem.rows
    rows = Rows(
        r.used[mine],
        keep(r.exact),
        keep(r.left),
        keep(r.between),
        keep(r.right),
        *(x[mine] for x in (r.value, r.lower, r.upper, r.above)),
    )
    subject = problem.data.subject_ids[i]
    alone = replace(
        problem,
        data=problem.data.select(subjects=[subject]),
        observations=problem.observations.iloc[mine].reset_index(drop=True),
        subject_index=np.zeros(len(mine), dtype=np.intp),
        output_index=problem.output_index[mine],
        time=problem.time[mine],
        rows=rows,
        inputs={name: value[i : i + 1] for name, value in problem.inputs.items()},
    )
    return _Subject(subject, alone)


def _fit_one(subject: _Subject, priors: bool, sigma: float) -> list[dict[str, Any]]:
    """Rows of the parameter table for one subject."""
    problem, names = subject.problem, list(subject.problem.random)
    reason = _not_enough(problem, priors, len(names))
    found = None if reason else _best_minimum(problem, priors, sigma)
    errors: dict[str, float] = (
        {} if found is None else _standard_errors(_residuals(problem, priors, sigma), found.params)
    )
    status, message = ("not identified", reason) if found is None else _judge(problem, found, errors)
    rows = []
    for name in names:
        parameter = problem.model.parameters[name]
        row: dict[str, Any] = dict.fromkeys(PARAMETER_COLUMNS, np.nan) | {
            "subject": subject.name, "parameter": name, "unit": parameter.unit, "status": status,
            "message": message, "n_obs": len(problem.time),
        }  # fmt: skip
        if status == "converged":
            assert found is not None
            free, error = found.params[name].value, errors[name]
            low, middle, high = (float(parameter.from_free(free + k * Z * error)) for k in (-1, 0, 1))
            # On the natural scale the interval is not symmetric; its half width in SDs is what a table can show.
            row |= {"median": middle, "lower": low, "upper": high, "sd": (high - low) / (2 * Z)}
        rows.append(row)
    return rows


def _not_enough(problem: Problem, priors: bool, n_parameters: int) -> str:
    n, quantified = len(problem.time), len(problem.rows.exact)
    if n == 0:
        return "no observation after the infusion"
    if priors:
        return ""
    if quantified == 0:
        return f"all {n} values are below quantification; priors=True or a hierarchical fit can use them"
    if n < n_parameters:
        return f"{n} values for {n_parameters} parameters; priors=True or a hierarchical fit can use them"
    return ""


def _best_minimum(problem: Problem, priors: bool, sigma: float) -> Any:
    """The best of several starts: a series sampled once a week has more than one minimum."""
    objective = _residuals(problem, priors, sigma)
    observations = problem.observations
    exact = observations["status"].isin((QUANTIFIED, ABOVE_ULOQ)).to_numpy()
    start = starting_values(problem.model, problem.time, _highest(observations), exact)
    prior = {name: problem.model.parameters[name].prior.location for name in start}
    halfway = {name: (start[name] + prior[name]) / 2 for name in start}
    results = [
        lmfit.minimize(objective, _parameters(problem, point), method="leastsq", max_nfev=4000)
        for point in (start, prior, halfway)
    ]
    return min(results, key=lambda result: result.chisqr)


def _highest(observations: pd.DataFrame) -> Array:
    """Value or upper limit of every row; the lower limit of one that has no upper one."""
    lower, upper = (observations[name].to_numpy(float) for name in ("lower", "upper"))
    return np.where(np.isfinite(upper), upper, lower)


def _parameters(problem: Problem, start: dict[str, float]) -> lmfit.Parameters:
    chosen = lmfit.Parameters()
    for name, value in start.items():
        centre, reach = _new_subject(problem, name)
        chosen.add(name, value=value, min=centre - BOUND * reach, max=centre + BOUND * reach)
    return chosen


def _new_subject(problem: Problem, name: str) -> tuple[float, float]:
    """Location and standard deviation of one new subject's value under the prior, on the free scale."""
    parameter = problem.model.parameters[name]
    return parameter.prior.location, float(np.hypot(parameter.prior.spread, parameter.omega or 0.0))


def _residuals(problem: Problem, priors: bool, sigma: float) -> Callable[[lmfit.Parameters], Array]:
    """Signed roots of minus twice each log-likelihood term, so that their squares add up to it."""
    names = list(problem.random)
    highest = np.zeros(len(problem.time))
    sigmas = {"sigma": sigma} | {
        name: problem.model.outputs[one.output].residual
        for one in problem.measured[1:]
        for name in one.sigmas
    }
    reference = problem.rows.upper.copy()
    reference[problem.rows.exact] = problem.rows.value[problem.rows.exact]
    at_best = problem.log_likelihood(np.where(np.isfinite(reference), reference, 1.0), sigmas)
    highest[problem.rows.exact] = at_best[problem.rows.exact]
    prior = [_new_subject(problem, name) for name in names]

    def residuals(parameters: lmfit.Parameters) -> Array:
        free = np.array([parameters[name].value for name in names])
        values = {
            n: np.atleast_1d(problem.model.parameters[n].from_free(x))
            for n, x in zip(names, free, strict=True)
        }
        level = np.nan_to_num(problem.level(values), nan=0.0)
        root = np.sqrt(np.maximum(2 * (highest - problem.log_likelihood(level, sigmas)), 0.0))
        root = np.minimum(root, 1e6) * np.where(level >= reference, 1.0, -1.0)
        if not priors:
            return root
        return np.append(
            root, [(x - centre) / spread for x, (centre, spread) in zip(free, prior, strict=True)]
        )

    return residuals


def _standard_errors(
    residuals: Callable[[lmfit.Parameters], Array], at: lmfit.Parameters
) -> dict[str, float]:
    """Standard errors on the free scale; infinite where the series does not determine a parameter.

    lmfit takes them from the last steps of its search, which gives none when it starts at the minimum.
    """
    columns = []
    for name in at:
        up, down = at.copy(), at.copy()
        up[name].set(value=at[name].value + ERROR_STEP)
        down[name].set(value=at[name].value - ERROR_STEP)
        columns.append((residuals(up) - residuals(down)) / (2 * ERROR_STEP))
    jacobian = np.column_stack(columns)
    information = jacobian.T @ jacobian
    if np.linalg.cond(information) > 1e14:
        return dict.fromkeys(at, float("inf"))
    variance = np.diagonal(np.linalg.inv(information))
    return {name: float(np.sqrt(v)) if v > 0 else float("inf") for name, v in zip(at, variance, strict=True)}


def _judge(problem: Problem, found: Any, errors: dict[str, float]) -> tuple[str, str]:
    names = problem.random
    if not found.success:
        return "failed", f"the optimiser stopped: {' '.join(str(found.message).split())}"
    at_bound = [n for n in names if _at_bound(found.params[n])]
    if at_bound:
        return (
            "not identified",
            f"{', '.join(at_bound)} ran to the edge of what is possible: not determined by this series",
        )
    vague = [n for n in names if not errors[n] < BOUND * _new_subject(problem, n)[1]]
    if vague:
        return (
            "not identified",
            f"{', '.join(vague)}: no usable standard error, not determined by this series",
        )
    return "converged", ""


def _at_bound(parameter: lmfit.Parameter) -> bool:
    width = parameter.max - parameter.min
    return min(parameter.value - parameter.min, parameter.max - parameter.value) < 1e-3 * width

"""Kinetics and outcome as one PyMC model, and its draws."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import xarray as xr

from carkinetics.errors import ConfigError
from carkinetics.exposure.area import Floats
from carkinetics.exposure.table import window_end
from carkinetics.fit.em import laplace_em
from carkinetics.fit.goal import Goal, progress_of
from carkinetics.fit.gradient import Solution
from carkinetics.fit.graph import build_pymc_model
from carkinetics.fit.hierarchical import problem_of
from carkinetics.fit.nuts import TARGET_ACCEPT, TARGET_ACCEPT_ODE, sample_nuts
from carkinetics.fit.problem import Problem
from carkinetics.fit.result import Fit
from carkinetics.response.bayes import Regression
from carkinetics.response.case import Case
from carkinetics.response.pooled import POOLED, PooledDraws
from carkinetics.response.time_to_event import RowsAtRisk

TO_FREE = {"log": pt.log, "logit": lambda p: pt.log(p) - pt.log1p(-p), "identity": lambda x: x}
NODES = 5  # of Gauss-Legendre quadrature, in each of the pieces of a window
PIECES = np.array([0.0, 0.2, 0.5, 1.0])
DENSE = np.array([2.0, 4, 6, 8, 10, 12, 14, 17, 20, 25])  # days between which a curve peaks
PEAK_DAYS = np.concatenate([np.arange(0, 40, 0.25), np.arange(40, 121, 2.0)])
TUNE, CHAINS = 500, 4


def joint_pymc_model(fit: Fit, case: Case, rows: RowsAtRisk | None, regression: Regression) -> Any:
    """The PyMC model of a fit, with the outcome.

    Parameters
    ----------
    fit : Fit
        A hierarchical fit.
    case : Case
        Outcome and adjustment of the subjects that are analysed.
    rows : RowsAtRisk or None
        Of a time to an event.
    regression : Regression
        Of the outcome on exposure.

    Returns
    -------
    pymc.Model
        With ``coefficient`` (free scale) and ``exposure`` (of the regression's rows, on the predictor's scale) beside the kinetics.

    Raises
    ------
    ConfigError
        If the metric cannot be written into the model.
    """
    problem = problem_of(fit)
    model = build_pymc_model(problem, fit.settings["centred"])
    model.add_coords({"free": list(regression.parameters), "row": np.arange(len(regression.others))})
    ids = list(problem.data.subject_ids)
    at = np.array([ids.index(subject) for subject in case.answer.index])
    with model:
        x = _exposure(problem, model, case, rows, at)
        mean, sd = regression.priors.T
        coefficient = pm.Normal("coefficient", mean, sd, dims="free")
        parts = [coefficient[k] for k in range(len(mean))]
        n = len(regression.family.auxiliary)
        eta = regression.predictor(parts[n:], x, pt)
        pm.Potential("outcome", regression.family.log_likelihood(parts[:n], eta, pt))
        pm.Deterministic("exposure", x, dims="row")
    return model


def _exposure(problem: Problem, model: Any, case: Case, rows: RowsAtRisk | None, at: Any) -> Any:
    """Exposure of the regression's rows on the predictor's scale."""
    metric, log = case.question.metric, case.question.log
    if case.course is not None:
        assert rows is not None
        level = _levels(problem, model, case.course.days, case.course.output)[at]
        if metric == "auc":
            pieces = _areas(problem, model, case.course.days, case.course.output)[at]
            level = pt.concatenate([pt.zeros((len(at), 1)), pt.cumsum(pieces, axis=1)], axis=1)
        value = pt.maximum(level, case.course.floor)[rows.subject, rows.day]
        return pt.log(value) if log else value
    end = window_end(metric)
    if end is not None:
        cuts = np.unique([*DENSE[end > DENSE], *(end * PIECES)])
        value = pt.sum(_areas(problem, model, cuts)[at], axis=1)
    elif metric == "cmax":
        value = pt.max(_levels(problem, model, PEAK_DAYS)[at], axis=1)
        if "cmax" in problem.varying:  # a point of the curve, at a kink that the days would miss
            value = pt.maximum(value, model["cmax"][at])
    elif metric in problem.varying:
        value = model[metric][at]
    else:
        raise ConfigError(
            f"on is {case.question.on!r}: in one model with the outcome, exposure is cmax, auc_0_X or a parameter that differs between subjects "
            f"({', '.join(problem.varying)})"
        )
    value = pt.log(value) if log else value
    return value if rows is None else value[rows.subject]


def _areas(problem: Problem, model: Any, cuts: Floats, output: str = "") -> Any:
    """Areas between days of all subjects by Gauss-Legendre quadrature, shape (n_subjects, n_cuts - 1)."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    start, width = cuts[:-1, None], np.diff(cuts)[:, None]
    level = _levels(problem, model, (start + width * (nodes + 1) / 2).ravel(), output)
    return pt.sum(level.reshape((problem.n_subjects, len(width), NODES)) * (width * weights / 2), axis=2)


def _levels(problem: Problem, model: Any, days: Floats, output: str = "") -> Any:
    """Levels of all subjects on some days, shape (n_subjects, n_days)."""
    n, layout = problem.n_subjects, problem.layout
    number = list(problem.model.outputs).index(output) if output else 0
    size = n * len(days)
    nothing, whole = np.zeros(size), np.full(size, number, dtype=np.int64)
    grid = replace(
        layout, pointer=np.arange(n + 1, dtype=np.int64) * len(days), time=np.tile(np.asarray(days, dtype=float), n), output=whole, kind=np.zeros_like(whole),
        value=nothing, lower=nothing, above=nothing,
    )  # fmt: skip
    columns = []
    for name in problem.model.free_parameters:
        value = model[name] if name in problem.varying else model[f"{name}_typical"]
        columns.append(TO_FREE[problem.model.parameters[name].transform](value) + pt.zeros(n))
    predicted, _ = Solution(grid)(pt.stack(columns, axis=1))
    level = predicted.reshape((n, len(days)))
    return pt.exp(level) if layout.scales[number] else level


def sample_joint(
    fit: Fit, case: Case, rows: RowsAtRisk | None, regression: Regression, start: PooledDraws, *, seed: int, max_minutes: float,
    progress: bool,
) -> tuple[PooledDraws, Floats, xr.DataTree, dict[str, Any]]:  # fmt: skip
    """Draw from the joint posterior by nutpie.

    Parameters
    ----------
    fit, case, rows, regression
        As of `joint_pymc_model`.
    start : PooledDraws
        Of the two-stage analysis, where chains begin.
    seed : int
        Seed of the chains.
    max_minutes : float
        Longest time.
    progress : bool
        Print what is being done.

    Returns
    -------
    pooled : PooledDraws
        Coefficients.
    exposures : ndarray, shape (n_draws, n_rows)
        Of the rows, on the predictor's scale.
    tree : xarray.DataTree
        All draws.
    record : dict
        ``method, converged, rhat, ess, divergences``.
    """
    problem = problem_of(fit)
    model = joint_pymc_model(fit, case, rows, regression)

    def say(message: str) -> None:
        if progress:
            print(message, file=sys.stderr, flush=True)  # noqa: T201 (the progress that was asked for)

    run = sample_nuts(
        model, problem, laplace_em(problem), Goal.of(None, max_minutes), draws=None, tune=TUNE, chains=CHAINS, cores=os.cpu_count() or 1,
        seed=seed, target_accept=TARGET_ACCEPT_ODE if problem.model.states else TARGET_ACCEPT, coupling=None, say=say,
        others={"coefficient": np.median(start.theta, axis=0)},
    )  # fmt: skip
    posterior = run.tree["posterior"]
    theta = posterior["coefficient"].transpose("chain", "draw", "free").to_numpy()
    exposures = posterior["exposure"].transpose("chain", "draw", "row").to_numpy()
    quality, goal = progress_of(theta), Goal()
    divergences = int(run.tree["sample_stats"]["diverging"].sum())
    record = {
        "method": "nuts", "converged": bool(run.reached and quality.meets(goal) and divergences == 0), "rhat": quality.rhat,
        "ess": quality.ess, "divergences": divergences,
    }  # fmt: skip
    theta, exposures = (values.reshape(-1, values.shape[-1]) for values in (theta, exposures))
    kept = np.linspace(0, len(theta) - 1, min(POOLED, len(theta))).astype(int)
    draws = regression.natural(theta[kept])
    draws.insert(0, "exposure_draw", kept)
    return (
        PooledDraws(draws, start.naive, theta[kept], kept, quality.ess, np.nan),
        exposures[kept],
        run.tree,
        record,
    )

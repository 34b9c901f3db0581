"""Kinetics and outcome in one model: the outcome speaks on the exposures too, if it is declared to.

In two stages exposures are estimated without the outcome, and where they are uncertain the slope is flattened. In a joint model the
posterior of both is that of the product of their likelihoods. It is drawn from in one of two ways:

``weights``  from the draws of the kinetic fit, by importance sampling (`carkinetics.response.marginal`): the same posterior, as long as
             the outcome says little on the population beside the measurements; Pareto's k tells whether it does
``nuts``     one PyMC model of kinetics and outcome (`carkinetics.response.joint_graph`)

Exposure is here a latent property of the subject (what its curve would be), not what was sampled until the event; an event before the
window's end does not shorten it. The slope rests on the kinetic model for this, as on a dropout that the measured course explains.
Where exposure depends on parameters without a random effect, ``weights`` takes them from the draw that the subject's own come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from carkinetics.dataset.table import Dataset
from carkinetics.errors import ConfigError, did_you_mean
from carkinetics.exposure.area import Floats
from carkinetics.exposure.course import exposure_course
from carkinetics.exposure.posterior import exposure_from
from carkinetics.fit.chosen import choose_draws
from carkinetics.fit.conditional import conditional_weights
from carkinetics.fit.result import Fit
from carkinetics.response.bayes import SHAPES, Regression, Scale
from carkinetics.response.case import Case, pose
from carkinetics.response.coefficients import prior_words
from carkinetics.response.grade import GradeModel, grade_model, refuse_settings
from carkinetics.response.kind import FAMILIES, kind_of, regression_of
from carkinetics.response.marginal import MarginalDraws, sample_marginal
from carkinetics.response.pooled import PooledDraws, pooled_draws
from carkinetics.response.question import Question
from carkinetics.response.time_to_event import (
    BASELINES,
    EventModel,
    RowsAtRisk,
    event_model,
    event_regression,
    rows_at_risk,
)

METHODS = ("auto", "weights", "nuts")
INFORMS = ("exposure", "nothing")
MINIMUM_SUBJECTS, FEWEST_DRAWS = 5, 20


@dataclass(frozen=True, eq=False)
class JointModel:
    """A joint model of kinetics and outcome.

    Parameters
    ----------
    outcome : GradeModel or EventModel
        The regression, from the joint posterior; ``naive`` in its table is the one on point values.
    two_stage : pandas.DataFrame
        The same table, without the outcome speaking on the exposures.
    moved : pandas.DataFrame
        Indexed by subject: mean and SD of the predictor ``before`` and ``after`` the outcome spoke, and the ``shift`` in SDs.
    statement : str
        The result as a sentence.
    settings : dict
        Method, Pareto's k, convergence, what informs what.
    tree : xarray.DataTree or None
        Draws of the joint PyMC model, where it was sampled.
    """

    outcome: GradeModel | EventModel
    two_stage: pd.DataFrame
    moved: pd.DataFrame
    statement: str
    settings: dict[str, Any] = field(default_factory=dict)
    tree: xr.DataTree | None = None

    @property
    def table(self) -> pd.DataFrame:
        """Coefficients, see `GradeModel`."""
        return self.outcome.table

    @property
    def converged(self) -> bool:
        """Whether the draws are those of the joint posterior."""
        return bool(self.settings["converged"])

    def __repr__(self) -> str:
        return f"<JointModel: {self.outcome!r}, {self.settings['method']}, {'converged' if self.converged else 'NOT converged'}>"


def fit_joint(
    fit: Fit,
    data: Dataset | None = None,
    *,
    outcome: str = "",
    duration: str = "",
    event: str = "",
    on: str = "log(cmax)",
    label: str = "",
    adjust: str | Iterable[str] = (),
    landmark: float | None = None,
    days: Iterable[float] | None = None,
    output: str = "",
    family: str = "auto",
    shape: str = "linear",
    baseline: str = "weibull",
    informs: str = "exposure",
    method: str = "auto",
    draws: int = 300,
    max_minutes: float = 15.0,
    seed: int = 0,
    interval: float = 0.90,
    prior_slope_sd: float = 2.5,
    prior_intercept_sd: float = 10.0,
    progress: bool = False,
) -> JointModel:
    """Fit kinetics and an outcome together.

    Parameters
    ----------
    fit : Fit
        A hierarchical fit of the kinetics: its model, data and draws.
    data : Dataset, optional
        Outcome and adjustment in the columns of its subjects; the fit's own if not given.
    outcome : str
        As of `fit_grade`.
    duration, event : str
        As of `fit_event`.
    on : str
        A metric or ``"log(metric)"``; with ``nuts`` it is ``cmax``, ``auc_0_X``, or a parameter of the model.
    label : str
        What the outcome is called in sentences, tables and figures, such as ``"objective response"``; the expression if not given.
    adjust : str or iterable of str
        Columns or texts such as ``"log(base_sum)"``.
    landmark : float, optional
        As of `fit_event`.
    days : iterable of float, optional
        For ``on="log(level)"`` or ``"log(auc)"``: days of an exposure that changes with time.
    output : str
        With ``days``: another output of the model than the CAR-T level. The hazard of progression or death on the size of the tumour,
        fitted by `fit_tumour`, is ``on="log(level)", output="tumour"``.
    family, shape : str
        As of `fit_grade`.
    baseline : str
        As of `fit_event`.
    informs : {"exposure", "nothing"}
        What the outcome may speak on. ``"nothing"`` is the two-stage analysis.
    method : {"auto", "weights", "nuts"}
        ``"auto"`` takes weights where they can be trusted (Pareto's k up to 0.7), otherwise NUTS.
    draws : int
        Draws of the kinetic fit to use.
    max_minutes : float
        Of NUTS.
    seed : int
        Seed of everything random.
    interval : float
        Probability of the equal-tailed intervals.
    prior_slope_sd, prior_intercept_sd : float
        Standard deviations of the normal priors, on predictors scaled to standard deviation 0.5.
    progress : bool
        Print what is being done to the standard error stream.

    Returns
    -------
    JointModel
        The regression, and how far the outcome moved the exposures.

    Raises
    ------
    ConfigError
        If arguments make no sense or do not go together.
    DataError
        If the outcome cannot be analysed.
    FitError
        If the posterior could not be drawn from, or NUTS could not start.

    References
    ----------
    .. [1] Tsiatis AA, Davidian M. Stat Sinica 2004;14:809-834.
    .. [2] Plummer M. Stat Comput 2015;25:37-43 (cut models).
    """
    refuse_settings(interval, draws, seed, prior_slope_sd, prior_intercept_sd)
    for name, value, known in (
        ("method", method, METHODS),
        ("informs", informs, INFORMS),
        ("baseline", baseline, BASELINES),
        ("family", family, FAMILIES),
        ("shape", shape, SHAPES),
    ):
        if value not in known:
            raise ConfigError(f"{name} is {value!r}{did_you_mean(value, known)}")
    if fit.method != "hierarchical":
        raise ConfigError("fit_joint needs a hierarchical fit: exposure is a distribution")
    if draws < FEWEST_DRAWS:
        raise ConfigError(f"draws is {draws}; expected at least {FEWEST_DRAWS}")
    if output and days is None:
        raise ConfigError("output goes with days: another output is related to the hazard of the day")
    if duration and shape != "linear":
        raise ConfigError("shape='emax' goes with an outcome; the hazard of an event is linear")
    question = Question.of(
        outcome=outcome,
        duration=duration,
        event=event,
        on=on,
        label=label,
        adjust=adjust,
        onset="",
        landmark=landmark,
    )
    exposure = (
        exposure_course(fit, days, draws=draws, output=output, seed=seed)
        if days is not None
        else exposure_from(fit, metrics=[question.metric])
    )
    case = pose(
        exposure,
        fit.data if data is None else data,
        question,
        fewest=MINIMUM_SUBJECTS,
        timing=False,
        moving=True,
    )
    rng = np.random.default_rng(seed)
    rows = rows_at_risk(case) if question.duration else None
    regression = (
        regression_of(case, kind_of(case, family, prior_intercept_sd), shape=shape, slope_sd=prior_slope_sd)
        if rows is None
        else event_regression(case, rows, baseline, prior_slope_sd)
    )
    which = choose_draws(fit, min(draws, _n_draws(fit)), seed)
    chosen, points, regression = _exposures(case, rows, regression, which)
    two_stage = pooled_draws(regression, chosen, points, rng)
    settings = {
        "exposure": f"posterior draws, {len(chosen)}", "prior": prior_words(regression), "interval": interval,
        "seed": seed,
    }  # fmt: skip

    def finish(pooled: PooledDraws) -> GradeModel | EventModel:
        make: Callable[..., Any] = grade_model if rows is None else event_model
        return make(case, regression, pooled, settings)

    record: dict[str, Any] = {"informs": informs, "converged": True, "method": "two stages", "pareto_k": None}
    found, after, tree = two_stage, chosen, None
    if informs == "exposure":
        if method != "nuts" and not (fit.mixture and method == "auto"):
            subject = np.arange(len(case)) if rows is None else rows.subject
            ids = pd.Index(fit.data.subject_ids).get_indexer(case.answer.index)
            joint = sample_marginal(regression, chosen, subject, conditional_weights(fit, which)[ids], rng)
            found, after = _as_pooled(regression, joint, two_stage), joint.exposures
            record |= {
                "method": "weights",
                "pareto_k": round(joint.k, 3),
                "ess": round(joint.ess, 1),
                "exposure_ess": round(joint.exposure_ess, 1),
                "converged": joint.trusted,
            }
        if record["method"] != "weights" or (method == "auto" and not record["converged"]):
            from carkinetics.response.joint_graph import sample_joint  # imports PyMC

            found, after, tree, more = sample_joint(
                fit, case, rows, regression, two_stage, seed=seed, max_minutes=max_minutes, progress=progress
            )
            record |= more
    cut = finish(two_stage).table
    model = finish(found)
    moved = _moved(case, rows, chosen, after)
    statement = _statement(model, cut, moved, record)
    return JointModel(model, cut, moved, statement, model.settings | record, tree)


def _n_draws(fit: Fit) -> int:
    sizes = fit.tree["posterior"].sizes
    return int(sizes["chain"] * sizes["draw"])


def _exposures(
    case: Case, rows: RowsAtRisk | None, regression: Regression, which: NDArray[np.intp]
) -> tuple[Floats, Floats, Regression]:
    """Draws of the exposures of the regression's rows, and their point values."""
    assert case.samples is not None
    if case.course is not None:
        assert rows is not None
        moving = rows.exposures(case, np.arange(len(case.samples)))
        return moving, np.median(moving, axis=0), replace(regression, exposure=Scale.of(moving))
    at = np.arange(len(case)) if rows is None else rows.subject
    return case.samples[which][:, at], case.points[at], regression


def _as_pooled(regression: Regression, joint: MarginalDraws, two_stage: PooledDraws) -> PooledDraws:
    draws = regression.natural(joint.theta)
    draws.insert(0, "exposure_draw", joint.rows)
    return PooledDraws(draws, two_stage.naive, joint.theta, joint.rows, joint.ess, joint.k)


def _moved(case: Case, rows: RowsAtRisk | None, before: Floats, after: Floats) -> pd.DataFrame:
    """How far the outcome moved each subject's exposure (of one that changes with time, its mean over the days at risk)."""
    index = case.answer.index
    if rows is not None:
        share = np.zeros((before.shape[1], len(index)))
        share[np.arange(before.shape[1]), rows.subject] = 1
        share /= share.sum(axis=0)
        before, after = before @ share, after @ share
    table = pd.DataFrame(
        {
            "before": before.mean(axis=0),
            "before_sd": before.std(axis=0),
            "after": after.mean(axis=0),
            "after_sd": after.std(axis=0),
        },
        index=index,
    )
    table["shift"] = (table["after"] - table["before"]) / table["before_sd"].where(table["before_sd"] > 0)
    return table


def _statement(
    model: GradeModel | EventModel, cut: pd.DataFrame, moved: pd.DataFrame, record: dict[str, Any]
) -> str:
    alone = cut.set_index("parameter").loc["slope"]
    slope = model.table.set_index("parameter").loc["slope"]
    if record["informs"] == "nothing":
        return f"{model.statement} The outcome does not speak on the exposures."
    if record["method"] == "weights":
        way = f"draws of the kinetic fit, weighed; Pareto's k {record['pareto_k']:.2f}"
    else:
        way = f"one PyMC model, R-hat {record['rhat']:.3f}, ESS {record['ess']:.0f}, {record['divergences']} divergences"
    text = (
        f"{model.statement} Slope {slope['value']:.2f} jointly, {alone['value']:.2f} in two stages, {alone['naive']:.2f} on point values; "
        f"the outcome moved the exposures by up to {moved['shift'].abs().max():.2f} SD ({way})."
    )
    return text if record["converged"] else f"NOT CONVERGED ({way}): {text}"

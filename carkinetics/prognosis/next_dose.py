"""The next cohort: exposure, toxicity and response at each dose that could be given, and how far that is from what was studied.

Dose acts through the covariate effects that read it and, in models that start from the infused cells, through the infusion.
Where it acts through neither, the answer is the same for every dose by construction, and the result says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from carkinetics.dataset.table import DOSE_COLUMNS, Dataset, typed_table
from carkinetics.errors import ConfigError
from carkinetics.findings import Finding, findings_table
from carkinetics.fit.chosen import Draws, take_draws
from carkinetics.fit.covariate import covariate_frame, covariate_values
from carkinetics.fit.inputs import known_inputs
from carkinetics.fit.predictive import add_random_effects, typical_parameters
from carkinetics.fit.result import INTERVAL, Fit
from carkinetics.model.course import Course
from carkinetics.model.expression import parse
from carkinetics.prognosis.asked import refuse_other, refuse_settings
from carkinetics.prognosis.doubts import population_doubt
from carkinetics.prognosis.predicted import lloq_of, metric_draws, metric_rows, short_number, wanted_metrics
from carkinetics.prognosis.risk import OutcomeModel, adjusted_for, outcome_models, probabilities, risk_rows
from carkinetics.response.analysis_words import outcome_name

Floats = NDArray[np.float64]
METRICS = ("cmax", "auc_0_28")
NEW, TYPICAL = "new patient", "typical patient"
CLOSE = 1e-9  # doses as near as that are the same


@dataclass(frozen=True, eq=False)
class DosePrediction:
    """What each candidate dose would do.

    Parameters
    ----------
    table : pandas.DataFrame
        ``dose, who, metric, value, lower, upper, unit, missing``: of a new patient (who differs from others at random) and of the
        typical one. ``studied`` is ``"within"``, ``"above"`` or ``"below"`` the studied doses, or ``"unknown"``; ``ratio`` says how far:
        the dose over the nearest studied one of the range, 1 within it. ``dose_acts`` says whether the fit lets dose matter at all.
    risks : pandas.DataFrame
        ``dose, outcome, probability, lower, upper``: share of new patients with the outcome, and the interval that the outcome
        model's coefficients leave of it; the share is averaged over what is not known of the population, its interval is not;
        ``beyond``, the share of them with an exposure that the outcome model has not seen; ``studied, ratio, dose_acts``.
    findings : pandas.DataFrame
        ``severity, rule, where, message``.
    statement : str
        The result in words.
    settings : dict
        What was asked; ``studied`` is the range, ``unit`` that of the doses.
    """

    table: pd.DataFrame
    risks: pd.DataFrame
    findings: pd.DataFrame
    statement: str
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def converged(self) -> bool:
        """Whether the population's fit did."""
        return bool(self.settings["converged"])

    def __repr__(self) -> str:
        doses = ", ".join(f"{dose:.3g}" for dose in self.settings["doses"])
        return f"<DosePrediction at {doses} {self.settings['unit']}>"


def predict_doses(
    fit: Fit,
    doses: Iterable[float],
    *,
    outcomes: Any = (),
    studied: Iterable[float] | None = None,
    metrics: Iterable[str] = METRICS,
    draws: int = 2000,
    seed: int = 0,
    horizon: float | None = None,
    interval: float = INTERVAL,
) -> DosePrediction:
    """Predict exposure and outcomes at doses that could be given next.

    Parameters
    ----------
    fit : Fit
        Hierarchical; dose acts where a covariate reads it or the model starts from the infused cells.
    doses : iterable of float
        Candidates, in the unit of the fit's doses.
    outcomes : GradeModel, EventModel, JointModel, or iterable of these
        Fitted outcome models, for instance of a DLT and of response.
    studied : iterable of float, optional
        Doses that were given; those of the fit's data if not given.
    metrics : iterable of str
        As of `carkinetics.forecast`.
    draws : int
        New patients, each from another posterior draw.
    seed : int
        Of everything random.
    horizon : float, optional
        Day until which an event counts; the longest follow-up in the outcome model if not given.
    interval : float
        Probability of the equal-tailed intervals.

    Returns
    -------
    DosePrediction
        A new patient has the covariates of a studied one, drawn at random, and one infusion on day 0; inputs that change with time
        are at their defaults. The typical patient has no random effects and the mean effect of covariates.

    Raises
    ------
    ConfigError
        If a setting makes no sense.
    DataError
        If a subject lacks what an outcome is adjusted for.
    FitError
        If the fit has no posterior.
    """
    refuse_settings("predict_doses", draws=draws, seed=seed, interval=interval, least=100, horizon=horizon)
    refuse_other(fit, Fit, "predict_doses")
    wanted = wanted_metrics(fit, metrics)
    candidates = _amounts("doses", doses)
    given = _amounts("studied", studied) if studied is not None else _given(fit)
    models = outcome_models(outcomes, fit.model.output().unit, "outcomes")
    needed = wanted_metrics(fit, [*wanted, *(model.settings["metric"] for model in models)])
    acts = dose_acts(fit)
    chosen = take_draws(fit, int(draws), int(seed))
    blocks, risks = [], []
    for dose in candidates:
        mark = _mark(dose, given) | {"dose_acts": bool(acts)}
        new, typical = _exposures(fit, chosen, dose, needed, seed)
        for who, found in ((NEW, new.exposures), (TYPICAL, typical)):
            rows = metric_rows(found, wanted, fit.model.output().unit, interval)
            blocks.append(rows.assign(dose=dose, who=who, **mark))
        risks += [_risk(model, new, dose, horizon, interval).assign(**mark) for model in models]
    columns = [
        "dose",
        "who",
        "metric",
        "value",
        "lower",
        "upper",
        "unit",
        "missing",
        "studied",
        "ratio",
        "dose_acts",
    ]
    table = pd.concat(blocks, ignore_index=True)[columns]
    first = ["dose", "outcome", "probability", "lower", "upper", "beyond", "studied", "ratio", "dose_acts"]
    chances = pd.concat(risks, ignore_index=True)[first] if risks else pd.DataFrame(columns=first)
    findings = list(_findings(fit, acts, candidates, given, chances))
    settings = {
        "model": fit.model.name, "doses": candidates, "unit": _dose_unit(fit), "metrics": wanted, "draws": int(draws), "seed": int(seed),
        "studied": (min(given), max(given)) if given else None, "dose_effect": ", ".join(acts) or "none",
        "interval": f"{interval:.0%} equal-tailed", "outcomes": [outcome_name(model.settings) for model in models],
        "converged": not population_doubt(fit),
    }  # fmt: skip
    return DosePrediction(
        table, chances, findings_table(findings), _statement(table, chances, settings), settings
    )


def dose_acts(fit: Fit) -> list[str]:
    """How dose can change exposure in a fit.

    Parameters
    ----------
    fit : Fit
        Any hierarchical fit.

    Returns
    -------
    list of str
        Slopes of covariates that read the dose, and ``"infusion"``; empty if it cannot.
    """
    found = [c["name"] for c in fit.settings.get("covariates", []) if "dose" in _read_by(fit, c["text"])]
    return [*found, *(["infusion"] if fit.model.infused else [])]


def _read_by(fit: Fit, text: str) -> set[str]:
    columns = [str(c) for c in covariate_frame(fit.data) if c != "subject"]
    return set(parse(text, columns, where="covariates", words=True).names())


def _amounts(name: str, given: Any) -> list[float]:
    try:
        found = sorted({float(one) for one in given})
    except (TypeError, ValueError):
        raise ConfigError(f"{name} is {given!r}; expected numbers of cells above 0") from None
    wrong = [one for one in found if not 0 < one < np.inf]
    if wrong or not found:
        raise ConfigError(f"{name} is {list(given)}; expected numbers of cells above 0")
    return found


def _given(fit: Fit) -> list[float]:
    return sorted(set(fit.data.first_dose().dropna().astype(float)))


def _dose_unit(fit: Fit) -> str:
    units = fit.data.doses["unit"].unique()
    return str(units[0]) if len(units) else "cells/kg"


def _mark(dose: float, given: list[float]) -> dict[str, Any]:
    """Where a dose lies in the range that was studied."""
    if not given:
        return {"studied": "unknown", "ratio": np.nan}
    if dose > given[-1] * (1 + CLOSE):
        return {"studied": "above", "ratio": dose / given[-1]}
    if dose < given[0] * (1 - CLOSE):
        return {"studied": "below", "ratio": dose / given[0]}
    return {"studied": "within", "ratio": 1.0}


@dataclass(frozen=True, eq=False)
class _NewPatients:
    """Metrics of new patients, and whose covariates each has."""

    exposures: dict[str, Floats]
    data: Dataset
    of: NDArray[np.intp]


def _exposures(
    fit: Fit, draws: Draws, dose: float, needed: list[str], seed: int
) -> tuple[_NewPatients, dict[str, Floats]]:
    model, n = fit.model, len(next(iter(draws.typical.values())))
    rng = np.random.default_rng([seed, 9])  # the same patients at every dose
    data, course, lloq = _at_dose(fit, dose), Course(((0.0, dose),)), lloq_of(fit, fit.data)
    of = rng.integers(len(data.subject_ids), size=n)
    every = typical_parameters(fit, draws, data)
    centre = {name: value[np.arange(n), of][:, None] for name, value in every.items()}
    drawn = {name: value[:, 0] for name, value in add_random_effects(model, draws, centre, rng).items()}
    drawn |= {name: value[of] for name, value in known_inputs(model, data).items()}
    typical = _typical(fit, draws, data)
    typical |= {name: np.full(n, entry.default) for name, entry in model.inputs.items()}
    plain = Course() if not model.infused else course
    new = metric_draws(fit, drawn, needed, lloq, plain)
    return _NewPatients(new, data, of), metric_draws(fit, typical, needed, lloq, plain)


def _at_dose(fit: Fit, dose: float) -> Dataset:
    """The subjects of a fit as if each had had this dose, once; one subject where it has none."""
    subjects = fit.data.subjects if len(fit.data.subjects) else pd.DataFrame({"subject": ["new"]})
    if "dose" in subjects:
        subjects = subjects.assign(dose=dose)
    rows = [
        {"subject": subject, "time": 0.0, "amount": dose, "unit": _dose_unit(fit), "row": i}
        for i, subject in enumerate(subjects["subject"])
    ]
    return replace(fit.data, subjects=subjects, doses=typed_table(rows, DOSE_COLUMNS))


def _typical(fit: Fit, draws: Draws, data: Dataset) -> dict[str, Floats]:
    """Without random effects; an effect that reads the dose is averaged over the subjects, any other is at its centre."""
    values, frame = dict(draws.typical), covariate_frame(data)
    for covariate in fit.settings.get("covariates", []):
        if "dose" not in _read_by(fit, covariate["text"]):
            continue
        name = covariate["parameter"]
        x = covariate_values(frame, covariate["text"], f"covariates of {name}").mean() - covariate["centre"]
        parameter = fit.model.parameters[name]
        values[name] = parameter.from_free(
            parameter.to_free(values[name]) + draws.slopes[covariate["name"]] * x
        )
    return values


def _risk(
    model: OutcomeModel, new: _NewPatients, dose: float, horizon: float | None, interval: float
) -> pd.DataFrame:
    metric = model.settings["metric"]
    if metric not in new.exposures:
        raise ConfigError(
            f"outcomes: {outcome_name(model.settings)} is on {metric}, which needs an LLOQ that is not known"
        )
    exposure = new.exposures[metric]
    known = np.isfinite(exposure)
    others: Mapping[str, Floats] = {
        text: value[new.of][known] for text, value in adjusted_for(model, new.data).items()
    }
    rows = risk_rows(probabilities(model, exposure[known], others, horizon), interval, of="rate")
    seen = model.observed["exposure"]
    beyond = ((exposure[known] < seen.min()) | (exposure[known] > seen.max())).mean()
    return rows.assign(dose=dose, beyond=float(beyond))


def _findings(
    fit: Fit, acts: list[str], doses: list[float], given: list[float], risks: pd.DataFrame
) -> Iterable[Finding]:
    doubt = population_doubt(fit)
    if doubt:
        yield Finding("error", "population", "fit", f"the population's fit is {doubt}")
    if not acts:
        yield Finding(
            "warning", "no-dose-effect", "fit",
            f"no covariate of the fit reads the dose and {fit.model.name} does not start from the infused cells, so exposure is the "
            "same at every dose by construction; fit with covariates={'cmax': 'log(dose)'} to let dose matter",
        )  # fmt: skip
    for covariate in fit.settings.get("covariates", []):
        columns = {c for c in _read_by(fit, covariate["text"]) if c.startswith("dose_")}
        if columns:
            yield Finding(
                "warning", "dose-level", covariate["name"],
                f"{covariate['text']!r} reads {', '.join(sorted(columns))}, which a new dose does not set; it stays as in the studied subjects",
            )  # fmt: skip
    for dose in doses:
        mark = _mark(dose, given)
        if mark["studied"] in ("above", "below"):
            near = given[-1] if mark["studied"] == "above" else given[0]
            yield Finding(
                "warning", "extrapolation", f"dose {dose:.3g}",
                f"{mark['studied']} the studied doses ({given[0]:.3g} to {given[-1]:.3g}): {mark['ratio']:.3g} times {near:.3g}; the effect of "
                "dose is assumed to go on as within them",
            )  # fmt: skip
    for row in risks[risks["beyond"] > 0.5].itertuples() if len(risks) else ():
        yield Finding(
            "warning", "extrapolated-risk", f"dose {row.dose:.3g}",
            f"{row.beyond:.0%} of new patients would have an exposure that {row.outcome} was not related to",
        )  # fmt: skip


def _statement(table: pd.DataFrame, risks: pd.DataFrame, settings: dict[str, Any]) -> str:
    lines, num = [], short_number
    if settings["dose_effect"] == "none":
        lines.append(
            "Exposure cannot depend on dose in this fit: the numbers are the same at every dose by construction."
        )
    for dose in settings["doses"]:
        rows = table[(table["dose"] == dose) & (table["who"] == NEW)]
        mark, far = rows.iloc[0], ""
        if mark["studied"] in ("above", "below"):
            end = "highest" if mark["studied"] == "above" else "lowest"
            far = f" (extrapolated, {num(mark['ratio'])} times the {end} studied dose)"
        parts = [
            f"{r.metric} {num(r.value)} ({num(r.lower)} to {num(r.upper)}) {r.unit}"
            for r in rows[rows["missing"] == ""].itertuples()
        ]
        of_dose = risks[risks["dose"] == dose]
        parts += [
            f"P({r.outcome}) {r.probability:.2f} ({r.lower:.2f} to {r.upper:.2f})"
            for r in of_dose.itertuples()
        ]
        lines.append(f"At {dose:.3g} {settings['unit']}{far}: {'; '.join(parts)}.")
    if not settings["converged"]:
        lines.append("NOT CONVERGED: the population's fit did not.")
    return " ".join(lines)

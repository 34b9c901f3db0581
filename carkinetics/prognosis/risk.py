"""How probable an outcome is at an exposure that is known up to draws: averaged over these and over the outcome model's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from carkinetics.dataset.table import Dataset
from carkinetics.errors import ConfigError
from carkinetics.exposure.table import metric_unit
from carkinetics.fit.covariate import covariate_frame, covariate_values
from carkinetics.response.analysis_words import analysis_name, outcome_name
from carkinetics.response.grade import GradeModel
from carkinetics.response.joint import JointModel
from carkinetics.response.question import split_predictor
from carkinetics.response.time_to_event import EventModel
from carkinetics.units import canonical_unit

Floats = NDArray[np.float64]
OutcomeModel = GradeModel | EventModel
COEFFICIENTS = 400  # draws of an outcome model that are used, evenly spaced
RISK_COLUMNS = ("outcome", "probability", "lower", "upper")


def outcome_models(events: object, level_unit: str, where: str = "events") -> list[OutcomeModel]:
    """Fitted outcome models that give a probability.

    Parameters
    ----------
    events : GradeModel, EventModel, JointModel, or iterable of these
        As given by the user.
    level_unit : str
        Of the fit whose exposures are put in.
    where : str
        Name of the argument, for messages.

    Returns
    -------
    list
        Of `GradeModel` and `EventModel`.

    Raises
    ------
    ConfigError
        If one is something else, gives no probability, or was fitted to exposures in another unit.
    """
    if isinstance(events, GradeModel | EventModel | JointModel):
        events = [events]
    if not isinstance(events, Iterable) or isinstance(events, str):
        raise ConfigError(f"{where} is {events!r}; expected models from fit_grade, fit_event or fit_joint")
    found: list[OutcomeModel] = []
    for one in events:
        model = one.outcome if isinstance(one, JointModel) else one
        if not isinstance(model, GradeModel | EventModel):
            raise ConfigError(
                f"{where}: {type(model).__name__} is no outcome model; expected one from fit_grade, fit_event or fit_joint"
            )
        _refuse_without_probability(model, level_unit, where)
        found.append(model)
    return found


def _refuse_without_probability(model: OutcomeModel, level_unit: str, where: str) -> None:
    asked = model.settings
    if isinstance(model, GradeModel) and asked["family"] not in ("binary", "ordinal"):
        raise ConfigError(
            f"{where}: {asked['outcome']} is {asked['family']}, which has a mean and no probability; fit a comparison, such as "
            f"outcome='{asked['outcome']} >= 1'"
        )
    if asked.get("changes_with_time"):
        raise ConfigError(
            f"{where}: the hazard of {outcome_name(asked)} follows exposure that changes with time; fit_event on a metric, such as "
            "on='log(cmax)', has a probability for one number"
        )
    expected = metric_unit(asked["metric"], level_unit)
    if canonical_unit(asked["unit"]) != canonical_unit(expected):
        raise ConfigError(
            f"{where}: {outcome_name(asked)} was related to {asked['metric']} in {asked['unit']}, the fit has it in {expected}"
        )


def adjusted_for(model: OutcomeModel, data: Dataset) -> dict[str, Floats]:
    """What an outcome model adjusts for, of every subject of some data.

    Parameters
    ----------
    model : GradeModel or EventModel
        Which.
    data : Dataset
        Whose subjects.

    Returns
    -------
    dict of str to ndarray, shape (n_subject,)
        By the text of the adjustment.

    Raises
    ------
    DataError
        If a subject has no value.
    """
    frame, where = covariate_frame(data), f"adjustment of {outcome_name(model.settings)}"
    return {text: covariate_values(frame, text, where) for text in model.settings["adjust"]}


def probabilities(
    model: OutcomeModel, exposure: Floats, others: Mapping[str, Floats], horizon: float | None = None
) -> dict[str, Floats]:
    """Probability of the outcome at every exposure, for draws of the coefficients.

    Parameters
    ----------
    model : GradeModel or EventModel
        Fitted.
    exposure : ndarray, shape (n,)
        Values of its metric.
    others : mapping of str to ndarray, shape (n,) or (1,)
        What it adjusts for.
    horizon : float, optional
        Day since infusion until which an event counts; the longest follow-up of the model's subjects if not given.

    Returns
    -------
    dict of str to ndarray, shape (n, n_coefficients)
        By what is predicted; grades have one entry for each but the lowest.

    Raises
    ------
    ConfigError
        If an exposure cannot stand in the model, or the horizon is before the landmark.
    """
    asked, draws = model.settings, model.draws
    kept = draws.iloc[np.unique(np.linspace(0, len(draws) - 1, COEFFICIENTS).round().astype(int))]
    log = split_predictor(asked["on"])[1]
    if not np.isfinite(exposure).all() or (log and (exposure <= 0).any()):
        raise ConfigError(
            f"{analysis_name(asked)}: some draws of {asked['metric']} are 0 or not finite; relate the outcome to "
            "another metric"
        )
    eta = _slope(kept, np.log(exposure) if log else exposure, asked.get("shape", "linear"))
    for text, value in others.items():
        eta = eta + kept[text].to_numpy() * np.asarray(value)[:, None]
    if isinstance(model, EventModel):
        label, hazard = _cumulated(model, kept, horizon)
        return {label: -np.expm1(-hazard * np.exp(eta))}
    if asked["family"] == "binary":
        return {outcome_name(asked): expit(kept["intercept"].to_numpy() + eta)}
    cuts = [name for name in kept if name.startswith("cut[")]
    return {f"{outcome_name(asked)} >= {name[4:-1]}": expit(eta - kept[name].to_numpy()) for name in cuts}


def _slope(draws: pd.DataFrame, x: Floats, shape: str) -> Floats:
    """Slope times predictor, or what saturates, shape (n, n_coefficients)."""
    if shape == "emax":  # on the log of the exposure
        return draws["slope"].to_numpy() * expit(x[:, None] - np.log(draws["ec50"].to_numpy()))
    return np.asarray(draws["slope"].to_numpy() * x[:, None])


def _cumulated(model: EventModel, draws: pd.DataFrame, horizon: float | None) -> tuple[str, Floats]:
    """Baseline hazard cumulated from the landmark to the horizon, and the name of the event."""
    landmark = model.settings["landmark"] or 0.0
    day = landmark + float(model.observed["duration"].max()) if horizon is None else float(horizon)
    if not landmark < day < np.inf:
        raise ConfigError(f"horizon is {day:g}; expected a day after the landmark, day {landmark:g}")
    time = day - landmark
    label = f"{outcome_name(model.settings)} by day {day:g}"
    if "shape" in draws:
        return label, draws["rate"].to_numpy() * time ** draws["shape"].to_numpy()
    starts = np.array([0.0, *model.settings["cuts"]])
    inside = np.clip(time - starts, 0.0, np.append(np.diff(starts), np.inf))
    rates = draws[[name for name in draws if name.startswith("rate[")]].to_numpy()
    return label, rates @ inside


def risk_rows(found: Mapping[str, Floats], interval: float, *, of: str = "subject") -> pd.DataFrame:
    """Probabilities as a table.

    Parameters
    ----------
    found : mapping of str to ndarray, shape (n, n_coefficients)
        From `probabilities`.
    interval : float
        Probability of the intervals.
    of : {"subject", "rate"}
        Whether the interval is that of one subject's probability, whose exposure is uncertain, or of the share of subjects, whose
        exposures differ: over the coefficients alone, as every subject is from another draw of the population.

    Returns
    -------
    pandas.DataFrame
        ``outcome, probability, lower, upper``; the probability is the mean over everything.
    """
    tails = [(1 - interval) / 2, (1 + interval) / 2]
    rows = []
    for label, chance in found.items():
        spread = chance.mean(axis=0) if of == "rate" else chance
        rows.append((label, float(chance.mean()), *np.quantile(spread, tails).tolist()))
    return pd.DataFrame(rows, columns=list(RISK_COLUMNS))

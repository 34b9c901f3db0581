"""A new patient before a fitted population: what was measured by a day, and the population as seen with its covariates.

The population is a number of posterior draws, *rows*. In each the patient's random effects are normal, with the mean of its
covariates; where the fit has two classes of subjects, each draw gives two rows, weighed by the share of the class.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from carkinetics.dataset.table import QUANTIFIED, Dataset
from carkinetics.errors import ConfigError, DataError, UnitError, did_you_mean
from carkinetics.fit.chosen import Draws
from carkinetics.fit.inputs import subject_inputs
from carkinetics.fit.measured import measured_outputs
from carkinetics.fit.predictive import typical_parameters
from carkinetics.fit.problem import Measured, Problem, used_rows
from carkinetics.fit.result import Fit
from carkinetics.model.rows import likelihood_rows
from carkinetics.prognosis.asked import refuse_other

Floats = NDArray[np.float64]
SAME_SAMPLES = 2  # as many equal values on equal days are no coincidence


@dataclass(frozen=True, eq=False)
class Patient:
    """One subject, and what is known of it by a day.

    Parameters
    ----------
    data : Dataset
        This subject alone, as known by then.
    problem : Problem or None
        Its samples that count, as arrays; None without any.
    days : ndarray
        When they were taken.
    """

    data: Dataset
    problem: Problem | None
    days: Floats


@dataclass(frozen=True, eq=False)
class PopulationDraws:
    """Posterior draws of a population at a patient's covariates.

    Parameters
    ----------
    theta : ndarray, shape (n, n_free)
        Free parameters without random effects, on the free scale.
    random : ndarray of int, shape (q,)
        Positions of those with random effects.
    between : ndarray, shape (n, q, q)
        Covariance of these.
    sigmas : dict of str to ndarray, shape (n,)
        Residual standard deviations.
    log_share : ndarray, shape (n,)
        Log of the probability of the row's class.
    member : ndarray of bool, shape (n,)
        Whether that is the second class.
    """

    theta: Floats
    random: NDArray[np.intp]
    between: Floats
    sigmas: dict[str, Floats]
    log_share: Floats
    member: NDArray[np.bool_]

    @property
    def mean(self) -> Floats:
        """Expected values of the random parameters, shape (n, q)."""
        return self.theta[:, self.random]


def one_patient(fit: Fit, data: Dataset, subject: str | None = None) -> Dataset:
    """The part of the data that is the new patient, who must not be in the fit.

    Parameters
    ----------
    fit : Fit
        Whose subjects have spoken already.
    data : Dataset
        New patients.
    subject : str, optional
        Which; not needed if there is one only.

    Returns
    -------
    Dataset
        One subject.

    Raises
    ------
    ConfigError
        If several could be meant.
    DataError
        If there is no such subject, or its samples are in the fit already.
    """
    refuse_other(fit, Fit, "forecast")
    refuse_other(data, Dataset, "forecast")
    ids = data.subject_ids
    if subject is None:
        if len(ids) != 1:
            raise ConfigError(
                f"forecast: the data hold {len(ids)} subjects ({', '.join(ids[:5])}); choose one by subject="
            )
        subject = ids[0]
    if str(subject) not in ids:
        raise DataError(f"forecast: no subject {subject!r} in the data{did_you_mean(str(subject), ids)}")
    chosen = data.select(subjects=[str(subject)])
    if str(subject) in fit.data.subject_ids:
        raise DataError(
            f"forecast: subject {subject} is in the fit, so its samples would count twice; exposure_from(fit) has its exposure, "
            "held_out(fit, data) judges its later samples; if it is somebody else, give it another name"
        )
    twin = _twin(fit.data, chosen)
    if twin:
        raise DataError(
            f"forecast: all samples of subject {subject} are those of subject {twin} of the fit, so they would count twice; "
            "leave that subject out of the fit"
        )
    return chosen


def _twin(seen: Dataset, chosen: Dataset) -> str:
    """A subject of the fit with the same quantified samples."""
    key = ["assay", "time", "value"]
    mine = chosen.observations[chosen.observations["status"] == QUANTIFIED][key].drop_duplicates()
    if len(mine) < SAME_SAMPLES:
        return ""
    same = (
        seen.observations[["subject", *key]].drop_duplicates().merge(mine, on=key)["subject"].value_counts()
    )
    return str(same.index[0]) if len(same) and same.iloc[0] == len(mine) else ""


def known_by(data: Dataset, upto: float | None) -> Dataset:
    """Samples and events up to a day; infusions are planned, and stay.

    Parameters
    ----------
    data : Dataset
        One or several subjects.
    upto : float or None
        The last day that counts; None for all.

    Returns
    -------
    Dataset
        The earlier part.

    Raises
    ------
    ConfigError
        If the day is no number.
    """
    if upto is None:
        return data
    if isinstance(upto, bool) or not isinstance(upto, int | float | np.number) or np.isnan(upto):
        raise ConfigError(f"upto is {upto!r}; expected a day since infusion")
    events = data.events[data.events["time"] <= upto].reset_index(drop=True)
    earlier = data.select(observations=data.observations["time"] <= upto)
    return replace(earlier, events=events)


def make_patient(fit: Fit, data: Dataset) -> Patient:
    """Arrays of one subject.

    Parameters
    ----------
    fit : Fit
        With what was measured how, and what counts as what.
    data : Dataset
        One subject, as known by some day.

    Returns
    -------
    Patient
        Of the samples that count: after the infusion, by an assay of the fit.

    Raises
    ------
    DataError
        If it was measured by assays that the fit does not know only, or the model needs a dose that is not there.
    UnitError
        If an assay of the fit has another unit here.
    """
    measured = measured_outputs(fit)
    _refuse_assays(fit, data, measured)
    counted = tuple(one for one in measured if _has_rows(data, one, str(fit.settings["blq"])))
    if not counted:
        return Patient(data, None, np.empty(0))
    used, rows = used_rows(data, counted, str(fit.settings["blq"]))
    number = {one.assay: k for k, one in enumerate(counted)}
    problem = Problem(
        model=fit.model, data=data, observations=used, subject_index=np.zeros(len(used), dtype=np.intp),
        output_index=used["assay"].map(number).to_numpy(np.intp), time=used["time"].to_numpy(float), rows=rows,
        measured=counted, blq=str(fit.settings["blq"]), random=tuple(fit.settings["random"]),
        correlated=tuple(fit.settings["correlated"]), covariates=(), mixture=None,
        inputs=subject_inputs(fit.model, data),
    )  # fmt: skip
    return Patient(data, problem, np.unique(problem.time))


def _has_rows(data: Dataset, one: Measured, blq: str) -> bool:
    rows = data.observations[data.observations["assay"] == one.assay]
    return bool(len(rows)) and bool(len(likelihood_rows(rows, blq, one.error).used))


def _refuse_assays(fit: Fit, data: Dataset, measured: Iterable[Measured]) -> None:
    known = {one.assay: one.output for one in measured}
    assays = data.assays["assay"].tolist()
    inputs = {entry.assay for entry in fit.model.inputs.values()}
    if len(data.observations) and not set(assays) & (set(known) | inputs):
        raise DataError(
            f"forecast: the data hold the assays {', '.join(assays)}, the fit knows {', '.join(known)}; name them alike"
        )
    for assay, output in known.items():
        unit = fit.model.outputs[output].unit
        if assay in assays and data.unit(assay) != unit:
            raise UnitError(f"forecast: assay {assay!r} is in {data.unit(assay)}, in the fit in {unit}")


def population_at(fit: Fit, draws: Draws, data: Dataset) -> PopulationDraws:
    """The population as it is for a subject.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    draws : Draws
        Of it.
    data : Dataset
        One subject, whose covariates count.

    Returns
    -------
    PopulationDraws
        One row per draw and class.

    Raises
    ------
    DataError
        If the subject lacks a covariate of the fit.
    """
    model, names = fit.model, tuple(fit.settings["random"])
    free, centre = model.free_parameters, typical_parameters(fit, draws, data)
    theta = np.column_stack([model.parameters[name].to_free(centre[name][:, 0]) for name in free])
    at = np.array([list(free).index(name) for name in names], dtype=np.intp)
    between = _covariances(draws, names)
    n = len(theta)
    if draws.mixture is None:
        return PopulationDraws(theta, at, between, draws.sigmas, np.zeros(n), np.zeros(n, dtype=bool))
    shift = np.column_stack(
        [
            draws.slopes[draws.mixture.shift_name(name)] if name in draws.mixture.shifts else np.zeros(n)
            for name in names
        ]
    )
    second = theta.copy()
    second[:, at] += shift
    with np.errstate(divide="ignore"):  # a class that a draw gives to nobody
        log_share = np.log(np.concatenate([1 - draws.share, draws.share]))
    return PopulationDraws(
        np.concatenate([theta, second]), at, np.concatenate([between, between]),
        {name: np.concatenate([value, value]) for name, value in draws.sigmas.items()}, log_share,
        np.repeat([False, True], n),
    )  # fmt: skip


def _covariances(draws: Draws, names: tuple[str, ...]) -> Floats:
    omega = np.column_stack([draws.omega[name] for name in names])
    correlation = np.broadcast_to(np.eye(len(names)), (len(omega), len(names), len(names))).copy()
    if draws.correlated:
        block = np.array([names.index(name) for name in draws.correlated])
        correlation[:, block[:, None], block] = draws.correlation
    return correlation * omega[:, :, None] * omega[:, None, :]


def sampled_rows(patient: Patient, whole: Dataset) -> pd.DataFrame:
    """All samples of the subject, and which of them spoke.

    Parameters
    ----------
    patient : Patient
        As known by some day.
    whole : Dataset
        The same subject with its later samples.

    Returns
    -------
    pandas.DataFrame
        Observations with a column ``used``.
    """
    if patient.problem is None:
        return whole.observations.assign(used=False)
    key = ["assay", "time", "row"]
    used = pd.MultiIndex.from_frame(patient.problem.observations[key])
    return whole.observations.assign(used=pd.MultiIndex.from_frame(whole.observations[key]).isin(used))

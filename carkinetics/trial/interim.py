"""A simulated trial as it stands on a day: who was infused, what has been measured, what is known of their outcomes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from carkinetics.dataset.table import Dataset
from carkinetics.errors import ConfigError
from carkinetics.escalation.arguments import number
from carkinetics.response.event import derive_event
from carkinetics.response.recist import derive_response
from carkinetics.trial.outcomes import NE
from carkinetics.trial.simulate import TOLERANCE
from carkinetics.trial.simulated import SimulatedTrial

DAYS = ("crs_day", "toci_day", "steroid_day", "dlt_day")


def interim(trial: SimulatedTrial, day: float) -> Dataset:
    """The data of a simulated trial on a day.

    Parameters
    ----------
    trial : SimulatedTrial
        To its end.
    day : float
        Days since the trial opened.

    Returns
    -------
    Dataset
        Patients infused before that day, with their samples and events so far. Of the outcomes, ``dlt``, ``grade2`` and
        ``evaluable`` are missing where the window is open and nothing has happened; ``crs_grade`` is the grade so far;
        ``response``, ``pfs_*`` and ``os_*`` are derived from the assessments so far, by RECIST 1.1; ``followed`` has the days
        since the infusion.

    Raises
    ------
    ConfigError
        If nobody was infused before that day.
    """
    if not isinstance(trial, SimulatedTrial):
        raise ConfigError(
            f"interim: found {type(trial).__name__}; expected a SimulatedTrial, from simulate_trial"
        )
    number(day, "day", "interim")
    table = trial.subjects
    followed = pd.Series(day - table["INFUSED"].to_numpy(), index=table["ID"])
    there = followed[followed > 0]
    if there.empty:
        raise ConfigError(
            f"interim: nobody was infused before day {day:g}; the first is on day {table['INFUSED'].min():g}"
        )
    data = trial.dataset.select(subjects=list(there.index))
    subjects = data.subjects.set_index("subject")
    known = there.reindex(subjects.index)
    subjects["followed"] = known
    _toxicity(subjects, known, trial.plan.conduct.window)
    if "counted_at" in subjects:
        _counted(subjects, data.first_dose().reindex(subjects.index), trial.plan.design.doses[0])
    if trial.plan.links.tumour is not None:
        _efficacy(subjects, known, trial.lesions)
    observations, events = (
        part[part["time"] <= part["subject"].map(known).astype(float)].reset_index(drop=True)
        for part in (data.observations, data.events)
    )
    return replace(
        data, subjects=subjects.reset_index(), observations=observations, events=events,
        source=f"{data.source}, as of day {day:g}",
    )  # fmt: skip


def _toxicity(subjects: pd.DataFrame, known: pd.Series, window: float) -> None:
    """What has begun by now; missing where the window is open."""
    days = [name for name in DAYS if name in subjects]
    for name in days:
        subjects[name] = pd.to_numeric(
            subjects[name]
        )  # a column that is empty for everybody was read as text
    crs = subjects["crs_day"] <= known
    subjects["crs_grade"] = subjects["crs_grade"].where(crs, 0)
    for name in days:
        subjects[name] = subjects[name].where(subjects[name] <= known)
    limited = subjects["dlt_day"].notna()
    open_window = (known < window) & ~limited
    for name, so_far in (
        ("dlt", limited.astype(float)),
        ("grade2", subjects["grade2"]),
        ("evaluable", subjects["evaluable"]),
    ):
        subjects[name] = so_far.astype(float).mask(open_window)


def _counted(subjects: pd.DataFrame, dose: pd.Series, lowest: float) -> None:
    """Who received less than the lowest dose counts there with a DLT only: that would tell of one to come."""
    untold = subjects["dlt"].isna() & (dose < lowest * (1 - TOLERANCE))
    subjects["counted_at"] = subjects["counted_at"].mask(untold)


def _efficacy(subjects: pd.DataFrame, known: pd.Series, lesions: pd.DataFrame) -> None:
    """Response, progression and death by now, from the assessments so far."""
    seen = lesions[lesions["day"] <= lesions["subject"].map(known)]
    responses = derive_response(seen)
    best = responses.groupby("subject")["best"].last().reindex(subjects.index).fillna(NE)
    death = subjects["os_day"].where((subjects["os_event"] == 1) & (subjects["os_day"] <= known))
    last = np.minimum(subjects["os_day"], known)
    days = pd.DataFrame({"subject": subjects.index, "death": death.to_numpy(), "last_alive": last.to_numpy()})
    subjects["response"] = best
    subjects["best_change"] = subjects["best_change"].where(known >= subjects["pfs_day"])
    for endpoint, found in (
        ("pfs", derive_event("pfs", days, responses)),
        ("os", derive_event("os", days)),
    ):
        subjects[f"{endpoint}_day"] = found["time"].reindex(subjects.index)
        subjects[f"{endpoint}_event"] = found["event"].reindex(subjects.index)

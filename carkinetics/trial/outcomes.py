"""Tumour size to RECIST, progression and survival, for many virtual patients at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from carkinetics.trial.links import Tumour, _score

Floats = NDArray[np.float64]
CR, PR, SD, PD, NE = "CR", "PR", "SD", "PD", "NE"


@dataclass(frozen=True)
class Courses:
    """What happened to patients after the infusion.

    Parameters
    ----------
    scans : ndarray, shape (n_scans,)
        Days of assessment.
    sums : ndarray, shape (n_patients, n_scans)
        Sum of target diameters in mm, NaN where there was no assessment.
    new_lesion : ndarray, shape (n_patients,)
        Day from which on there is a new lesion.
    best : ndarray of str, shape (n_patients,)
        Best overall response, not confirmed.
    change : ndarray, shape (n_patients,)
        Best change of the sum in percent; NaN without an assessment.
    pfs_day, pfs_event, os_day, os_event : ndarray, shape (n_patients,)
        Progression or death, death; 1 for an event.
    """

    scans: Floats
    sums: Floats
    new_lesion: Floats
    best: NDArray[np.str_]
    change: Floats
    pfs_day: Floats
    pfs_event: NDArray[np.intp]
    os_day: Floats
    os_event: NDArray[np.intp]


def scan_days(tumour: Tumour, follow_up: float) -> Floats:
    """Days of assessment."""
    return np.arange(tumour.scan_every, follow_up + 1e-9, tumour.scan_every)


def follow(
    tumour: Tumour,
    frame: pd.DataFrame,
    luck: Mapping[str, Floats],
    lost: Floats,
    *,
    window: float,
    follow_up: float,
) -> Courses:
    """Sizes at every assessment until progression, and survival.

    Parameters
    ----------
    tumour : Tumour
        The link.
    frame : pandas.DataFrame
        Exposures, dose and covariates, one row per patient.
    luck : mapping of str to ndarray
        Normals ``shrinkage``, ``growth`` and ``scan`` (n_patients, n_scans); exponentials ``new_lesion`` and ``death``.
    lost : ndarray, shape (n_patients,)
        Day on which a patient is lost to follow-up.
    window : float
        Days in which nobody dies of the tumour: a trial takes patients who are expected to live for months.
    follow_up : float
        Days after which it ends for all.

    Returns
    -------
    Courses
        What is seen of that.
    """
    scans = scan_days(tumour, follow_up)
    base = frame[tumour.burden].to_numpy(float)
    shrinkage = tumour.shrinkage * np.exp(
        _score(frame, tumour.shrinkage_on, "tumour.shrinkage_on")
        + tumour.shrinkage_spread * luck["shrinkage"]
    )
    growth = tumour.growth * np.exp(tumour.growth_spread * luck["growth"])
    size = np.exp(-shrinkage[:, None] * scans) + np.expm1(np.minimum(growth[:, None] * scans, 20.0))
    sums = np.maximum(np.round(base[:, None] * size * np.exp(tumour.noise * luck["scan"])), 0.0)
    new_lesion = luck["new_lesion"] / tumour.new_lesion_per_day
    grown = progressed(base, sums) | (scans >= new_lesion[:, None])
    first = np.where(grown.any(axis=1), grown.argmax(axis=1), len(scans))
    progression = np.append(scans, np.inf)[first]
    death = _death(tumour, progression, window, luck["death"])
    end = np.minimum(np.minimum(death, lost), follow_up)
    seen = (scans <= end[:, None]) & (np.arange(len(scans)) <= first[:, None])
    sums = np.where(seen, sums, np.nan)
    pfs_day, pfs_event = _progression_free(scans, seen, progression, death, end)
    best, change = _best(base, sums, seen, grown)
    return Courses(scans, sums, new_lesion, best, change, pfs_day, pfs_event, end, (death <= end).astype(int))


def progressed(base: Floats, sums: Floats) -> NDArray[np.bool_]:
    """Whether a sum has grown by 20 % and 5 mm over the smallest before (RECIST 1.1).

    Parameters
    ----------
    base : ndarray, shape (n_patients,)
        Before treatment.
    sums : ndarray, shape (n_patients, n_scans)
        After it.

    Returns
    -------
    ndarray of bool, shape (n_patients, n_scans)
        Whether that is so.
    """
    before = np.minimum.accumulate(np.concatenate([base[:, None], sums[:, :-1]], axis=1), axis=1)
    return (sums >= 1.2 * before) & (sums - before >= 5.0)


def _death(tumour: Tumour, progression: Floats, window: float, exponential: Floats) -> Floats:
    """Day of death under one hazard before and another after progression, none in the DLT window."""
    early = exponential / tumour.death
    grown = np.where(np.isfinite(progression), np.maximum(progression - window, 0.0), np.inf)
    spent = tumour.death * np.where(np.isfinite(grown), grown, 0.0)
    late = spent / tumour.death + (exponential - spent) / tumour.death_progressed
    return np.round(window + np.where(early <= grown, early, late))


def _progression_free(
    scans: Floats, seen: NDArray[np.bool_], progression: Floats, death: Floats, end: Floats
) -> tuple[Floats, NDArray[np.intp]]:
    """Progression, else death; else censored at the last assessment."""
    last = np.where(seen.any(axis=1), (seen * scans).max(axis=1), 0.0)
    grew, died = progression <= end, death <= end
    day = np.where(grew, progression, np.where(died, death, last))
    return day, (grew | died).astype(int)


def _best(
    base: Floats, sums: Floats, seen: NDArray[np.bool_], grown: NDArray[np.bool_]
) -> tuple[NDArray[np.str_], Floats]:
    """Best response before progression, and best change of the sum."""
    at_scan = np.select(
        [~seen, grown, sums == 0, sums <= 0.7 * base[:, None]], [0, 1, 4, 3], default=2
    )  # NE < PD < SD < PR < CR
    best = np.array([NE, PD, SD, PR, CR])[at_scan.max(axis=1)]
    lowest = np.where(seen, sums, np.inf).min(axis=1)
    change = np.where(seen.any(axis=1), 100 * (lowest / base - 1), np.nan)
    return best, np.round(change, 1)

"""Exposure as it changes with time: the level and the area so far, of every subject in posterior draws.

What a subject has had by a day can have caused what happens on it; what comes later cannot. An event is therefore related
to this, where a metric of a whole window would look into the future.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from carkinetics.errors import ConfigError, did_you_mean
from carkinetics.exposure.curve_metrics import areas, levels
from carkinetics.fit.course import subject_courses
from carkinetics.fit.inputs import known_inputs
from carkinetics.fit.measured import fitted_rows
from carkinetics.fit.predictive import individual_parameters
from carkinetics.fit.result import Fit

KINDS = ("level", "auc")
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ExposureCourse:
    """Level and area from the infusion, on given days.

    Parameters
    ----------
    subject_ids : tuple of str
        Subjects with observations.
    days : ndarray, shape (n_days,)
        Days since infusion, from 0.
    level, auc : ndarray, shape (n_draws, n_subjects, n_days)
        Not below the LLOQ, and not below the LLOQ times one day: nobody can tell smaller ones apart, and logarithms need a floor.
    unit : str
        Of the level.
    floor : float
        The LLOQ that was used.
    without : pandas.Series
        Reason by subject of who has no course.
    output : str
        Which output of the model; the CAR-T level if empty.
    """

    subject_ids: tuple[str, ...]
    days: Floats
    level: Floats
    auc: Floats
    unit: str
    floor: float
    without: pd.Series
    output: str = ""

    def values(self, kind: str) -> Floats:
        """Level or area.

        Parameters
        ----------
        kind : {"level", "auc"}
            Which.

        Returns
        -------
        ndarray, shape (n_draws, n_subjects, n_days)
            Its draws.

        Raises
        ------
        ConfigError
            If it is something else.
        """
        if kind not in KINDS:
            raise ConfigError(f"a course has level and auc, no {kind!r}{did_you_mean(kind, KINDS)}")
        return np.asarray(getattr(self, kind))

    def of(self, subjects: Iterable[str]) -> ExposureCourse:
        """The same of some subjects.

        Parameters
        ----------
        subjects : iterable of str
            In the order wanted.

        Returns
        -------
        ExposureCourse
            Of them.
        """
        wanted = list(subjects)
        at = pd.Index(self.subject_ids).get_indexer(wanted)
        return replace(self, subject_ids=tuple(wanted), level=self.level[:, at], auc=self.auc[:, at])


def exposure_course(
    fit: Fit,
    days: Iterable[float],
    *,
    draws: int = 200,
    floor: float | None = None,
    output: str = "",
    seed: int = 0,
) -> ExposureCourse:
    """Level and area so far of every subject, on given days.

    Parameters
    ----------
    fit : Fit
        A hierarchical fit.
    days : iterable of float
        Days since infusion, ascending; 0 is added.
    draws : int
        Posterior draws to take.
    floor : float, optional
        Lowest level that counts; the median LLOQ of the data if not given.
    output : str
        Another output of the model than the CAR-T level, such as the tumour size.
    seed : int
        Of the choice of draws.

    Returns
    -------
    ExposureCourse
        In the unit of the fit.

    Raises
    ------
    ConfigError
        If the fit is not hierarchical, the days are not ascending numbers from 0 on, or there is no LLOQ and no floor.
    """
    if fit.method != "hierarchical":
        raise ConfigError("exposure_course needs a hierarchical fit: exposure is a distribution")
    try:
        given = np.asarray(list(days), dtype=float)
    except (TypeError, ValueError):
        raise ConfigError(f"days is {days!r}; expected numbers above 0") from None
    if given.ndim != 1 or not given.size or not np.isfinite(given).all() or given.min() < 0:
        raise ConfigError("days: expected numbers above 0")
    if (np.diff(given) <= 0).any():
        raise ConfigError("days: expected them in ascending order, each once")
    grid = np.unique([0.0, *given])
    rows, shown = fitted_rows(fit, output), fit.model.output(output)
    lowest = float(rows["lloq"].median()) if floor is None else float(floor)
    if not 0 < lowest < np.inf:
        raise ConfigError(
            "the data name no LLOQ; give floor, the lowest level that is told apart from nothing"
        )
    values = individual_parameters(fit, n_draws=draws, seed=seed) | known_inputs(fit.model, fit.data)
    observed = set(rows["subject"])
    ids = [subject for subject in fit.data.subject_ids if subject in observed]
    size = np.broadcast_shapes(*(np.shape(value) for value in values.values()))
    courses = subject_courses(fit.model, fit.data)
    level = np.empty((size[0], len(ids), len(grid)))
    auc = np.zeros_like(level)
    for k, subject in enumerate(ids):
        i = fit.data.subject_ids.index(subject)
        one = {
            name: np.ascontiguousarray(np.broadcast_to(value, size)[:, i]) for name, value in values.items()
        }
        level[:, k] = levels(fit.model, np.broadcast_to(grid, (size[0], len(grid))), one, courses[i], output)
        auc[:, k, 1:] = np.stack(
            areas(fit.model, one, list(grid[1:]), course=courses[i], output=output), axis=-1
        )
    others = [subject for subject in fit.data.subject_ids if subject not in observed]
    without = pd.Series("no observation: only the prior speaks", index=others, dtype=object)
    return ExposureCourse(
        tuple(ids), grid, np.maximum(level, lowest), np.maximum(auc, lowest), shown.unit, lowest, without, output
    )  # fmt: skip

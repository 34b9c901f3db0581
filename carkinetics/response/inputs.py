"""Who can be analysed, and with which exposure.

A subject needs a value, or a value in every posterior draw, and whatever else the analysis asks for.
Everybody else is listed with the reason: nobody leaves an analysis in silence.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from carkinetics.errors import DataError
from carkinetics.exposure.area import Floats
from carkinetics.exposure.course import ExposureCourse
from carkinetics.exposure.table import Exposure


def _exposure_reasons(rows: pd.DataFrame, samples: pd.DataFrame | None, positive: bool) -> pd.Series:
    """Why each subject's exposure cannot be used, or nothing."""
    values = rows["value"].astype(float)
    given = rows["excluded"].where(rows["excluded"] != "", "no value")
    reasons = given.where(values.isna(), "").mask(
        np.isinf(values), "the value is infinite; use a time-to-event analysis"
    )
    if positive:
        reasons = reasons.where(~(values <= 0), "the value is not above 0, so it has no logarithm")
    if samples is None:
        return reasons
    drawn = samples.reindex(columns=rows.index)
    # Infinity is a persistence that does not end within 20 years: leaving out those draws would be conditioning
    # on the loss of the cells.
    endless = np.isinf(drawn).sum()
    text = (
        endless.astype(str) + f" of {len(samples)} posterior draws are infinite; use a time-to-event analysis"
    )
    reasons = reasons.where((reasons != "") | (endless == 0), text)
    missing = drawn.isna().sum()
    text = missing.astype(str) + f" of {len(samples)} posterior draws have no value"
    reasons = reasons.where((reasons != "") | (missing == 0), text)
    low = (drawn <= 0).any()
    return reasons.where((reasons != "") | ~(low & positive), "a posterior draw is not above 0")


def usable_exposure(
    exposure: Exposure, metric: str, other_reasons: pd.Series, *, positive: bool
) -> tuple[pd.Series, Floats | None, pd.DataFrame]:
    """Exposure of the subjects that can be analysed.

    Parameters
    ----------
    exposure : Exposure
        Metrics by subject.
    metric : str
        Metric to use.
    other_reasons : pandas.Series
        Indexed by subject: why a subject cannot be used apart from its exposure, or an empty text.
    positive : bool
        Whether a logarithm will be taken.

    Returns
    -------
    values : pandas.Series
        Point values of the usable subjects, indexed by subject.
    samples : ndarray, shape (n_draws, n_subjects), or None
        Their posterior draws; None when the exposure has none.
    excluded : pandas.DataFrame
        ``subject, reason`` of the others.

    Raises
    ------
    ConfigError
        If the metric is not in the exposure.
    DataError
        If exposure and data have no subject in common.
    """
    rows, samples = exposure.rows(metric), exposure.samples(metric)
    known = rows.index.intersection(other_reasons.index)
    if known.empty:
        raise DataError("exposure and data have no subject in common; are they from the same study?")
    reasons = _exposure_reasons(rows, samples, positive)
    reasons = reasons.where(reasons != "", other_reasons.reindex(rows.index).fillna("not in the data"))
    without = other_reasons.index.difference(rows.index, sort=False)
    reasons = pd.concat([reasons, pd.Series("no exposure", index=without, dtype=object)])
    usable = reasons[reasons == ""].index
    excluded = reasons[reasons != ""]
    table = pd.DataFrame({"subject": excluded.index.astype(str), "reason": excluded.to_numpy()})
    array = None if samples is None else samples[usable].to_numpy(dtype=float)
    return rows.loc[usable, "value"].astype(float), array if array is None else np.asarray(array), table


def usable_course(
    course: ExposureCourse, kind: str, other_reasons: pd.Series
) -> tuple[ExposureCourse, pd.DataFrame]:
    """Exposure that changes with time, of the subjects that can be analysed.

    Parameters
    ----------
    course : ExposureCourse
        Of everybody.
    kind : str
        ``"level"`` or ``"auc"``.
    other_reasons : pandas.Series
        As of `usable_exposure`.

    Returns
    -------
    course : ExposureCourse
        Of who is usable.
    excluded : pandas.DataFrame
        ``subject, reason`` of the others.
    """
    reasons = other_reasons.copy()
    drawn = pd.Series(np.isfinite(course.values(kind)).all(axis=(0, 2)), index=list(course.subject_ids))
    for subject in reasons.index[reasons == ""]:
        if subject not in drawn.index:
            reasons[subject] = str(course.without.get(subject, "no exposure"))
        elif not drawn[subject]:
            reasons[subject] = "the curve could not be computed in every posterior draw"
    excluded = reasons[reasons != ""]
    table = pd.DataFrame({"subject": excluded.index.astype(str), "reason": excluded.to_numpy()})
    return course.of(reasons.index[reasons == ""]), table

"""Cytokines and other markers, and anti-drug antibodies: what a course of measurements comes to for each subject."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from carkinetics.dataset.table import MARKER, Dataset
from carkinetics.errors import DataError
from carkinetics.exposure import nca

NEGATIVE, PRE_EXISTING, BOOSTED, INDUCED = "negative", "pre-existing", "boosted", "induced"


def marker_summary(
    data: Dataset, assays: str | Iterable[str] | None = None, *, window: tuple[float, float] = (0.0, 28.0)
) -> pd.DataFrame:
    """Baseline, peak, fold rise and area of each marker in each subject.

    Parameters
    ----------
    data : Dataset
        With markers, for instance cytokines.
    assays : str or iterable of str, optional
        Which; all markers if not given.
    window : tuple of float
        First and last day that count for peak and area.

    Returns
    -------
    pandas.DataFrame
        One row per subject and assay: ``baseline_lower, baseline_upper`` (last sample before the window's first day has passed),
        ``peak_lower, peak_upper, peak_day`` (day of the highest lower bound, the first of several), ``fold_lower, fold_upper``, ``auc`` and ``n``
        samples in the window. Lower and upper are equal where the value was quantified; below the LLOQ the value lies between 0 (or
        the LOD) and the LLOQ, above the ULOQ between it and infinity. What is not known is NaN.

    Raises
    ------
    DataError
        If there is no marker.
    """
    names = [assays] if isinstance(assays, str) else list(assays or ())
    names = names or [name for name in data.assays["assay"] if data.kind(name) == MARKER]
    if not names:
        raise DataError("the data have no marker; name assays to summarise, or read them with markers=[...]")
    rows = [row for name in names for row in _of_assay(data, name, window)]
    return pd.DataFrame(rows)


def _of_assay(data: Dataset, assay: str, window: tuple[float, float]) -> list[dict[str, object]]:
    data.unit(assay)  # refuses an assay that is not there
    observations = data.observations[data.observations["assay"] == assay].sort_values(
        ["subject", "time"], kind="stable"
    )
    metric = f"auc_{window[0]:g}_{window[1]:g}"
    areas = nca(data, assay=assay, metrics=[metric]).rows(metric)["value"]
    found = []
    for subject in data.subject_ids:
        mine = observations[observations["subject"] == subject]
        before = mine[mine["time"] <= window[0]]
        inside = mine[mine["time"].between(*window)]
        row: dict[str, object] = {"subject": subject, "assay": assay, "unit": data.unit(assay)}
        base = before[["lower", "upper"]].iloc[-1].to_numpy(float) if len(before) else np.full(2, np.nan)
        peak = inside[["lower", "upper"]].max().to_numpy(float) if len(inside) else np.full(2, np.nan)
        top = inside["lower"].idxmax() if len(inside) else None
        with np.errstate(divide="ignore", invalid="ignore"):
            fold = peak[0] / base[1], peak[1] / base[0]
        row |= {
            "baseline_lower": base[0],
            "baseline_upper": base[1],
            "peak_lower": peak[0],
            "peak_upper": peak[1],
        }
        row |= {
            "peak_day": np.nan if top is None else float(inside.loc[top, "time"]),
            "fold_lower": fold[0],
            "fold_upper": fold[1],
        }
        found.append(row | {"auc": float(areas.get(subject, np.nan)), "n": len(inside)})
    return found


def antibody_status(
    titres: pd.DataFrame, *, boost_factor: float, transient_days: float, baseline_day: float = 0.0
) -> pd.DataFrame:
    """Anti-drug antibodies of each subject: pre-existing, boosted, induced, transient, and their onset as a time.

    Parameters
    ----------
    titres : pandas.DataFrame
        One row per sample: ``subject, day, titre`` (0 where negative).
    boost_factor : float
        A titre of at least this many times the one at the baseline is a boosted one. 4 means two twofold dilutions.
    transient_days : float
        Antibodies that came after the infusion are transient if the last sample is negative and first and last positive one lie
        less than this apart.
    baseline_day : float
        Samples up to this day are from before the infusion had an effect.

    Returns
    -------
    pandas.DataFrame
        Indexed by subject: ``status`` (negative, pre-existing, boosted, induced; unknown without a sample on one side),
        ``transient`` (True or False of who was induced or boosted, else None), ``onset`` (day of the first sample that is positive, or
        boosted, after the baseline; infinite where there is none), ``after`` (day of the last sample before it: the antibodies came
        between the two), ``peak_titre`` and ``n``.

    Raises
    ------
    DataError
        If a column is missing, or a titre or day makes no sense.

    Notes
    -----
    "Ever positive" is known only of who was followed long enough to become so: compare by the time of ``onset``, not by ``status``.
    """
    for column in ("subject", "day", "titre"):
        if column not in titres.columns:
            raise DataError(f"titres: column {column!r} is missing; expected subject, day, titre")
    rows = titres.assign(subject=titres["subject"].astype(str))
    for column in ("day", "titre"):
        rows[column] = pd.to_numeric(rows[column], errors="coerce")
        bad = ~np.isfinite(rows[column]) | ((rows[column] < 0) & (column == "titre"))
        if bad.any():
            given = titres.astype(object).loc[rows.index[bad][0], column]
            raise DataError(f"titres, row {rows.index[bad][0]!r}: {column} is {given!r}; expected a number" + (
                ", 0 where negative" if column == "titre" else ""))  # fmt: skip
    found = {
        subject: _antibodies(
            mine.sort_values("day", kind="stable"), boost_factor, transient_days, baseline_day
        )
        for subject, mine in rows.groupby("subject", sort=False)
    }
    return pd.DataFrame.from_dict(found, orient="index").rename_axis("subject")


def _antibodies(
    rows: pd.DataFrame, boost_factor: float, transient_days: float, baseline_day: float
) -> dict[str, object]:
    day, titre = rows["day"].to_numpy(float), rows["titre"].to_numpy(float)
    before, after = day <= baseline_day, day > baseline_day
    base = float(titre[before][-1]) if before.any() else np.nan
    risen = after & (titre > 0) & ((titre >= boost_factor * base) if base > 0 else True)
    onset = float(day[risen][0]) if risen.any() else np.inf
    earlier = day[day < onset]
    if np.isnan(base) or not after.any():
        status = "unknown"
    elif base > 0:
        status = BOOSTED if risen.any() else PRE_EXISTING
    else:
        status = INDUCED if risen.any() else NEGATIVE
    transient = None
    if status in (INDUCED, BOOSTED):
        apart = float(day[risen][-1] - day[risen][0])
        transient = bool(not risen[-1] and apart < transient_days)
    return {"status": status, "transient": transient, "onset": onset,
            "after": float(earlier[-1]) if earlier.size and np.isfinite(onset) else np.nan, "peak_titre": float(titre.max()), "n": len(rows)}  # fmt: skip

"""What the interactive charts draw: samples and curves of every subject, as plain lists for the page's script.

Levels and days come with the words that stand beside the pointer, so that the script formats no number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from carkinetics.dataset import Dataset
from carkinetics.dataset.table import CAR, PREDOSE, is_above, is_censored
from carkinetics.diagnostics.binning import stratum_order
from carkinetics.diagnostics.replicate import limit_of, measured_level
from carkinetics.diagnostics.residuals import misfit
from carkinetics.fit import Fit
from carkinetics.fit.measured import fitted_data
from carkinetics.fit.predictive import individual_curves, typical_curve
from carkinetics.fit.result import INTERVAL
from carkinetics.plot.axes import DAY_TICKS, LONGEST_LINEAR, log_limits
from carkinetics.plot.style import level_label
from carkinetics.report.written import amount, number

CURVE_POINTS = 120
DIGITS = 4  # of a curve: a tenth of a pixel


def fit_chart(fit: Fit, output: str = "") -> dict[str, Any]:
    """Samples, curve and band of each subject, those that are fitted worst first.

    Parameters
    ----------
    fit : Fit
        Any fit.
    output : str
        Which output of the model; the CAR-T level if empty.

    Returns
    -------
    dict
        For `charts.js`.
    """
    data = fitted_data(fit, output)
    rows = _after_infusion(data)
    of = fit.model.output(output)
    times = np.square(np.linspace(0.0, np.sqrt(_last(rows)), CURVE_POINTS))
    curves = individual_curves(fit, times, output=output)
    tail = (1 - INTERVAL) / 2
    low, middle, high = np.quantile(curves.to_numpy(), [tail, 0.5, 1 - tail], axis=0)
    hierarchical = fit.method != "individual"
    typical = (
        typical_curve(fit, times, by_subject=True, output=output).median("draw") if hierarchical else None
    )
    subjects, far = [], misfit(fit, output=output)
    for i, one in enumerate(_subjects(data, rows, pd.Series("", index=data.subject_ids))):
        one["misfit"] = f"{far[one['id']]:.1f}" if np.isfinite(far[one["id"]]) else ""
        one["curve"] = _rounded(middle[i])
        if hierarchical and typical is not None:
            one |= {"low": _rounded(low[i]), "high": _rounded(high[i])}
            one["typical"] = _rounded(typical.sel(subject=one["id"]).to_numpy())
        subjects.append(one)
    place = {subject: k for k, subject in enumerate(far.index)}
    subjects.sort(key=lambda one: place[one["id"]])
    marker = "" if of is fit.model.output() else of.name
    named = {
        "band": f"{INTERVAL:.0%} credible band",
        "individual": "individual, median" if hierarchical else "individual",
    }
    return _axes(rows, level_label(of.unit, marker)) | {
        "kind": "fit", "times": _rounded(times), "names": named, "subjects": subjects
    }  # fmt: skip


def profile_chart(data: Dataset, assay: str, groups: pd.Series | None) -> dict[str, Any]:
    """Samples of all subjects.

    Parameters
    ----------
    data : Dataset
        What was measured.
    assay : str
        Which assay.
    groups : pandas.Series or None
        Dose level of each subject, which colours stand for.

    Returns
    -------
    dict
        For `charts.js`.
    """
    one = data.select(assay=assay)
    rows = _after_infusion(one)
    words, names = pd.Series("", index=one.subject_ids), [""]
    if groups is not None:
        own = groups.reindex(one.subject_ids)
        words = own.map(_group)
        names = list(
            dict.fromkeys(_group(group) for group in [*stratum_order(own.dropna().tolist()), np.nan])
        )
    label = level_label(str(one.assays["unit"].iloc[0]), "" if one.kind(assay) == CAR else assay)
    return _axes(rows, label) | {"kind": "profiles", "groups": names, "subjects": _subjects(one, rows, words)}


def _group(dose: object) -> str:
    """A dose level as people write it, also where the table has it as text."""
    if pd.isna(dose):
        return "no dose"
    try:
        return amount(float(str(dose)))
    except ValueError:
        return str(dose)


def _after_infusion(data: Dataset) -> pd.DataFrame:
    rows = data.observations[data.observations["status"] != PREDOSE]
    return rows.sort_values("time", kind="stable")


def _last(rows: pd.DataFrame) -> float:
    return max(float(rows["time"].max()) if len(rows) else 0.0, 7.0)


def _axes(rows: pd.DataFrame, label: str) -> dict[str, Any]:
    """Axes that all subjects share, so that they can be compared."""
    shown = np.concatenate([measured_level(rows), limit_of(rows)])
    low, high = log_limits(shown)
    last = _last(rows)
    lloq = np.unique(rows["lloq"].dropna())
    return {
        "label": label, "levels": [low, high], "first": float(min(rows["time"].min(), 0.0)) if len(rows) else 0.0, "last": last,
        "root": last > LONGEST_LINEAR, "days": [day for day in DAY_TICKS if day <= last * 1.02], "lloq": lloq.tolist(),
    }  # fmt: skip


def _subjects(data: Dataset, rows: pd.DataFrame, words: pd.Series) -> list[dict[str, Any]]:
    """Samples, infusions and events, in the order of the data."""
    of_subject = {str(subject): block for subject, block in rows.groupby("subject", sort=False)}
    found = []
    for subject in data.subject_ids:
        block = of_subject.get(subject, rows.iloc[:0])
        below, above = is_censored(block), is_above(block)
        limit = limit_of(block)
        level = np.where(below, limit, measured_level(block))
        doses = data.doses[data.doses["subject"] == subject]
        events = data.events[data.events["subject"] == subject]
        found.append(
            {
                "id": subject, "group": str(words[subject]), "day": _rounded(block["time"], 6), "level": _rounded(level, 6),
                "state": np.where(below, "below", np.where(above, "above", "")).tolist(),
                "said": [_said(*one) for one in zip(level, below, above, limit, strict=True)],
                "doses": [[float(d), amount(float(a)) if a > 0 else "unknown"] for d, a in zip(doses["time"], doses["amount"], strict=True)],
                "events": [[float(d), str(e)] for d, e in zip(events["time"], events["event"], strict=True)],
            }
        )  # fmt: skip
    return found


def _said(level: float, below: bool, above: bool, limit: float) -> str:
    if below:
        return f"< LLOQ ({number(limit)})" if limit > 0 else "BLQ"
    return f"> ULOQ ({number(level)})" if above else number(level)


def _rounded(values: ArrayLike, digits: int = DIGITS) -> list[float | None]:
    """Short numbers; None where there is none, which JSON knows."""
    return [float(f"{x:.{digits}g}") if np.isfinite(x) else None for x in np.asarray(values, dtype=float)]

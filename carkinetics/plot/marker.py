"""A cytokine beside the cells that release it, and which of the two peaks first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from carkinetics.dataset.table import is_above, is_censored
from carkinetics.diagnostics.replicate import limit_of, measured_level
from carkinetics.errors import ConfigError, did_you_mean
from carkinetics.plot.axes import legend_shared, log_limits, log_ticks, new_axes, new_grid, time_axis
from carkinetics.plot.style import (
    BLACK,
    BLQ_MARK,
    BLUE,
    GREY,
    ORANGE,
    ULOQ_MARK,
    VERMILION,
    level_label,
    safe,
    styled,
)
from carkinetics.response.marker_fit import MarkerModel

COLUMNS = 4
LOWEST = 1e-3  # of the highest level: what lies below is left to the lower edge
AxesArray = np.ndarray[Any, np.dtype[np.object_]]


@styled
def marker(result: MarkerModel, *, subjects: Iterable[str] | None = None) -> AxesArray:
    """Fitted cytokine below the CAR-T level that drives it, one column per subject.

    Parameters
    ----------
    result : MarkerModel
        From `carkinetics.fit_marker`.
    subjects : iterable of str, optional
        Which, in this order; if not given, 4 with at least the median number of samples, spread over the range of lags.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (2, n_subject)
        CAR-T levels above, the cytokine below. Dotted lines are the medians of the two peaks.

    Raises
    ------
    ConfigError
        If a subject is not in the result.
    """
    chosen = _typical(result) if subjects is None else [str(subject) for subject in subjects]
    for subject in chosen:
        if subject not in result.subjects.index:
            raise ConfigError(f"marker: no subject {subject!r}{did_you_mean(subject, result.subjects.index)}")
    width = {1: 4.6, 2: 3.6}.get(len(chosen), 2.7)
    axes = new_grid(2, len(chosen), width * len(chosen) + 0.8, 5.2, sharex=True, sharey="row")
    settings = result.settings
    rows = (
        ("car", settings["car_assay"], BLUE, level_label(settings["car_unit"])),
        ("marker", settings["assay"], ORANGE, level_label(settings["unit"], settings["assay"])),
    )
    for (name, assay, colour, label), line in zip(rows, axes, strict=True):
        seen = result.observed[(result.observed["assay"] == assay) & result.observed["subject"].isin(chosen)]
        curve = result.curve[result.curve["subject"].isin(chosen)]
        _prepare(line[0], curve[name].to_numpy(float), seen, label)
        for ax, subject in zip(line, chosen, strict=True):
            _panel(ax, curve[curve["subject"] == subject], name, seen[seen["subject"] == subject], colour)
    for k, subject in enumerate(chosen):
        found = result.subjects.loc[subject]
        axes[0, k].set_title(f"{safe(subject, 18)}: lag {found['lag']:+.1f} d", fontsize=9.5)
        for ax in axes[:, k]:
            ax.axvline(found["car_peak_day"], color=BLUE, linewidth=1.0, linestyle=":", zorder=1)
            ax.axvline(found["peak_day"], color=ORANGE, linewidth=1.0, linestyle=":", zorder=1)
        time_axis(
            axes[1, k],
            float(result.observed.loc[result.observed["assay"] == settings["assay"], "time"].max()),
        )
    shown = result.observed[result.observed["subject"].isin(chosen)]
    _legend(axes[0, 0], shown, str(settings["interval"]))
    return axes


@styled
def marker_lag(result: MarkerModel, *, ax: Axes | None = None) -> Axes:
    """Lag from the peak of the CAR-T level to the peak of the cytokine, by subject.

    Parameters
    ----------
    result : MarkerModel
        From `carkinetics.fit_marker`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.axes.Axes
        A line and a point per subject, in order; the band is the interval of their median.
    """
    found = result.subjects.sort_values("lag", kind="stable")
    ax = new_axes(5.6, min(2.0 + 0.13 * len(found), 9.0)) if ax is None else ax
    middle, low, high = result.table.loc["lag", ["value", "lower", "upper"]].astype(float)
    share = str(result.settings["interval"]).split(" ")[0]
    ax.axvspan(
        low, high, color=ORANGE, alpha=0.3, linewidth=0, zorder=1, label=f"median of subjects, {share} CrI"
    )
    ax.axvline(middle, color=ORANGE, zorder=2)
    ax.axvline(0.0, color=GREY, linewidth=0.9, linestyle="--", zorder=1)
    at = np.arange(len(found))
    ax.hlines(at, found["lag_lower"], found["lag_upper"], color=BLACK, linewidth=0.9, alpha=0.6, zorder=3)
    ax.plot(found["lag"], at, "o", color=BLACK, markersize=3.2, zorder=4, label=f"subject, {share} CrI")
    ax.set_yticks([])
    ax.set_ylabel(f"{len(found)} subjects, in order")
    ax.grid(visible=False, axis="y")
    name = safe(result.settings["assay"])
    ax.set_xlabel(f"Peak of {name} after the peak of the CAR-T level (days)")
    ax.legend(loc="upper left")
    return ax


def _typical(result: MarkerModel) -> list[str]:
    """Subjects with many samples at even steps through the order of lags."""
    full = result.subjects[result.subjects["n"] >= result.subjects["n"].median()].sort_values(
        "lag", kind="stable"
    )
    at = np.unique(np.linspace(0, len(full) - 1, COLUMNS + 2).round().astype(int)[1:-1])
    return [str(subject) for subject in full.index[at]]


def _prepare(ax: Axes, curve: np.ndarray, seen: pd.DataFrame, label: str) -> None:
    """Logarithmic levels for a whole row of panels."""
    limits = limit_of(seen)[is_censored(seen)]
    low, high = log_limits(
        np.concatenate([curve[curve > LOWEST * curve.max()], measured_level(seen), limits])
    )
    ax.set_yscale("log")
    ax.set_ylim(low, high)
    log_ticks(ax.yaxis)
    ax.set_ylabel(label)


def _legend(ax: Axes, seen: pd.DataFrame, interval: str) -> None:
    band = f"median and {interval.split(' ')[0]} CrI"
    handles: list[Any] = [
        Line2D([], [], color=BLUE, label=f"CAR-T level, {band}"),
        Line2D([], [], color=ORANGE, label=f"cytokine, {band}"),
        Line2D([], [], color=GREY, linestyle=":", label="their peaks"),
        Line2D([], [], color=BLACK, marker="o", markersize=4, linestyle="none", label="observed"),
    ]
    if is_censored(seen).any():
        handles.append(Line2D([], [], color=VERMILION, markersize=5, label="BLQ, at the limit", **BLQ_MARK))
    if is_above(seen).any():
        handles.append(
            Line2D([], [], color=VERMILION, markersize=5, label="above the ULOQ, at it", **ULOQ_MARK)
        )
    legend_shared(ax, handles, columns=3, place="upper")


def _panel(ax: Axes, curve: pd.DataFrame, name: str, seen: pd.DataFrame, colour: str) -> None:
    time = curve["time"].to_numpy(float)
    ax.fill_between(
        time, curve[f"{name}_lower"], curve[f"{name}_upper"], color=colour, alpha=0.22, linewidth=0, zorder=2
    )
    ax.plot(time, curve[name], color=colour, zorder=3)
    below, above = is_censored(seen), is_above(seen)
    at, level, exact = seen["time"].to_numpy(float), measured_level(seen), ~below & ~above
    ax.plot(at[exact], level[exact], "o", color=BLACK, markersize=3.4, zorder=4)
    ax.plot(at[above], level[above], color=VERMILION, markersize=4.4, zorder=4, **ULOQ_MARK)
    ax.plot(at[below], limit_of(seen)[below], color=VERMILION, markersize=4.4, zorder=4, **BLQ_MARK)

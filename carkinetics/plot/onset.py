"""Onset of an event on the expansion curve of each subject, and against its own peak."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from carkinetics.dataset.table import Dataset
from carkinetics.fit.measured import fitted_data
from carkinetics.fit.predictive import individual_curves
from carkinetics.fit.result import INTERVAL, Fit
from carkinetics.plot.axes import legend_right, log_limits, log_ticks, new_grid, time_axis
from carkinetics.plot.profile import draw_lloq
from carkinetics.plot.style import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    SKY,
    VERMILION,
    level_label,
    safe,
    styled,
)
from carkinetics.response.onset import OnsetTiming, onset_name, onset_timing

# Cool colours for mild, warm ones for severe, by CTCAE or ASTCT grade.
GRADE_COLOURS = {0: GREY, 1: SKY, 2: BLUE, 3: ORANGE, 4: VERMILION, 5: BLACK}
CURVE_POINTS = 160
SHORTEST = 28.0
AxesArray = np.ndarray[Any, np.dtype[np.object_]]


@styled
def onset(
    fit: Fit,
    data: Dataset,
    onset: str = "crs_day",
    grade: str | None = "crs_grade",
    *,
    label: str = "",
    until: float | None = None,
    n_draws: int = 400,
    seed: int = 1,
) -> AxesArray:
    """When an event began, on each subject's expansion curve and against its own Tmax.

    Parameters
    ----------
    fit : Fit
        Hierarchical, or individual (no intervals).
    data : Dataset
        Whose subjects carry the onset.
    onset : str
        Column of ``data.subjects``: day since infusion; empty without the event.
    grade : str or None
        Column with the grade, which colours the points; None if there is none.
    label : str
        What the event is called, such as ``"CRS"``; the column of the onset if not given.
    until : float, optional
        Last day that is shown; 28, or a little after the last onset, if not given.
    n_draws : int
        Number of posterior draws.
    seed : int
        Seed of the choice of draws.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (2,)
        Curves (posterior medians) on a log axis, grey, with a point at each onset; under them one line per subject with an
        onset, ordered by its distance from the subject's Tmax, with the interval of Tmax.

    Raises
    ------
    ConfigError
        If there is no such column, or the label is no text.
    DataError
        If an onset is not a day from 0 on, or no subject with an onset has a fitted curve.
    """
    timing = onset_timing(fit, data, onset, grade, label=label, n_draws=n_draws, seed=seed)
    last = until or max(SHORTEST, 1.1 * float(timing.table["onset"].max()))
    strip = min(max(1.3, 0.065 * timing.n), 4.2)
    grid = new_grid(2, 1, 7.4, 3.7 + strip + 0.9, height_ratios=(3.7, strip))
    upper, lower = grid[:, 0]
    _curves(upper, fit, timing, last, n_draws, seed)
    _distances(lower, timing)
    upper.set_title(_title(timing), loc="left", fontsize=9.5)
    return np.array([upper, lower], dtype=object)


def _title(timing: OnsetTiming) -> str:
    name = safe(onset_name(timing.settings), 40)
    left = f"; {len(timing.excluded)} without a curve not shown" if len(timing.excluded) else ""
    return f"{name} before the subject's own Tmax: {timing.before} of {timing.n} ({timing.before / timing.n:.0%}){left}"


def _colour(grade: float) -> str:
    return GRADE_COLOURS.get(int(grade), BLACK) if np.isfinite(grade) else BLACK


def _curves(ax: Axes, fit: Fit, timing: OnsetTiming, last: float, n_draws: int, seed: int) -> None:
    """Every subject's curve in grey, and a point at the onset."""
    times = np.linspace(0, last, CURVE_POINTS)
    curves = individual_curves(fit, times, n_draws, seed).median("draw")
    rows, shown = fitted_data(fit).observations, timing.table[timing.table["onset"] <= last]
    lloq = float(rows["lloq"].min())
    ax.set_yscale("log")
    ax.set_ylim(log_limits([float(curves.max()), *shown["level"]], floor=lloq))
    log_ticks(ax.yaxis)
    time_axis(ax, last)
    ax.set_ylabel(level_label(fit.model.output().unit))
    draw_lloq(ax, rows)
    had = set(timing.table["subject"])
    for subject in fit.data.subject_ids:
        with_event = subject in had
        colour, width = (GREY, 0.8) if with_event else ("#CFCFCF", 0.6)
        ax.plot(
            times,
            curves.sel(subject=subject),
            color=colour,
            linewidth=width,
            alpha=0.7,
            zorder=2 if with_event else 1,
        )
    for grade, block in shown.groupby("grade", dropna=False):
        ax.plot(block["onset"], block["level"], "o", color=_colour(float(grade)), **_point())
    without = len(fit.data.subject_ids) - len(had)
    handles = _handles(timing)
    handles.append(Line2D([], [], color=GREY, linewidth=1, label="curve, with an onset"))
    if without:
        handles.append(Line2D([], [], color="#CFCFCF", linewidth=1, label=f"curve, without (n = {without})"))
    if lloq > 0:
        handles.append(Line2D([], [], color=GREY, linewidth=0.8, linestyle=(0, (1, 2)), label="LLOQ"))
    legend_right(ax, handles=handles)


def _point() -> dict[str, Any]:
    return {"markersize": 6, "markeredgecolor": "white", "markeredgewidth": 0.7, "zorder": 5}


def _handles(timing: OnsetTiming) -> list[Line2D]:
    """One entry per grade, with its number of subjects."""
    found = []
    for grade, block in timing.table.groupby("grade", dropna=False):
        words = f"onset, grade {grade:g}" if pd.notna(grade) else "onset"
        if pd.isna(grade) and timing.settings["grade"]:
            words = "onset, grade unknown"
        found.append(
            Line2D(
                [],
                [],
                color=_colour(float(grade)),
                marker="o",
                linestyle="none",
                label=f"{words} (n = {len(block)})",
                **_point(),
            )
        )
    return found


def _distances(ax: Axes, timing: OnsetTiming) -> None:
    """Onset less Tmax, one line per subject, the earliest on top."""
    table = timing.table
    ordered = table.iloc[np.argsort((table["onset"] - table["tmax"]).to_numpy(), kind="stable")]
    heights = np.arange(len(ordered))
    day = ordered["onset"].to_numpy()
    ax.axvline(0, color=BLACK, linewidth=0.9, zorder=2)
    ax.hlines(
        heights,
        day - ordered["upper"],
        day - ordered["lower"],
        color=GREY,
        linewidth=1.0,
        alpha=0.8,
        zorder=3,
    )
    for grade in ordered["grade"].drop_duplicates():
        same = (ordered["grade"] == grade).to_numpy() | (ordered["grade"].isna().to_numpy() & pd.isna(grade))
        distance = (day - ordered["tmax"].to_numpy())[same]
        ax.plot(distance, heights[same], "o", color=_colour(float(grade)), **{**_point(), "markersize": 4.6})
    ax.set_ylim(len(ordered) - 0.2, -0.8)
    ends = [0.0, *(day - ordered["tmax"]), *(day - ordered["upper"]), *(day - ordered["lower"])]
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    room = 0.13 * (high - low) or 1.0  # for the words on either side of 0
    ax.set_xlim(min(low - 0.03 * (high - low), -room), max(high + 0.03 * (high - low), room))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_locator(NullLocator())
    ax.set_ylabel(f"Subjects ({timing.n})")
    ax.set_xlabel("Days from the subject's own Tmax to the onset")
    for words, side, away in (("before the peak", "right", -5), ("after", "left", 5)):
        ax.annotate(words, (0, 1.0), (away, 3), xycoords=("data", "axes fraction"), textcoords="offset points",
                    ha=side, va="bottom", fontsize=8.5, color=GREY)  # fmt: skip
    if table["lower"].notna().any():
        label = f"{INTERVAL:.0%} CrI of Tmax"
        legend_right(ax, handles=[Line2D([], [], color=GREY, linewidth=1.2, label=label)])

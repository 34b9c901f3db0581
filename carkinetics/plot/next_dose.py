"""Exposure and outcomes at candidate doses, with what was studied shaded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from carkinetics.plot.axes import legend_shared, log_limits, log_ticks, new_grid
from carkinetics.plot.style import (
    BLUE,
    GREY,
    ORANGE,
    PALETTE,
    VERMILION,
    metric_label,
    number,
    readable_unit,
    safe,
    styled,
)
from carkinetics.prognosis.next_dose import NEW, TYPICAL, DosePrediction

AxesArray = np.ndarray[Any, np.dtype[np.object_]]
COLOURS = {NEW: BLUE, TYPICAL: ORANGE}
APART = 0.012  # of the axis, between marks at one dose


@styled
def next_dose(result: DosePrediction) -> AxesArray:
    """Each metric, and the probability of each outcome, against dose.

    Parameters
    ----------
    result : DosePrediction
        From `carkinetics.predict_doses`.

    Returns
    -------
    ndarray of matplotlib.axes.Axes
        One per metric, and one with all outcomes where there are any. The studied doses are shaded; predictions outside them are
        hollow with dashed intervals.
    """
    metrics = [m for m in result.settings["metrics"] if (result.table["metric"] == m).any()]
    n = len(metrics) + bool(len(result.risks))
    panels = new_grid(1, n, 3.5 * n, 3.9)[0]
    for ax, metric in zip(panels, metrics, strict=False):
        _doses(ax, result)
        _metric(ax, result.table[result.table["metric"] == metric], metric)
    if len(result.risks):
        _doses(panels[-1], result)
        _risks(panels[-1], result.risks)
    _legend(panels[0], result)
    return panels


def _doses(ax: Axes, result: DosePrediction) -> None:
    """Log axis of dose, with a tick at each candidate and the studied range shaded."""
    doses, studied = result.settings["doses"], result.settings["studied"]
    ends = [*doses, *(studied or ())]
    low, high = min(ends), max(ends)
    room = max((high / low) ** 0.1, 1.3)
    ax.set_xscale("log")
    ax.set_xlim(low / room, high * room)
    ax.xaxis.set_major_locator(FixedLocator(_ticks(doses, np.log(high / low * room**2))))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(float(f"{value:.3g}"))))
    if studied:
        ax.axvspan(studied[0] / 1.04, studied[1] * 1.04, color=GREY, alpha=0.18, linewidth=0, zorder=0)
    ax.set_xlabel(f"Dose ({readable_unit(result.settings['unit'])})")
    if result.settings["dose_effect"] == "none":
        ax.set_title("dose cannot act in this fit", color=VERMILION, fontsize=9)


def _ticks(doses: list[float], span: float) -> list[float]:
    kept: list[float] = []
    for dose in doses:
        if not kept or np.log(dose / kept[-1]) / span > 0.17:
            kept.append(dose)
    return kept


def _metric(ax: Axes, rows: pd.DataFrame, metric: str) -> None:
    known = rows[rows["missing"] == ""]
    ends = known[["lower", "upper"]].to_numpy(float)
    ax.set_yscale("log")
    ax.set_ylim(log_limits(ends[np.isfinite(ends)]))
    log_ticks(ax.yaxis)
    ax.set_ylabel(metric_label(metric, str(rows["unit"].iloc[0])))
    for side, (who, colour) in zip((-1, 1), COLOURS.items(), strict=True):
        for row in known[known["who"] == who].to_dict("records"):
            _mark(ax, row, "value", side, colour)


def _risks(ax: Axes, risks: pd.DataFrame) -> None:
    ax.set_ylim(0, 1)
    ax.set_ylabel("Probability in a new patient")
    names = list(dict.fromkeys(risks["outcome"]))
    handles = []
    for k, name in enumerate(names):
        colour = PALETTE[(k + 2) % len(PALETTE)]
        for row in risks[risks["outcome"] == name].to_dict("records"):
            _mark(ax, row, "probability", 2 * k - len(names) + 1, colour)
        handles.append(Line2D([], [], color=colour, marker="o", markersize=5, label=safe(name, 30)))
    ax.legend(handles=handles, loc="best")


def _mark(ax: Axes, row: dict[Any, Any], value: str, side: int, colour: str) -> None:
    """A point with its interval beside its dose; hollow and dashed outside what was studied."""
    low, high = np.log(ax.get_xlim())
    x = float(row["dose"]) * np.exp(side * APART * (high - low))
    inside = row["studied"] in ("within", "unknown")
    bottom, top = ax.get_ylim()
    ends = np.clip([row["lower"], row["upper"]], bottom, top)
    ax.plot([x, x], ends, color=colour, linewidth=1.6, linestyle="-" if inside else (0, (3, 1.5)), zorder=2)
    ax.plot(
        x,
        row[value],
        "o",
        color=colour,
        markerfacecolor=colour if inside else "white",
        markersize=5.5,
        zorder=3,
    )


def _legend(ax: Axes, result: DosePrediction) -> None:
    share = str(result.settings["interval"]).split(" ")[0]
    handles: list[Any] = [
        Line2D([], [], color=colour, marker="o", markersize=5, label=f"{who}, {share} interval")
        for who, colour in COLOURS.items()
    ]
    if result.settings["studied"]:
        handles.append(Patch(color=GREY, alpha=0.18, linewidth=0, label="studied doses"))
    if result.table["studied"].isin(["above", "below"]).any():
        dashed: dict[str, Any] = {
            "linestyle": (0, (3, 1.5)),
            "marker": "o",
            "markerfacecolor": "white",
            "markersize": 5,
        }
        handles.append(Line2D([], [], color=BLUE, label="extrapolated", **dashed))
    legend_shared(ax, handles, columns=min(4, len(handles)))

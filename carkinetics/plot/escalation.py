"""The path of one dose escalation: who had which dose, what happened, what was decided, by which rule."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import FixedLocator, NullLocator

from carkinetics.escalation.cohort import dose_text
from carkinetics.plot.axes import legend_shared, new_axes
from carkinetics.plot.style import BLACK, BLUE, GREY, ORANGE, VERMILION, group_label, safe, styled
from carkinetics.trial.path import EscalationPath, escalation_path
from carkinetics.trial.simulated import SimulatedTrial

# Marker, fill and edge by what happened; in the order of the legend.
MARKS: dict[str, tuple[str, str, str]] = {
    "no DLT": ("o", BLUE, BLUE),
    "grade 2": ("D", ORANGE, BLACK),
    "DLT": ("o", VERMILION, VERMILION),
    "pending": ("o", "white", BLUE),
    "not evaluable": ("o", "white", GREY),
}
LABELS = {"pending": "in the window"}
WORDS = {
    "start": "start",
    "escalate": "up",
    "stay": "stay",
    "de-escalate": "down",
    "wait": "wait",
    "stop": "stop",
}
INCH, NARROW, ROW, LINE = (
    0.3,
    0.24,
    0.62,
    0.155,
)  # a patient's width, among many, a dose's height, a line of text
LETTER = 0.066  # inches, of the text below
STACK, STEP = 4, 0.42  # an expansion's patients in a column, and the width of one, in widths of a patient
BEHIND = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
LONGEST = 40  # decisions that are written out


@styled
def escalation(trial: SimulatedTrial | EscalationPath, *, ax: Axes | None = None) -> Axes:
    """The path of one escalation, patient by patient, and the rule behind every step.

    Parameters
    ----------
    trial : SimulatedTrial or EscalationPath
        A simulated trial, or from `carkinetics.escalation_path` for cohorts under a design.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.axes.Axes
        Patients in the order of treatment against their dose, a numbered box round each cohort; a dashed line at the
        selected dose. Under it what was decided before each cohort, and why. The expansion is drawn small, in columns.
    """
    path = escalation_path(trial) if isinstance(trial, SimulatedTrial) else trial
    places = _places(path)
    if ax is None:
        last = float(places["x"].max()) if len(places) else 4.0
        width = max(6.8, 1.9 + (INCH if last < 30 else NARROW) * last)
        lines = _lines(path.decisions, width)
        ax = new_axes(width, 1.5 + ROW * len(path.doses) + LINE * len(lines))
    else:
        lines = _lines(path.decisions, float(cast(Figure, ax.get_figure(root=True)).get_size_inches()[0]))
    for number, own in places[places["cohort"] > 0].groupby("cohort"):
        _cohort(ax, own, int(str(number)))
    for _, own in places[places["cohort"] == 0].groupby("level"):
        _expansion(ax, own)
    _path_line(ax, places[places["cohort"] > 0])
    _patients(ax, places)
    _axes(ax, path, places)
    text = "\n".join(lines)
    ax.annotate(text, (0, 0), xytext=(-4, -40), xycoords="axes fraction", textcoords="offset points", va="top", fontsize=8,
                annotation_clip=False, linespacing=1.25)  # fmt: skip
    return ax


def _places(path: EscalationPath) -> pd.DataFrame:
    """Patients with ``x`` and ``y``; the expansion in columns of four beside the escalation."""
    table = path.patients.reset_index(drop=True)
    early = table["cohort"] > 0
    gaps = table["cohort"].ne(table["cohort"].shift()) & early
    x = np.where(early, early.cumsum() + 0.5 * gaps.cumsum() - 0.5, np.nan)
    y = table["level"].to_numpy(float)
    start = float(np.nanmax(x)) + 1.4 if early.any() else 1.0
    for level in table.loc[~early, "level"].unique():
        own = np.flatnonzero(~early & (table["level"] == level))
        order = np.arange(len(own))
        x[own] = start + STEP * (order // STACK)
        y[own] = level + 0.16 * ((STACK - 1) / 2 - order % STACK)
    return table.assign(x=x, y=y, small=~early)


def _cohort(ax: Axes, own: pd.DataFrame, number: int) -> None:
    left, right, level = own["x"].min() - 0.45, own["x"].max() + 0.45, own["level"].iloc[0]
    titrated = own["phase"].iloc[0] == "titration"
    _box(ax, left, right, level, 0.27, dashed=titrated)
    ax.text(
        left + 0.08,
        level + 0.35,
        str(number),
        fontsize=7.5,
        fontweight="bold",
        va="bottom",
        bbox=BEHIND,
        zorder=3,
    )


def _box(ax: Axes, left: float, right: float, level: float, half: float, *, dashed: bool = False) -> None:
    ax.add_patch(
        FancyBboxPatch(
            (left, level - half), right - left, 2 * half, boxstyle="round,pad=0,rounding_size=0.12", facecolor="white",
            edgecolor=GREY, linewidth=0.9, linestyle=(0, (3, 2)) if dashed else "solid", zorder=2,
        )
    )  # fmt: skip


def _expansion(ax: Axes, own: pd.DataFrame) -> None:
    left, right, level = own["x"].min() - 0.35, own["x"].max() + 0.35, own["level"].iloc[0]
    _box(ax, left, right, level, 0.4)
    dlt = int((own["outcome"] == "DLT").sum())
    unknown = int(own["outcome"].isin(["not evaluable", "pending"]).sum())
    more = f", {unknown} not known" if unknown else ""
    text = f"expansion\n{len(own)} treated\n{dlt} DLT{more}"
    ax.text(right + 0.25, level, text, fontsize=7.5, va="center", bbox=BEHIND, zorder=3)


def _path_line(ax: Axes, escalated: pd.DataFrame) -> None:
    middle = escalated.groupby("cohort")[["x", "level"]].mean()
    ax.plot(middle["x"], middle["level"], color=GREY, linewidth=1.0, zorder=1)


def _patients(ax: Axes, places: pd.DataFrame) -> None:
    for (outcome, small), own in places.groupby(["outcome", "small"]):
        size = 4.0 if small else 7.5
        marker, face, edge = MARKS[str(outcome)]
        if marker == "D":
            size *= 0.85
        ax.plot(own["x"], own["y"], marker, markerfacecolor=face, markeredgecolor=edge, markersize=size, linestyle="none",
                markeredgewidth=1.0, zorder=4)  # fmt: skip
        if outcome == "DLT":
            ax.plot(
                own["x"], own["y"], "x", color="white", markersize=0.6 * size, markeredgewidth=1.2, zorder=5
            )

    off = places[places["counted"] != places["level"]]
    for small, own in off.groupby("small"):
        down = (0.075, 2.6) if small else (0.2, 4.0)
        ax.plot(
            own["x"], own["y"] - down[0], "v", color=BLACK, markersize=down[1], linestyle="none", zorder=5
        )


def _axes(ax: Axes, path: EscalationPath, places: pd.DataFrame) -> None:
    early = places[~places["small"]]
    last = float(places["x"].max()) if len(places) else 4.0
    room = 4.2 if places["small"].any() else 1.2
    ax.set_xlim(0.2, max(last + room, 6.0))
    ax.set_ylim(0.4, len(path.doses) + 0.75)
    ax.set_yticks(range(1, len(path.doses) + 1), [group_label(f"{dose:g}") for dose in path.doses])
    unit = f" ({safe(path.dose_unit)})" if path.dose_unit else ""
    ax.set_ylabel(f"Dose{unit}")
    every = 1 if len(early) <= 30 else 2 if len(early) <= 60 else 5
    shown = [k for k in range(len(early)) if k == 0 or (k + 1) % every == 0]
    ax.xaxis.set_major_locator(FixedLocator(early["x"].iloc[shown].tolist()))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticklabels([str(k + 1) for k in shown], fontsize=8)
    order = "" if path.named else "; the order within a cohort is not known"
    ax.set_xlabel(f"Patient, in the order of treatment{order}", loc="left")
    ax.grid(visible=False, axis="x")
    ax.set_title(_title(path), loc="left", fontsize=9.5)
    if path.mtd:
        level = path.doses.index(path.mtd) + 1
        ax.axhline(level, color=BLACK, linewidth=1.1, linestyle=(0, (5, 3)), zorder=1.5)
    legend_shared(ax, list(_legend(path, places)), columns=6, place="upper")


def _title(path: EscalationPath) -> str:
    if path.mtd is None:
        end = "no dose selected so far"
    else:
        end = f"selected: dose {dose_text(path.mtd)} (dashed line)" if path.mtd else "no dose is selected"
    return safe(f"{path.design}; {end}", 110)


def _legend(path: EscalationPath, places: pd.DataFrame) -> Iterator[Line2D]:
    seen = set(places["outcome"])
    for outcome, (marker, face, edge) in MARKS.items():
        if outcome in seen:
            line: dict[str, Any] = {"markerfacecolor": face, "markeredgecolor": edge, "linestyle": "none"}
            if outcome == "DLT":  # a circle with a cross, as one sign
                marker, line["markeredgewidth"] = "$\u2297$", 0.3
            size = 8.5 if outcome == "DLT" else 6.5
            yield Line2D([], [], marker=marker, markersize=size, label=LABELS.get(outcome, outcome), **line)
    if (places["counted"] != places["level"]).any():
        yield Line2D(
            [],
            [],
            color=BLACK,
            marker="v",
            markersize=4,
            linestyle="none",
            label="received less: counts lower",
        )
    if (places["phase"] == "titration").any():
        yield Line2D([], [], color=GREY, linestyle=(0, (3, 2)), label="titration")


def _lines(decisions: pd.DataFrame, width: float) -> list[str]:
    """Every decision: its number, its day, what, and why; broken to a width in inches."""
    lines = []
    for row in decisions.head(LONGEST).to_dict("records"):
        day = f"day {row['day']:.0f}, " if np.isfinite(row["day"]) else ""
        if row["action"] == "stop":
            what = f"stop, dose {dose_text(row['mtd'])} selected" if row["mtd"] else "stop, no dose selected"
        elif pd.isna(row["dose"]):
            what = "wait"
        else:
            what = f"{WORDS[row['action']]}: {row['n']} at dose {dose_text(row['dose'])}"
        why = f"{row['reason'].rstrip('.')}. {row['notes']}".strip()
        text = f"{row['cohort']}. {day}{what}. {why}"
        lines += [safe(line, 400) for line in wrap(text, int(width / LETTER), subsequent_indent="\u2003 ")]
    if len(decisions) > LONGEST:
        lines.append(f"and {len(decisions) - LONGEST} more decisions")
    return lines

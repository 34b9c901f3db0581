"""Models side by side: how much worse than the best, with which weight, and which subjects say so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from carkinetics.errors import ConfigError, did_you_mean
from carkinetics.fit.pareto import GOOD_K
from carkinetics.plot.axes import legend_shared, new_axes, new_grid
from carkinetics.plot.style import BLACK, BLUE, GREY, ORANGE, VERMILION, safe, styled

AxesArray = np.ndarray[Any, np.dtype[np.object_]]
MOST_NAMED = 40  # subjects whose names can be read on one axis


@styled
def comparison(table: pd.DataFrame, *, axes: AxesArray | None = None) -> AxesArray:
    """Models by how well they predict a subject that is left out.

    Parameters
    ----------
    table : pandas.DataFrame
        From `carkinetics.compare`.
    axes : ndarray of matplotlib.axes.Axes, shape (2,), optional
        Where to draw; a new figure if not given.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (2,)
        Differences of elpd to the best model with one and two standard errors, best on top; stacking weights.

    Raises
    ------
    ConfigError
        If the table is another one, or ``axes`` has another shape.
    """
    _require(table)
    if axes is None:
        axes = new_grid(1, 2, 7.2, 0.45 * len(table) + 1.7, sharey=True, width_ratios=[3, 1])[0]
    elif np.shape(axes) != (2,):
        raise ConfigError(f"comparison: axes has shape {np.shape(axes)}; expected (2,)")
    left, right = axes
    place = np.arange(len(table))
    for y, row in zip(place, table.itertuples(), strict=True):
        colour = {"best": BLACK, "worse": VERMILION, "not converged": GREY}.get(str(row.verdict), BLUE)
        marker = "o" if row.bad_k == 0 else "s"
        for width, factor in ((1.2, 2.0), (3.2, 1.0)):
            reach = factor * row.difference_se
            left.plot([row.difference - reach, row.difference + reach], [y, y], color=colour, linewidth=width)
        left.plot(row.difference, y, marker, color=colour, markersize=6, markerfacecolor="white", zorder=4)
    left.axvline(0, color=GREY, linewidth=0.9, linestyle="--", zorder=1)
    left.set_yticks(place, _names(table))
    left.set_ylim(len(table) - 0.5, -0.5)
    left.set_xlabel("Difference of elpd to the best (± 1 and 2 SE)")
    right.barh(place, table["weight"].fillna(0.0), color=BLUE, height=0.5)
    for y, weight in zip(place, table["weight"], strict=True):
        said = "no weight" if np.isnan(weight) else f"{weight:.2f}"
        right.text((0 if np.isnan(weight) else weight) + 0.04, y, said, va="center", fontsize=8.5)
    right.set_xlim(0, 1.32)
    right.set_xticks([0, 0.5, 1])
    right.set_xlabel("Stacking weight")
    handles = [
        Line2D([], [], color=colour, marker="o", markerfacecolor="white", label=words)
        for colour, words in ((BLACK, "best"), (BLUE, "not separated"), (VERMILION, "worse by 2 SE"))
    ]
    if (table["bad_k"] > 0).any():
        label = f"k above {GOOD_K} for some subject"
        handles.append(
            Line2D([], [], color=GREY, marker="s", markerfacecolor="white", linestyle="none", label=label)
        )
    legend_shared(left, handles, columns=4)
    return axes


def _names(table: pd.DataFrame) -> list[str]:
    """Models, and which of them did not converge."""
    done = table["converged"] if "converged" in table else pd.Series(True, table.index)
    return [f"{safe(str(name))}{'' if good else '\nnot converged'}" for name, good in done.items()]


@styled
def comparison_by_subject(
    table: pd.DataFrame, *, first: str = "", second: str = "", ax: Axes | None = None
) -> Axes:
    """Which subjects prefer which of two models.

    Parameters
    ----------
    table : pandas.DataFrame
        From `carkinetics.compare`.
    first, second : str
        Two of its models; the best and the next if empty.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.axes.Axes
        Difference of each subject's elpd, ordered; open where Pareto's k of either is above 0.7 and was not refitted.

    Raises
    ------
    ConfigError
        If the table is another one or has no such model.
    """
    _require(table)
    names = [str(name) for name in table.index]
    one, other = first or names[0], second or next(n for n in names if n != (first or names[0]))
    for name in (one, other):
        if name not in names:
            raise ConfigError(f"comparison_by_subject: no model {name!r}{did_you_mean(name, names)}")
    each = table.attrs["subjects"]
    difference = (each[one, "elpd"] - each[other, "elpd"]).sort_values()
    doubted = pd.Series(False, index=each.index)
    for name in (one, other):
        doubted |= (each[name, "k"] > GOOD_K) & (each[name, "how"] != "refit")
    open_ = doubted.reindex(difference.index).to_numpy()
    if ax is None:
        ax = new_axes(max(5.4, min(0.16 * len(difference) + 1.5, 10.0)), 3.8)
    place, y = np.arange(len(difference)), difference.to_numpy(float)
    for towards, colour in ((y > 0, BLUE), (y < 0, ORANGE), (y == 0, GREY)):
        ax.vlines(place[towards], 0, y[towards], color=colour, linewidth=1.0, alpha=0.7)
        for hollow in (True, False):
            at = towards & (open_ == hollow)
            face = "white" if hollow else colour
            ax.plot(place[at], y[at], "o", color=colour, markerfacecolor=face, markersize=4.5)
    ax.axhline(0, color=BLACK, linewidth=0.9)
    if len(difference) <= MOST_NAMED:
        ax.set_xticks(place, [safe(str(s), 12) for s in difference.index], rotation=90, fontsize=7.5)
    else:
        ax.set_xticks([])
    ax.set_xlabel("Subjects, in order of the difference")
    ax.set_ylabel(f"elpd of {safe(one)}\nless that of {safe(other)}")
    handles = [
        Line2D([], [], color=BLUE, marker="o", linestyle="none", label=f"{(y > 0).sum()} prefer {safe(one)}"),
        Line2D(
            [], [], color=ORANGE, marker="o", linestyle="none", label=f"{(y < 0).sum()} prefer {safe(other)}"
        ),
    ]
    if (y == 0).any():  # one without a sample of the output prefers none
        handles.append(
            Line2D([], [], color=GREY, marker="o", linestyle="none", label=f"{(y == 0).sum()} neither")
        )
    if open_.any():
        label = f"k above {GOOD_K}: not to be relied on"
        handles.append(
            Line2D([], [], color=GREY, marker="o", markerfacecolor="white", linestyle="none", label=label)
        )
    legend_shared(ax, handles, columns=min(len(handles), 3))
    return ax


def _require(table: pd.DataFrame) -> None:
    if "subjects" not in table.attrs or "difference" not in table:
        raise ConfigError("comparison: expected the table that compare() returns, with its attrs")

"""Sensitivity of every quantity to its priors and to the data."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from carkinetics.diagnostics.contraction import TOO_WIDE, UNTOLD
from carkinetics.diagnostics.sensitivity import BELOW_NOISE, NEITHER_MOVES, PRIOR_MOVES, PULLED
from carkinetics.errors import ConfigError
from carkinetics.plot.axes import legend_shared, new_axes
from carkinetics.plot.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    number,
    safe,
    styled,
)

# By the reservation, or by the words where there is none.
COLOURS = {
    "informed": BLUE,
    "weakly informed": SKY,
    PULLED: ORANGE,
    PRIOR_MOVES: PURPLE,
    UNTOLD: VERMILION,
    TOO_WIDE: BLACK,
    NEITHER_MOVES: GREEN,
    BELOW_NOISE: GREY,
}


@styled
def sensitivity(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Sensitivity to the priors and to the data, a row for each quantity, the most prior-bound on top.

    Parameters
    ----------
    table : pandas.DataFrame
        From `carkinetics.prior_sensitivity`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.axes.Axes
        Filled points: to the priors; open ones: to the data, on a log axis; the dotted line is the threshold.

    Raises
    ------
    ConfigError
        If the table is another one.
    """
    if "noise_prior" not in table.attrs:
        raise ConfigError("sensitivity: expected the table that prior_sensitivity() returns, with its attrs")
    rows = table.sort_values("prior", ascending=False)
    if ax is None:
        ax = new_axes(6.8, 0.24 * len(rows) + 1.5)
    place = np.arange(len(rows))
    floor = 1e-3  # nothing is smaller to any purpose
    prior, data = (np.maximum(rows[name].to_numpy(float), floor) for name in ("prior", "likelihood"))
    kinds = rows["words"].str.rpartition("; ")[2]
    colours = [COLOURS[kind] for kind in kinds]
    ax.hlines(place, np.minimum(prior, data), np.maximum(prior, data), color="#D0D0D0", linewidth=1.2)
    for y, one, other, colour in zip(place, prior, data, colours, strict=True):
        ax.plot(one, y, "o", color=colour, markersize=6, zorder=3)
        ax.plot(other, y, "o", color=colour, markerfacecolor="white", markersize=6, zorder=3)
    ax.axvline(table.attrs["threshold"], color=BLACK, linewidth=0.9, linestyle=":", zorder=1)
    ax.set_xscale("log")
    ax.set_xlim(floor / 1.2, max(float(prior.max()), float(data.max()), 0.3) * 1.4)
    ax.xaxis.set_major_formatter(lambda value, _: number(value))
    ax.set_yticks(place, [safe(str(name)) for name in rows.index])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlabel("Sensitivity (distance per doubling of the power)")
    handles = [
        Line2D([], [], color=GREY, marker="o", linestyle="none", label="to the priors"),
        Line2D([], [], color=GREY, marker="o", markerfacecolor="white", linestyle="none", label="to the data"),
        Line2D([], [], color=BLACK, linestyle=":", label="threshold"),
    ]  # fmt: skip
    handles += [
        Line2D([], [], color=colour, marker="s", linestyle="none", label=kind)
        for kind, colour in COLOURS.items()
        if (kinds == kind).any()
    ]
    legend_shared(ax, handles, columns=3)
    return ax

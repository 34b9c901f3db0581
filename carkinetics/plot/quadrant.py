"""Exposure against tumour burden, and the outcome in each of the four quadrants."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from carkinetics.errors import DataError
from carkinetics.plot.axes import log_limits, log_ticks, new_axes
from carkinetics.plot.style import BLUE, GREY, VERMILION, safe, styled
from carkinetics.response.confounding import quadrant_table


@styled
def quadrants(
    exposure: pd.Series, burden: pd.Series, outcome: pd.Series, *, exposure_label: str = "Exposure",
    burden_label: str = "Tumour burden", outcome_label: str = "outcome", ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Who had the outcome, by exposure and baseline tumour burden.

    If exposure itself matters, its two halves differ within low burden and within high burden; if only burden does, rows differ and
    columns do not.

    Parameters
    ----------
    exposure, burden : pandas.Series
        Above 0, indexed by subject.
    outcome : pandas.Series of bool
        Indexed by subject.
    exposure_label, burden_label, outcome_label : str
        For axes and legend.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.axes.Axes
        Subjects on log scales, medians as lines, numbers with the outcome in every quadrant.

    Raises
    ------
    DataError
        If fewer than 4 subjects have all three, or a value is not above 0.
    """
    counts = quadrant_table(exposure, burden, outcome)
    rows = pd.DataFrame({"x": exposure, "y": burden, "outcome": outcome}).dropna()
    low = rows[(rows[["x", "y"]] <= 0).any(axis=1)]
    if len(low):
        raise DataError(
            f"subject {low.index[0]!r}: exposure {low['x'].iloc[0]:g}, burden {low['y'].iloc[0]:g}; expected both above 0"
        )
    happened = rows["outcome"].astype(bool)
    ax = new_axes(6.4, 4.8) if ax is None else ax
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.plot(
        rows["x"][~happened],
        rows["y"][~happened],
        "o",
        color=BLUE,
        markerfacecolor="none",
        label=f"no {safe(outcome_label, 40)}",
    )
    ax.plot(rows["x"][happened], rows["y"][happened], "o", color=VERMILION, label=safe(outcome_label, 40))
    ax.set_xlim(log_limits(rows["x"]))
    ax.set_ylim(log_limits(rows["y"]))
    ax.axvline(counts.attrs["medians"]["exposure"], color=GREY, linewidth=0.9, linestyle=(0, (4, 3)))
    ax.axhline(counts.attrs["medians"]["burden"], color=GREY, linewidth=0.9, linestyle=(0, (4, 3)))
    for (height, side), (k, n) in zip(counts.index, counts.to_numpy(), strict=True):
        share = f" ({100 * k / n:.0f} %)" if n else ""
        right, up = side == "high", height == "high"
        ax.text(0.98 if right else 0.02, 0.97 if up else 0.03, f"{k} of {n}{share}", transform=ax.transAxes, fontsize=9.5,
                ha="right" if right else "left", va="top" if up else "bottom", fontweight="bold")  # fmt: skip
    log_ticks(ax.xaxis)
    log_ticks(ax.yaxis)
    ax.set_xlabel(safe(exposure_label, 60))
    ax.set_ylabel(safe(burden_label, 60))
    left_out = len(set(exposure.index) | set(burden.index) | set(outcome.index)) - len(rows)
    note = f", {left_out} not shown as one of the three is unknown" if left_out else ""
    ax.set_title(f"n = {len(rows)}{note}; lines: medians", loc="left", fontsize=9.5)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.06), ncols=2)
    return ax

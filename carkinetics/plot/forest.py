"""Covariate effects on exposure as a forest plot."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from carkinetics.exposure.forest import BETWEEN, CovariateForest
from carkinetics.plot.axes import legend_shared, new_axes
from carkinetics.plot.style import BLACK, BLUE, GREY, group_label, metric_title, number, safe, styled

RATIOS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.33, 0.5, 0.67, 0.8, 1, 1.25, 1.5, 2, 3, 5, 10, 20, 50, 100)
ROW, HEAD = 0.27, 0.3  # inches
CLOSEST = 0.085  # of the width of the axis: ticks whose labels do not touch


@styled
def forest(result: CovariateForest, *, ax: Axes | None = None) -> Axes:
    """Exposure at the low and high end of each covariate, relative to the typical subject.

    Parameters
    ----------
    result : CovariateForest
        From `carkinetics.covariate_forest`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.axes.Axes
        One row per covariate, level and metric on a log axis, with the limits shaded, a line at 1, and ratio and interval
        in words at the right. The grey bar is the range between subjects.
    """
    table, metrics = result.table, list(result.settings["metrics"])
    if ax is None:
        ax = new_axes(7.6, 1.0 + ROW * len(table) + HEAD * len(metrics))
    _prepare(ax, result)
    heights: list[float] = []
    labels: list[str] = []
    y = 0.0
    for metric in metrics:
        ax.text(
            -0.02,
            y,
            metric_title(metric),
            transform=ax.get_yaxis_transform(),
            ha="right",
            va="center",
            fontweight="bold",
        )
        y += 1
        for row in table[table["metric"] == metric].to_dict("records"):
            _row(ax, row, y)
            heights.append(y)
            labels.append(_label(row))
            y += 1
        y += 0.35
    ax.set_yticks(heights, labels)
    ax.set_ylim(y - 0.85, -0.6)
    return ax


def _prepare(ax: Axes, result: CovariateForest) -> None:
    """Log axis symmetric enough to show 1, with the limits shaded."""
    low, high = result.settings["limits"]
    ends = result.table[["lower", "upper"]].to_numpy(float)
    left, right = min(ends.min(), low) / 1.12, max(ends.max(), high) * 1.12
    ax.set_xscale("log")
    ax.set_xlim(left, right)
    ax.xaxis.set_major_locator(FixedLocator(_ticks(left, right, (low, high))))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(lambda value, _: number(round(value, 2)))
    ax.axvspan(low, high, color=BLUE, alpha=0.10, linewidth=0, zorder=0)
    ax.axvline(1, color=BLACK, linewidth=0.8, zorder=1)
    ax.grid(visible=False)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    share = str(result.settings["interval"]).split(" ")[0]
    ax.set_xlabel("Ratio to the typical subject (log scale)")
    ax.text(
        1.02,
        -0.6,
        f"ratio ({share} CrI)",
        transform=ax.get_yaxis_transform(),
        va="bottom",
        fontsize=8.5,
        color=GREY,
    )
    handles: list[Artist] = [
        Line2D([], [], color=BLUE, marker="s", markersize=5, label=f"median, {share} CrI"),
        Line2D([], [], color=BLUE, alpha=0.10, linewidth=8, label=f"{low:.2f}–{high:.2f}"),
    ]
    if (result.table["covariate"] == BETWEEN).any():
        label = "subjects, P5–P95, random effects alone"
        handles.append(Line2D([], [], color=GREY, alpha=0.55, linewidth=6, label=label))
    legend_shared(ax, handles, columns=3)


def _ticks(left: float, right: float, limits: tuple[float, float]) -> list[float]:
    """1, the limits, and what else fits without touching."""
    kept: list[float] = []
    span = np.log(right / left)
    for tick in (1.0, *limits, *sorted(RATIOS, key=lambda ratio: abs(np.log(ratio)))):
        if left <= tick <= right and all(abs(np.log(tick / other)) / span >= CLOSEST for other in kept):
            kept.append(float(tick))
    return sorted(kept)


def _row(ax: Axes, row: dict[str, object], y: float) -> None:
    ratio, low, high = (float(str(row[name])) for name in ("ratio", "lower", "upper"))
    if row["covariate"] == BETWEEN:
        ax.plot([low, high], [y, y], color=GREY, alpha=0.55, linewidth=6, solid_capstyle="butt", zorder=2)
        text = f"{_short(low)}–{_short(high)}"
    else:
        ax.plot([low, high], [y, y], color=BLUE, linewidth=1.6, solid_capstyle="butt", zorder=3)
        ax.plot(ratio, y, "s", color=BLUE, markersize=5.5, zorder=4)
        text = f"{_short(ratio)} ({_short(low)}–{_short(high)})"
    ax.text(1.02, y, text, transform=ax.get_yaxis_transform(), va="center", fontsize=8.5)


def _short(ratio: float) -> str:
    """Two decimals, or two digits of what is small or large."""
    return f"{ratio:.2f}" if 0.1 <= ratio < 10 else f"{ratio:.2g}" if ratio < 100 else f"{ratio:,.0f}"


def _label(row: dict[str, object]) -> str:
    name = safe(row["covariate"], 24)
    if row["covariate"] == BETWEEN:
        return "between subjects"
    if pd.isna(row["value"]):
        return f"{name}: {safe(row['level'], 30)} vs {safe(row['reference'], 30)}"
    at = f"{name}: {_rounded(row['value'])} ({row['level']})"
    return at if pd.isna(row["reference"]) else f"{at} vs {_rounded(row['reference'])}"


def _rounded(value: object) -> str:
    return group_label(f"{float(str(value)):.3g}")

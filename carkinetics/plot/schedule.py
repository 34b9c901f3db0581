"""What sampling schedules tell of each metric."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from carkinetics.plot.axes import legend_shared, new_grid, time_axis
from carkinetics.plot.style import BLACK, BLUE, GREY, VERMILION, metric_title, number, safe, styled
from carkinetics.prognosis.schedule import ScheduleComparison

AxesArray = np.ndarray[Any, np.dtype[np.object_]]
FOLDS = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100, 200, 500, 1000, 3000, 10000)
ROW, MOST_TICKS = 0.42, 4


@styled
def schedules(result: ScheduleComparison) -> AxesArray:
    """Days of each schedule, and how wide an interval of each metric it leaves.

    Parameters
    ----------
    result : ScheduleComparison
        From `carkinetics.compare_schedules`.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (1 + n_metrics,)
        The days; then a panel per metric with the expected ratio of upper to lower end and two Monte-Carlo errors either way, the
        narrowest in black, and the coverage in words; red where forecasts did not converge.
    """
    table, metrics = result.table, list(result.settings["metrics"])
    names = list(dict.fromkeys(table["schedule"]))
    grid = new_grid(
        1, 1 + len(metrics), 2.6 + 2.1 * len(metrics), 1.5 + ROW * len(names), sharey=True
    )[0]  # fmt: skip
    _days(grid[0], table, names)
    for ax, metric in zip(grid[1:], metrics, strict=True):
        _widths(ax, table[table["metric"] == metric].set_index("schedule"), names, metric)
    share = str(result.settings["interval"]).split(" ")[0]
    handles = [
        Line2D(
            [],
            [],
            color=BLUE,
            marker="o",
            label=f"width of the {share} interval, upper / lower end, ± 2 Monte-Carlo errors",
        ),
        Line2D([], [], color=BLACK, marker="o", label="narrowest"),
    ]
    if (table["not_converged"] > 0).any():
        handles.append(Line2D([], [], color=VERMILION, marker="o", label="some forecasts not converged"))
    legend_shared(grid[0], handles, columns=2)
    return grid


def _days(ax: Axes, table: pd.DataFrame, names: list[str]) -> None:
    days = [
        [float(day) for day in table[table["schedule"] == name]["days"].iloc[0].split(",")] for name in names
    ]
    time_axis(ax, max(max(one) for one in days))
    ax.set_xlabel("Days")
    for y, one in enumerate(days):
        ax.plot(one, [y] * len(one), "o", color=GREY, markersize=5)
    ax.set_yticks(range(len(names)), [safe(name, 24) for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.set_title("Samples", fontsize=9.5)


def _widths(ax: Axes, rows: pd.DataFrame, names: list[str], metric: str) -> None:
    low = (rows["width"] - 2 * rows["width_error"]).clip(lower=1.0)
    high = rows["width"] + 2 * rows["width_error"]
    left, right = float(low.min()) / 1.15, float(high.max()) * 1.15
    ax.set_xscale("log")
    ax.set_xlim(left, right * (right / left) ** 0.28)  # room for the words
    inside = [fold for fold in FOLDS if left <= fold <= right] or [float(f"{np.sqrt(left * right):.2g}")]
    step = -(-len(inside) // MOST_TICKS)
    ax.xaxis.set_major_locator(FixedLocator(inside[::step]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"×{number(value)}"))
    best = rows["width"].idxmin()
    for y, name in enumerate(names):
        row = rows.loc[name]
        colour = VERMILION if row["not_converged"] else BLACK if name == best else BLUE
        ax.plot([low[name], high[name]], [y, y], color=colour, linewidth=1.4, solid_capstyle="butt", zorder=2)
        ax.plot(row["width"], y, "o", color=colour, markersize=5, zorder=3)
        words = f"{row['coverage']:.0%}"
        ax.text(
            0.99,
            y,
            words,
            transform=ax.get_yaxis_transform(),
            ha="right",
            va="center",
            fontsize=8,
            color=GREY,
        )
    ax.text(
        0.99,
        -0.5,
        "covers",
        transform=ax.get_yaxis_transform(),
        ha="right",
        va="bottom",
        fontsize=7.5,
        color=GREY,
    )
    ax.tick_params(axis="y", length=0)
    ax.set_title(metric_title(metric), fontsize=9.5, loc="left")

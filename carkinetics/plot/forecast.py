"""A patient's forecast, and how it narrows as samples come."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, NullLocator

from carkinetics.dataset.table import PREDOSE, is_above, is_censored
from carkinetics.diagnostics.replicate import limit_of, measured_level
from carkinetics.errors import ConfigError, did_you_mean
from carkinetics.plot.axes import legend_shared, log_limits, log_ticks, new_axes, new_grid, time_axis
from carkinetics.plot.style import (
    BLACK,
    BLQ_MARK,
    BLUE,
    GREY,
    LLOQ_LINE,
    ULOQ_MARK,
    VERMILION,
    level_label,
    metric_label,
    safe,
    styled,
)
from carkinetics.prognosis.forecasted import Forecast, ForecastUpdates

AxesArray = np.ndarray[Any, np.dtype[np.object_]]
MOST_PANELS, COLUMNS = 6, 3
DECADES_BELOW = 10.0  # how far below the lowest limit or level a band is followed
ON_LINEAR = ("tmax",)


@styled
def forecast(result: Forecast | ForecastUpdates, *, panels: int = MOST_PANELS) -> AxesArray:
    """Curve with its band beside the samples, one panel for each number of samples.

    Parameters
    ----------
    result : Forecast or ForecastUpdates
        From `carkinetics.forecast` or `carkinetics.forecast_updates`.
    panels : int
        Forecasts to show at most, spread over all of them.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (n_panels,)
        Samples that spoke are filled, later ones hollow; BLQ values are open triangles at the LLOQ, red where they spoke. A panel
        whose forecast did not converge says so.

    Raises
    ------
    ConfigError
        If ``panels`` is below 1.
    """
    if panels < 1:
        raise ConfigError(f"forecast: panels is {panels}; expected 1 or more")
    every = result.forecasts if isinstance(result, ForecastUpdates) else (result,)
    shown = [every[k] for k in np.unique(np.linspace(0, len(every) - 1, panels).round().astype(int))]
    columns = min(COLUMNS, len(shown))
    height = -(-len(shown) // columns)
    wide, high = (6.2, 3.9) if columns == 1 else (3.1, 2.5)
    grid = new_grid(height, columns, wide * columns, high * height + 0.5, sharex=True, sharey=True).ravel()
    _prepare(grid[0], shown)
    for ax, one in zip(grid, shown, strict=False):
        _panel(ax, one)
    _share_labels(grid, len(shown), columns, str(shown[0].settings["unit"]), shown[0].subject)
    _legend(grid[0], shown)
    return grid[: len(shown)]


def _rows(one: Forecast) -> pd.DataFrame:
    """Samples in the unit of the curve, without those that are zero by construction."""
    rows = one.observed
    return rows[(rows["status"] != PREDOSE) & (rows["unit"] == one.settings["unit"]) & (rows["time"] >= 0)]


def _prepare(ax: Axes, shown: list[Forecast]) -> None:
    """Limits from the samples, the LLOQ and the bands: a band may fall far below anything that is measured."""
    ax.set_yscale("log")
    lloq = float(shown[0].settings["lloq"])
    seen = measured_level(_rows(shown[-1]))
    top = np.concatenate([one.curve["upper"].to_numpy() for one in shown])
    middle = np.concatenate([one.curve["median"].to_numpy() for one in shown])
    known = np.concatenate([seen[seen > 0], [lloq] if lloq > 0 else [np.nanmax(middle) / 1e3]])
    ax.set_ylim(log_limits([float(np.nanmin(known)) / DECADES_BELOW, float(np.nanmax([*top, *seen]))]))
    log_ticks(ax.yaxis)
    time_axis(ax, float(max(one.curve["day"].max() for one in shown)))


def _panel(ax: Axes, one: Forecast) -> None:
    words = (
        "no sample" if not one.n_samples else "1 sample" if one.n_samples == 1 else f"{one.n_samples} samples"
    )
    until = f", to day {one.upto:g}" if one.upto is not None and one.n_samples else ""
    ax.set_title(words + until, fontsize=9.5, pad=4)
    low = ax.get_ylim()[0]
    day, curve = one.curve["day"], one.curve.clip(lower=low / 10)  # what ends at 0 has no logarithm
    ax.fill_between(day, curve["lower"], curve["upper"], color=BLUE, alpha=0.2, linewidth=0, zorder=2)
    ax.plot(day, curve["median"], color=BLUE, linewidth=1.4, zorder=3)
    lloq = float(one.settings["lloq"])
    if lloq > 0:
        ax.axhline(lloq, **LLOQ_LINE)
    if one.upto is not None and one.n_samples:
        ax.axvline(one.upto, color=GREY, linewidth=0.9, linestyle="--", zorder=1)
    _samples(ax, _rows(one))
    if not one.converged:
        ax.text(
            0.97,
            0.95,
            "not converged",
            transform=ax.transAxes,
            ha="right",
            va="top",
            color=VERMILION,
            fontsize=8,
        )


def _samples(ax: Axes, rows: pd.DataFrame) -> None:
    blq, above, used = is_censored(rows), is_above(rows), rows["used"].to_numpy(bool)
    time, level, limit = rows["time"].to_numpy(float), measured_level(rows), limit_of(rows)
    exact = ~blq & ~above
    for spoke in (True, False):
        colour, now = (BLACK if spoke else GREY), used == spoke
        face = colour if spoke else "white"
        at = exact & now
        ax.plot(time[at], level[at], "o", color=colour, markerfacecolor=face, markersize=4, zorder=5)
        mark: dict[str, Any] = {"color": VERMILION if spoke else GREY, "markersize": 4.8, "zorder": 5}
        ax.plot(time[blq & now], limit[blq & now], **mark, **BLQ_MARK)
        ax.plot(time[above & now], level[above & now], **mark, **ULOQ_MARK)


def _share_labels(panels: AxesArray, n: int, columns: int, unit: str, subject: str) -> None:
    figure, words = panels[0].figure, panels[0].get_xlabel()
    for ax in panels:
        ax.set_xlabel("")
    for ax in panels[n:]:
        ax.remove()
    for k, ax in enumerate(panels[:n]):
        ax.tick_params(labelbottom=k + columns >= n, labelleft=k % columns == 0)
    figure.supxlabel(words, fontsize=10)
    figure.supylabel(level_label(unit), fontsize=10)
    panels[0].set_title(f"{safe(subject)}: {panels[0].get_title()}", fontsize=9.5, pad=4)


def _legend(ax: Axes, shown: list[Forecast]) -> None:
    rows = pd.concat([_rows(one) for one in shown])
    share = str(shown[0].settings["interval"]).split(" ")[0]
    handles: list[Any] = [
        Line2D([], [], color=BLUE, label="median"),
        Patch(color=BLUE, alpha=0.2, linewidth=0, label=f"{share} credible band"),
    ]
    round_: dict[str, Any] = {"marker": "o", "markersize": 4.5, "linestyle": "none"}
    if rows["used"].any():
        handles.append(Line2D([], [], color=BLACK, label="sample used", **round_))
    if not rows["used"].all():
        handles.append(Line2D([], [], color=GREY, markerfacecolor="white", label="not used", **round_))
    if is_censored(rows).any():
        handles.append(
            Line2D(
                [], [], color=VERMILION, markersize=5, label="BLQ, at the LLOQ (grey: not used)", **BLQ_MARK
            )
        )
    if is_above(rows).any():
        handles.append(
            Line2D([], [], color=VERMILION, markersize=5, label="above the ULOQ, at it", **ULOQ_MARK)
        )
    if float(shown[0].settings["lloq"]) > 0:
        handles.append(Line2D([], [], label="LLOQ", **{k: v for k, v in LLOQ_LINE.items() if k != "zorder"}))
    legend_shared(ax, handles, columns=min(4 if len(shown) > 1 else 3, len(handles)), place="upper")


@styled
def forecast_metric(result: ForecastUpdates, *, metric: str = "cmax", ax: Axes | None = None) -> Axes:
    """Interval of a metric against the number of samples that spoke.

    Parameters
    ----------
    result : ForecastUpdates
        From `carkinetics.forecast_updates`.
    metric : str
        One of the metrics of the forecasts.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.axes.Axes
        Medians with intervals on a log axis (Tmax on a linear one); red where a forecast did not converge, and an arrow where an
        interval has no upper end.

    Raises
    ------
    ConfigError
        If the forecasts do not have this metric, or no value of it.
    """
    table = result.table
    rows = table[(table["metric"] == metric) & (table["missing"] == "")].reset_index(drop=True)
    if rows.empty:
        raise ConfigError(
            f"forecast_metric: no value of {metric!r}{did_you_mean(metric, table['metric'].unique())}"
        )
    ax = new_axes(5.2, 3.6) if ax is None else ax
    linear = metric in ON_LINEAR
    values = rows[["lower", "value", "upper"]].to_numpy(float)
    finite = values[np.isfinite(values) & ((values > 0) | linear)]
    if linear:
        ax.set_ylim(0, float(finite.max()) * 1.08)
    else:
        ax.set_yscale("log")
        ax.set_ylim(log_limits(finite))
        log_ticks(ax.yaxis)
    low, top = ax.get_ylim()
    for row in rows.itertuples():
        colour = BLUE if row.converged else VERMILION
        ends = [max(float(row.lower), low), min(float(row.upper), top)]
        ax.plot([row.n_samples] * 2, ends, color=colour, linewidth=1.6, solid_capstyle="butt", zorder=3)
        if low <= row.value <= top:
            ax.plot(row.n_samples, row.value, "s", color=colour, markersize=5, zorder=4)
        if not np.isfinite(row.upper):
            ax.plot(row.n_samples, top, "^", color=colour, markersize=5, clip_on=False, zorder=4)
    ax.set_xlim(rows["n_samples"].min() - 0.5, rows["n_samples"].max() + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("Samples used")
    ax.set_ylabel(metric_label(metric, str(rows["unit"].iloc[0])))
    share = str(result.forecasts[0].settings["interval"]).split(" ")[0]
    ax.set_title(f"{safe(result.forecasts[0].subject)}: median and {share} CrI", fontsize=10)
    return ax

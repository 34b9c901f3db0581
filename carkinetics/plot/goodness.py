"""Goodness of fit: observations against predictions, and residuals, with every row in the picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from scipy.special import ndtri
from scipy.stats import t as student_t

from carkinetics.dataset.table import is_above, is_censored
from carkinetics.diagnostics.binning import time_bins
from carkinetics.diagnostics.replicate import limit_of
from carkinetics.diagnostics.residuals import residuals
from carkinetics.errors import ConfigError
from carkinetics.fit.measured import fitted_rows, measured_output
from carkinetics.fit.result import Fit
from carkinetics.model.observe import STUDENT_DF
from carkinetics.plot.axes import legend_shared, log_limits, log_ticks, new_grid, panel_message, time_axis
from carkinetics.plot.style import (
    BLACK,
    BLQ_MARK,
    BLUE,
    ORANGE,
    ULOQ_MARK,
    VERMILION,
    level_label,
    styled,
)

AxesArray = np.ndarray[Any, np.dtype[np.object_]]
# Imputed values of BLQ rows may be any number of decades down; those further below the LLOQ are at the edge.
DEEPEST = 100.0


@styled
def gof(fit: Fit, *, axes: AxesArray | None = None, seed: int = 1, output: str = "") -> AxesArray:
    """Observations against predictions, and residuals; BLQ rows as open triangles at imputed values.

    Parameters
    ----------
    fit : Fit
        Hierarchical, or individual (which has no population prediction).
    axes : ndarray of matplotlib.axes.Axes, shape (2, 3), optional
        Where to draw; a new figure if not given.
    seed : int
        Seed of the imputed residuals and of the replicates.
    output : str
        Which output of the model; the CAR-T level if empty.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (2, 3)
        DV against PRED, DV against IPRED, quantiles of IWRES; IWRES against time and IPRED, NPD against time.

    Raises
    ------
    ConfigError
        If ``axes`` has another shape, or the output was not fitted.

    Notes
    -----
    The orange line is the median in bins of equal counts. Levels more than a factor of 100 below the lowest
    LLOQ and residuals beyond 8 are drawn at the edge.
    """
    if axes is None:
        axes = new_grid(2, 3, 10.4, 6.6)
    elif np.shape(axes) != (2, 3):
        raise ConfigError(f"gof: axes has shape {np.shape(axes)}; expected (2, 3)")
    table = residuals(fit, seed=seed, output=output)
    floor, words = _floor(fitted_rows(fit, output)), _level(fit, output)
    _against_predictions(axes[0], table, "log", floor, words)
    _quantiles(axes[0, 2], table, measured_output(fit, output).error.student)
    for ax, column in ((axes[1, 0], "iwres"), (axes[1, 2], "npd")):
        time_axis(ax, float(table["time"].max()) if len(table) else 28.0)
        draw_residuals(ax, table, table["time"].to_numpy(), column)
    level = np.maximum(table["ipred"].to_numpy(), floor)
    axes[1, 1].set_xscale("log")
    axes[1, 1].set_xlim(log_limits(level))
    log_ticks(axes[1, 1].xaxis)
    axes[1, 1].set_xlabel(f"Individual prediction\n{words}")
    draw_residuals(axes[1, 1], table, level, "iwres")
    median = Line2D([], [], color=ORANGE, label="median in bins")
    line = Line2D([], [], color=BLACK, linewidth=0.9, label="identity, or 0 with ±1.96")
    legend_shared(axes[0, 0], [*_marks(table), median, line], columns=5)
    return axes


@styled
def observed_predicted(
    fit: Fit, *, scale: str = "linear", axes: AxesArray | None = None, seed: int = 1, output: str = ""
) -> AxesArray:
    """Observations against population and individual predictions, BLQ rows as open triangles at imputed values.

    Parameters
    ----------
    fit : Fit
        Hierarchical, or individual (which has no population prediction).
    scale : {"linear", "log"}
        Of both axes. The linear one shows how the peaks are met, the log one all levels.
    axes : ndarray of matplotlib.axes.Axes, shape (2,), optional
        Where to draw; a new figure if not given.
    seed : int
        Seed of the imputed values.
    output : str
        Which output of the model; the CAR-T level if empty.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (2,)
        DV against PRED, DV against IPRED.

    Raises
    ------
    ConfigError
        If ``scale`` is another, ``axes`` has another shape, or the output was not fitted.
    """
    if scale not in ("linear", "log"):
        raise ConfigError(f"observed_predicted: scale is {scale!r}; expected 'linear' or 'log'")
    if axes is None:
        axes = new_grid(1, 2, 7.2, 3.9).ravel()
    elif np.shape(axes) != (2,):
        raise ConfigError(f"observed_predicted: axes has shape {np.shape(axes)}; expected (2,)")
    table = residuals(fit, seed=seed, output=output)
    _against_predictions(axes, table, scale, _floor(fitted_rows(fit, output)), _level(fit, output))
    line = Line2D([], [], color=BLACK, linewidth=0.9, label="identity")
    legend_shared(axes[0], [*_marks(table), line], columns=4)
    return axes


def _level(fit: Fit, output: str) -> str:
    of = fit.model.output(output)
    return level_label(of.unit, "" if of is fit.model.output() else of.name)


def _marks(table: pd.DataFrame) -> list[Line2D]:
    """What the points of a picture are, and how many are not there."""
    handles = [Line2D([], [], color=BLUE, marker="o", linestyle="none", markersize=4, label="quantified")]
    if is_censored(table).any():
        handles.append(Line2D([], [], color=VERMILION, markersize=5, label="BLQ, imputed", **BLQ_MARK))
    if is_above(table).any():
        handles.append(
            Line2D([], [], color=VERMILION, markersize=5, label="above ULOQ, imputed", **ULOQ_MARK)
        )
    without = int(table["ipred"].isna().sum())
    if without:
        label = f"not drawn: {without} rows of subjects without an estimate"
        handles.append(Line2D([], [], linestyle="none", label=label))
    return handles


def _floor(rows: pd.DataFrame) -> float:
    limits = limit_of(rows)
    known = limits[limits > 0]
    values = rows["value"].to_numpy(float)
    positive = values[values > 0]
    lowest = [float(part.min()) for part in (known, positive) if len(part)]
    return min(lowest, default=1.0) / DEEPEST


def draw_points(ax: Axes, table: pd.DataFrame, x: np.ndarray, y: np.ndarray) -> None:
    """Quantified rows as dots, imputed ones as open triangles.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    table : pandas.DataFrame
        Rows with columns ``status, imputed``.
    x, y : ndarray, shape (n,)
        Where each row is drawn.
    """
    above = is_above(table)
    blq = table["imputed"].to_numpy() & ~above
    ax.plot(
        x[above], y[above], "^", color=VERMILION, markerfacecolor="none", markersize=3.5, alpha=0.5,
        markeredgewidth=0.7, zorder=2,
    )  # fmt: skip
    x, y, blq = x[~above], y[~above], blq[~above]
    ax.plot(x[~blq], y[~blq], "o", color=BLUE, markersize=3, alpha=0.5, markeredgewidth=0, zorder=3)
    ax.plot(
        x[blq], y[blq], "v", color=VERMILION, markerfacecolor="none", markersize=3.5, alpha=0.5,
        markeredgewidth=0.7, zorder=2,
    )  # fmt: skip


def _middle(ax: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Median of y over bins of x with equal counts."""
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < 2 * 5:
        return
    bins = time_bins(x[known], "count")
    line = [(np.median(x[known][bins == b]), np.median(y[known][bins == b])) for b in np.unique(bins)]
    ax.plot(*np.array(line).T, color=ORANGE, linewidth=2, zorder=5)


def _against_predictions(axes: AxesArray, table: pd.DataFrame, scale: str, floor: float, words: str) -> None:
    """DV against PRED and against IPRED."""
    for ax, column, what in zip(axes, ("pred", "ipred"), ("population", "individual"), strict=False):
        ax.set_xlabel(f"{what.capitalize()} prediction\n{words}")
        ax.set_ylabel("Observed")
        if table[column].isna().all():
            panel_message(ax, f"no {what} prediction\nin an individual fit")
            continue
        x, y = (np.maximum(table[name].to_numpy(float), floor) for name in (column, "dv"))
        limits = _equal_axes(ax, np.concatenate([x, y]), scale)
        draw_points(ax, table, x, y)
        ax.plot(limits, limits, color=BLACK, linewidth=0.9, zorder=4)


def _equal_axes(ax: Axes, values: np.ndarray, scale: str) -> tuple[float, float]:
    """A square with the same axis twice."""
    limits = log_limits(values) if scale == "log" else (0.0, 1.05 * float(np.nanmax(values)))
    ax.set_xscale(scale)
    ax.set_yscale(scale)
    ax.set_xlim(limits)
    ax.set_ylim(limits)
    if scale == "log":  # by the limits
        log_ticks(ax.xaxis)
        log_ticks(ax.yaxis)
    ax.set_box_aspect(1)
    return limits


def draw_residuals(ax: Axes, table: pd.DataFrame, x: np.ndarray, column: str) -> None:
    """Residuals against something, with 0, ±1.96 and the median in bins; those beyond 8 at the edge.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    table : pandas.DataFrame
        Rows with columns ``status, imputed`` and the residual.
    x : ndarray, shape (n,)
        Against what.
    column : str
        Which residual.
    """
    ax.set_ylabel(column.upper())
    y = table[column].to_numpy(float)
    if not np.isfinite(y).any():
        panel_message(ax, "no population prediction\nin an individual fit")
        return
    reach = max(3.5, min(float(np.abs(y[np.isfinite(y)]).max()) * 1.08, 8.0))
    ax.set_ylim(-reach, reach)
    # A residual beyond the axis is drawn at its edge.
    draw_points(ax, table, x, np.clip(y, -reach, reach))
    for height in (-1.96, 0.0, 1.96):
        ax.axhline(height, color=BLACK, linewidth=0.9, linestyle="-" if height == 0 else ":", zorder=4)
    _middle(ax, x, y)


def _quantiles(ax: Axes, table: pd.DataFrame, student: bool) -> None:
    ordered = table.dropna(subset="iwres").sort_values("iwres")
    if ordered.empty:
        panel_message(ax, "no residual")
        return
    place = (np.arange(len(ordered)) + 0.5) / len(ordered)
    expected = student_t.ppf(place, STUDENT_DF) if student else ndtri(place)
    draw_points(ax, ordered, np.asarray(expected), ordered["iwres"].to_numpy(float))
    reach = max(3.0, float(np.abs(expected).max()) * 1.05)
    ax.plot([-reach, reach], [-reach, reach], color=BLACK, linewidth=0.9, zorder=4)
    ax.set_xlabel(f"Expected quantile, {f't with {STUDENT_DF} df' if student else 'normal'}")
    ax.set_ylabel("IWRES")
    ax.set_box_aspect(1)

"""Predictive checks as pictures: exposure of replicated studies, prediction errors, places in the predictive distribution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy.special import ndtri
from scipy.stats import beta, norm

from carkinetics.diagnostics.exposure_check import VALUES, ExposureCheck
from carkinetics.diagnostics.npde import Npde
from carkinetics.diagnostics.npde import npde as compute_npde
from carkinetics.diagnostics.pit import LEVEL, LooPit
from carkinetics.errors import ConfigError
from carkinetics.fit.result import INTERVAL, Fit
from carkinetics.plot.axes import (
    legend_shared,
    log_limits,
    log_ticks,
    mark_unconverged,
    new_axes,
    new_grid,
    panel_message,
    time_axis,
)
from carkinetics.plot.goodness import draw_points, draw_residuals
from carkinetics.plot.style import BLACK, BLQ_MARK, BLUE, GREY, ORANGE, VERMILION, metric_label, safe, styled

AxesArray = np.ndarray[Any, np.dtype[np.object_]]
FEWEST_FOR_BAND = 3


@styled
def exposure_check(check: ExposureCheck, *, axes: AxesArray | None = None) -> AxesArray:
    """Observed exposure of every subject over its predicted interval; p-values of the population above.

    Parameters
    ----------
    check : ExposureCheck
        From `carkinetics.check_exposure`.
    axes : ndarray of matplotlib.axes.Axes, shape (n_kinds, n_metrics), optional
        Where to draw; a new figure if not given.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (n_kinds, n_metrics)
        New and fitted subjects in rows, one column per metric.

    Raises
    ------
    ConfigError
        If ``axes`` has another shape.
    """
    kinds, metrics = list(dict.fromkeys(check.individual["subjects"])), list(check.units)
    shape = (len(kinds), len(metrics))
    if axes is None:
        axes = new_grid(*shape, max(2.75 * len(metrics), 5.0), 2.6 * len(kinds) + 0.6)
    elif np.shape(axes) != shape:
        raise ConfigError(f"exposure_check: axes has shape {np.shape(axes)}; expected {shape}")
    for line, kind in zip(axes, kinds, strict=True):
        for ax, metric in zip(line, metrics, strict=True):
            table = check.individual
            rows = table[(table["subjects"] == kind) & (table["metric"] == metric)]
            _intervals(ax, rows, metric_label(metric, check.units[metric]))
            ax.set_title(_verdict(check, kind, metric), fontsize=8.5)
    mark_unconverged(axes[0, 0], check.converged)
    for ax in axes[-1]:
        ax.set_xlabel("Subjects, by observed value")
    handles = [
        Line2D([], [], color=BLUE, alpha=0.45, linewidth=2.5, label=f"predicted, {INTERVAL:.0%} interval"),
        Line2D([], [], color=BLUE, marker="_", linestyle="none", label="predicted median"),
        Line2D([], [], color=BLACK, marker="o", markersize=3.5, linestyle="none", label="observed, inside"),
        Line2D(
            [], [], color=VERMILION, marker="D", markersize=4, linestyle="none", label="observed, outside"
        ),
    ]
    legend_shared(axes[0, 0], handles, columns=4)
    return axes


def _intervals(ax: Axes, rows: pd.DataFrame, label: str) -> None:
    known = rows[rows["observed"].notna() & rows["lower"].notna()].sort_values("observed", kind="stable")
    words = label.split(" (")
    ax.set_ylabel("\n(".join([words[0], " (".join(words[1:])]) if len(words) > 1 else label)
    ax.set_xticks([])
    if known.empty:
        panel_message(ax, "no observed value")
        return
    x, seen = np.arange(len(known)), known["observed"].to_numpy(float)
    low, middle, high = (known[name].to_numpy(float) for name in ("lower", "median", "upper"))
    if (np.concatenate([low, seen]) > 0).all() and not label.endswith("(day)"):
        ax.set_yscale("log")
        ax.set_ylim(log_limits(np.concatenate([low, high, seen])))
        log_ticks(ax.yaxis)
    ax.vlines(x, low, high, color=BLUE, alpha=0.35, linewidth=max(min(90 / len(x), 5.0), 1.0))
    ax.plot(x, middle, "_", color=BLUE, markersize=4, alpha=0.8)
    inside = (low <= seen) & (seen <= high)
    ax.plot(x[inside], seen[inside], "o", color=BLACK, markersize=2.6)
    ax.plot(x[~inside], seen[~inside], "D", color=VERMILION, markersize=3.4)
    if len(known) < len(rows):
        few = 2 * len(known) < len(rows)
        ax.annotate(
            f"{len(known)} of {len(rows)} subjects", (0.98, 0.03), xycoords="axes fraction", ha="right",
            fontsize=8, color=BLACK if few else GREY, fontweight="bold" if few else None,
        )  # fmt: skip


def _verdict(check: ExposureCheck, kind: str, metric: str) -> str:
    table = check.population
    rows = table[(table["subjects"] == kind) & (table["metric"] == metric) & (table["statistic"] != VALUES)]
    words = {"interquartile range": "IQR", "geometric CV %": "geometric CV"}
    tests = [f"{words.get(row.statistic, row.statistic)}: p {_p(row.p)}" for row in rows.itertuples()]
    return "\n".join([f"{kind} subjects".capitalize(), *tests])


def _p(value: float) -> str:
    if np.isnan(value):
        return "not known"
    return "< 0.001" if value < 0.001 else f"= {value:.2g}"


@styled
def npde(result: Fit | Npde, *, axes: AxesArray | None = None, **settings: Any) -> AxesArray:
    """Prediction distribution errors against the normal distribution, time and prediction, with their tests.

    Parameters
    ----------
    result : Fit or Npde
        A hierarchical fit, of which the errors are computed, or computed ones.
    axes : ndarray of matplotlib.axes.Axes, shape (2, 2), optional
        Where to draw; a new figure if not given.
    **settings : Any
        For `carkinetics.npde`; only with a fit.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (2, 2)
        Quantiles and histogram; NPDE against time and PRED.

    Raises
    ------
    ConfigError
        If settings are given with a computed result, or ``axes`` has another shape.
    """
    if isinstance(result, Npde) and settings:
        raise ConfigError(
            f"npde: {next(iter(settings))} belongs to the computation; give it to carkinetics.npde"
        )
    found = result if isinstance(result, Npde) else compute_npde(result, **settings)
    if axes is None:
        axes = new_grid(2, 2, 7.6, 6.6)
    elif np.shape(axes) != (2, 2):
        raise ConfigError(f"npde: axes has shape {np.shape(axes)}; expected (2, 2)")
    table, p = found.table.dropna(subset="npde"), found.tests["p"]
    _normal_quantiles(axes[0, 0], table)
    axes[0, 0].set_title(f"normality p {_p(p['normality'])}", fontsize=9)
    _histogram(axes[0, 1], table["npde"].to_numpy(float))
    axes[0, 1].set_title(f"mean 0: p {_p(p['mean'])}; variance 1: p {_p(p['variance'])}", fontsize=9)
    time_axis(axes[1, 0], float(table["time"].max()) if len(table) else 28.0)
    axes[1, 1].set_xlabel("Population prediction")
    if len(table):
        draw_residuals(axes[1, 0], table, table["time"].to_numpy(float), "npde")
        axes[1, 0].set_title(
            f"trend p {_p(p['trend with time'])}; spread p {_p(p['spread with time'])}", fontsize=9
        )
        pred = table["pred"].to_numpy(float)
        if (pred > 0).all():
            axes[1, 1].set_xscale("log")
            axes[1, 1].set_xlim(log_limits(pred))
            log_ticks(axes[1, 1].xaxis)
        draw_residuals(axes[1, 1], table, pred, "npde")
        axes[1, 1].set_title(f"trend p {_p(p['trend with PRED'])}", fontsize=9)
    mark_unconverged(axes[0, 0], found.converged)
    handles = [
        Line2D([], [], color=BLUE, marker="o", linestyle="none", markersize=4, label="quantified"),
        Line2D([], [], color=VERMILION, markersize=5, label="BLQ or above ULOQ, imputed", **BLQ_MARK),
        Line2D([], [], color=ORANGE, label="median in bins"),
        Line2D([], [], color=BLACK, linewidth=0.9, label="expected; 0 with ±1.96"),
        Patch(color=GREY, alpha=0.25, linewidth=0, label=f"{INTERVAL:.0%} of each point"),
    ]
    legend_shared(axes[0, 0], handles if table["imputed"].any() else [handles[0], *handles[2:]], columns=3)
    return axes


def _normal_quantiles(ax: Axes, table: pd.DataFrame) -> None:
    ax.set_xlabel("Expected quantile, normal")
    ax.set_ylabel("NPDE")
    ordered = table.sort_values("npde")
    n = len(ordered)
    if not n:
        panel_message(ax, "no prediction error")
        return
    rank = np.arange(1, n + 1)
    x = ndtri((rank - 0.5) / n)
    if n >= FEWEST_FOR_BAND:
        low, high = (ndtri(beta.ppf(q, rank, n + 1 - rank)) for q in ((1 - INTERVAL) / 2, (1 + INTERVAL) / 2))
        ax.fill_between(x, low, high, color=GREY, alpha=0.25, linewidth=0)
    draw_points(ax, ordered, x, ordered["npde"].to_numpy(float))
    reach = max(3.0, float(np.abs(x).max()) * 1.05)
    ax.plot([-reach, reach], [-reach, reach], color=BLACK, linewidth=0.9, zorder=4)


def _histogram(ax: Axes, errors: np.ndarray) -> None:
    ax.set_xlabel("NPDE")
    ax.set_ylabel("Density")
    edges = np.linspace(-4, 4, 17)
    if len(errors):
        # An error beyond the axis is counted in the outermost bar.
        height = np.histogram(np.clip(errors, -3.99, 3.99), bins=edges, density=True)[0]
        ax.stairs(height, edges, color=BLUE, fill=True, alpha=0.35)
    x = np.linspace(-4, 4, 161)
    ax.plot(x, norm.pdf(x), color=BLACK, linewidth=0.9)
    ax.set_ylim(bottom=0)


@styled
def pit(result: LooPit, *, ax: Axes | None = None) -> Axes:
    """How the distribution of PIT and LOO-PIT differs from uniform, over the band of replicated studies.

    Parameters
    ----------
    result : LooPit
        From `carkinetics.loo_pit`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.axes.Axes
        Difference of the distribution functions against the place in the predictive distribution.
    """
    ax = new_axes(6.4, 4.0) if ax is None else ax
    curve = result.curve
    x = curve["x"].to_numpy(float)
    ax.fill_between(x, curve["lower"] - x, curve["upper"] - x, color=GREY, alpha=0.25, linewidth=0)
    ax.axhline(0, color=BLACK, linewidth=0.9)
    ax.step(x, curve["pit"] - x, color=ORANGE, where="post", linestyle="--")
    ax.step(x, curve["loo_pit"] - x, color=BLUE, where="post")
    ax.set_xlim(0, 1)
    ax.set_xlabel("Place in the predictive distribution")
    ax.set_ylabel("Share of observations up to there\nless that of a uniform distribution")
    ax.set_title(
        safe(f"Pareto's k: largest {result.k.max():.2f}, median {result.k.median():.2f}", 60), fontsize=9
    )
    mark_unconverged(ax, result.converged)
    handles = [
        Line2D([], [], color=BLUE, label="LOO-PIT, subject left out"),
        Line2D([], [], color=ORANGE, linestyle="--", label="PIT, subject in the fit"),
        Patch(color=GREY, alpha=0.25, linewidth=0, label=f"replicated studies, {LEVEL:.0%} simultaneous"),
    ]
    legend_shared(ax, handles, columns=2)
    return ax

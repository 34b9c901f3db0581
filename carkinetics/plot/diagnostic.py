"""Goodness of fit, and what the posterior looks like: residuals, chains, priors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from scipy.special import ndtri
from scipy.stats import gaussian_kde, rankdata
from scipy.stats import t as student_t

from carkinetics.dataset.table import is_above, is_censored
from carkinetics.diagnostics.binning import time_bins
from carkinetics.diagnostics.contraction import contraction
from carkinetics.diagnostics.replicate import limit_of
from carkinetics.diagnostics.residuals import residuals
from carkinetics.errors import ConfigError, FitError, did_you_mean
from carkinetics.fit.measured import fitted_rows, measured_output, measured_outputs
from carkinetics.fit.result import Fit
from carkinetics.model.observe import STUDENT_DF
from carkinetics.plot.axes import (
    legend_shared,
    log_limits,
    log_ticks,
    new_grid,
    panel_message,
    panel_title,
    time_axis,
)
from carkinetics.plot.style import (
    BLACK,
    BLQ_MARK,
    BLUE,
    GREY,
    ORANGE,
    PALETTE,
    ULOQ_MARK,
    VERMILION,
    level_label,
    number,
    readable_unit,
    safe,
    styled,
)

AxesArray = np.ndarray[Any, np.dtype[np.object_]]
RANK_BINS = 20
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
    floor = _floor(fitted_rows(fit, output))
    of = fit.model.output(output)
    words = level_label(of.unit, "" if of is fit.model.output() else of.name)
    _against(axes[0, 0], table, "pred", "population prediction", floor, words)
    _against(axes[0, 1], table, "ipred", "individual prediction", floor, words)
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
    handles.append(Line2D([], [], color=ORANGE, label="median in bins"))
    handles.append(Line2D([], [], color=BLACK, linewidth=0.9, label="identity, or 0 with ±1.96"))
    legend_shared(axes[0, 0], handles, columns=5)
    return axes


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


def _against(ax: Axes, table: pd.DataFrame, column: str, what: str, floor: float, words: str) -> None:
    ax.set_xlabel(f"{what.capitalize()}\n{words}")
    ax.set_ylabel("Observed")
    if table[column].isna().all():
        panel_message(ax, f"no {what}\nin an individual fit")
        return
    x, y = (np.maximum(table[name].to_numpy(float), floor) for name in (column, "dv"))
    ax.set_xscale("log")
    ax.set_yscale("log")
    limits = log_limits(np.concatenate([x, y]))
    ax.set_xlim(limits)
    ax.set_ylim(limits)
    log_ticks(ax.xaxis)
    log_ticks(ax.yaxis)
    draw_points(ax, table, x, y)
    ax.plot(limits, limits, color=BLACK, linewidth=0.9, zorder=4)
    ax.set_box_aspect(1)


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


def _draws(fit: Fit, group: str = "posterior") -> xr.Dataset:
    if group not in fit.tree:
        raise FitError(f"an {fit.method} fit has no {group} draws; use fit_hierarchical")
    return fit.tree[group].to_dataset()


def _population_names(fit: Fit, parameters: list[str] | None) -> list[str]:
    """Sampled population quantities, in the model's order: typical values, spreads, slopes, residual."""
    posterior = _draws(fit)
    names = [f"{name}_typical" for name in fit.model.free_parameters]
    names += [f"{name}_omega" for name in fit.settings["random"]]
    names += [covariate["name"] for covariate in fit.settings["covariates"]]
    if fit.mixture:
        names += [fit.mixture.share_name, *map(fit.mixture.shift_name, fit.mixture.shifts)]
    names += [name for one in measured_outputs(fit) for name in one.sigmas]
    known = [name for name in names if name in posterior]
    for name in parameters or []:
        if name not in known:
            raise ConfigError(f"no population parameter {name!r} in this fit{did_you_mean(name, known)}")
    return parameters or known


def _small_panels(n: int, columns: int, width: float, height: float) -> AxesArray:
    columns = min(columns, n)
    rows = -(-n // columns)
    grid = new_grid(rows, columns, max(width * columns, 4.0), height * rows + 0.5).ravel()
    for ax in grid[n:]:
        ax.remove()
    return grid[:n]


@styled
def prior_posterior(fit: Fit, *, parameters: list[str] | None = None, columns: int = 4) -> AxesArray:
    """Prior and posterior of every population parameter; the title says how much narrower it became.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    parameters : list of str, optional
        Which; all if not given.
    columns : int
        Panels per row.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (n_parameters,)
        One panel each. Positive quantities on a log axis, and their densities are those of the log.

    Raises
    ------
    FitError
        If the fit has no posterior.
    ConfigError
        If a parameter does not exist.
    """
    names = _population_names(fit, parameters)
    prior, posterior = _draws(fit, "prior"), _draws(fit)
    learnt = contraction(fit)
    panels = _small_panels(len(names), columns, 2.6, 2.0)
    for ax, name in zip(panels, names, strict=True):
        before, after = prior[name].to_numpy().ravel(), posterior[name].to_numpy().ravel()
        positive = bool((before > 0).all() and (after > 0).all())
        for draws, colour, fill in ((before, GREY, 0.25), (after, BLUE, 0.35)):
            x, density = _density(np.log(draws) if positive else draws)
            at = np.exp(x) if positive else x
            ax.fill_between(at, density, color=colour, alpha=fill, linewidth=0)
            ax.plot(at, density, color=colour, linewidth=1.3)
        if positive:
            ax.set_xscale("log")
            # The prior's far tails would squeeze what is to be compared.
            both = np.concatenate([np.quantile(before, [0.005, 0.995]), after])
            ax.set_xlim(both.min() / 1.2, both.max() * 1.2)
            _sparse_ticks(ax)
        ax.set_ylim(bottom=0)
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
        share = float(learnt.loc[name, "contraction"]) if name in learnt.index else float("nan")
        panel_title(ax, f"{safe(name)}{_unit(fit, name)}\ncontraction {share:.2f}", fontsize=9)
    handles = [Line2D([], [], color=GREY, label="prior"), Line2D([], [], color=BLUE, label="posterior")]
    legend_shared(panels[0], handles, columns=2)
    return panels


def _unit(fit: Fit, name: str) -> str:
    """Unit of a typical value in brackets; the others have none."""
    parameter = fit.model.parameters.get(name.removesuffix("_typical"))
    return "" if parameter is None or parameter.unit == "1" else f" ({readable_unit(parameter.unit)})"


def _sparse_ticks(ax: Axes) -> None:
    """A few labels for a narrow log axis."""
    low, high = ax.get_xlim()
    powers = 10.0 ** np.arange(np.ceil(np.log10(low)), np.floor(np.log10(high)) + 1)
    if len(powers) < 2:
        powers = np.array([m * 10.0**p for p in range(-12, 13) for m in (1, 2, 5)])
        powers = powers[(powers >= low) & (powers <= high)]
    ax.set_xticks(powers[:: max(1, -(-len(powers) // 4))], minor=False)
    ax.set_xticks([], minor=True)
    ax.xaxis.set_major_formatter(lambda value, _: number(value))


def _density(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smooth density over the range of the draws; a spike where they are all the same."""
    known = draws[np.isfinite(draws)]
    if len(known) < 2 or np.ptp(known) == 0:
        return np.repeat(known[:1], 2), np.array([0.0, 1.0])[: 2 * len(known[:1])]
    smooth = gaussian_kde(known)
    room = 3 * float(np.sqrt(smooth.covariance[0, 0]))
    x = np.linspace(known.min() - room, known.max() + room, 200)
    return x, smooth(x)


@styled
def trace(fit: Fit, *, parameters: list[str] | None = None, columns: int = 3) -> AxesArray:
    """Draws in the order of sampling, one colour per chain.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    parameters : list of str, optional
        Which population parameters; all if not given.
    columns : int
        Panels per row.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (n_parameters,)
        One panel each.

    Raises
    ------
    FitError
        If the fit has no posterior.
    ConfigError
        If a parameter does not exist.
    """
    names, posterior = _population_names(fit, parameters), _draws(fit)
    panels = _small_panels(len(names), columns, 3.3, 1.6)
    for ax, name in zip(panels, names, strict=True):
        for chain, draws in enumerate(posterior[name].transpose("chain", "draw").to_numpy()):
            ax.plot(draws, color=PALETTE[chain % len(PALETTE)], linewidth=0.5, alpha=0.8)
        panel_title(ax, safe(name), fontsize=9)
        ax.margins(x=0.01)
        ax.yaxis.set_major_formatter(lambda value, _: number(value))
    _label_chains(panels, posterior.sizes["chain"], "Draw", columns)
    return panels


@styled
def ranks(fit: Fit, *, parameters: list[str] | None = None, columns: int = 4) -> AxesArray:
    """How each chain's draws rank among all: flat, if the chains have found the same distribution.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    parameters : list of str, optional
        Which population parameters; all if not given.
    columns : int
        Panels per row.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (n_parameters,)
        One panel each: histogram of ranks per chain over its expected height, 1.

    Raises
    ------
    FitError
        If the fit has no posterior.
    ConfigError
        If a parameter does not exist.

    References
    ----------
    .. [1] Vehtari A et al. Bayesian Anal 2021;16:667-718.
    """
    names, posterior = _population_names(fit, parameters), _draws(fit)
    panels = _small_panels(len(names), columns, 2.6, 1.7)
    for ax, name in zip(panels, names, strict=True):
        draws = posterior[name].transpose("chain", "draw").to_numpy()
        bins = max(2, min(RANK_BINS, draws.shape[1] // 5))
        place = (rankdata(draws, axis=None).reshape(draws.shape) - 0.5) / draws.size
        for chain, row in enumerate(place):
            height = np.histogram(row, bins=bins, range=(0, 1))[0] * bins / draws.shape[1]
            edges = np.linspace(0, 1, bins + 1)
            ax.stairs(height, edges, color=PALETTE[chain % len(PALETTE)], linewidth=1.1)
        ax.axhline(1.0, color=BLACK, linewidth=0.8, linestyle=":")
        ax.set_ylim(0, max(2.0, ax.get_ylim()[1]))
        panel_title(ax, safe(name), fontsize=9)
        ax.set_xticks([0, 0.5, 1])
    _label_chains(panels, posterior.sizes["chain"], "Rank among all draws (fraction)", columns)
    return panels


def _label_chains(panels: AxesArray, chains: int, words: str, columns: int) -> None:
    for ax in panels[-min(columns, len(panels)) :]:
        ax.set_xlabel(words, fontsize=9)
    handles = [Line2D([], [], color=PALETTE[c % len(PALETTE)], label=f"chain {c + 1}") for c in range(chains)]
    legend_shared(panels[0], handles, columns=min(chains, 8))

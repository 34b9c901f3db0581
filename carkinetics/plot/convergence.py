"""How the chains explored: effective sample size, energy, funnels and divergences. Traces and ranks are in `diagnostic`."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy.stats import gaussian_kde

from carkinetics.diagnostics.diagnose import EBFMI, ESS
from carkinetics.diagnostics.exploration import divergent_draws, e_bfmi, ess_growth, funnels, least_told
from carkinetics.errors import ConfigError, FitError
from carkinetics.fit.result import Fit
from carkinetics.fit.variability import effect_draws
from carkinetics.plot.axes import legend_shared, log_limits, log_ticks, new_axes, new_grid
from carkinetics.plot.style import BLACK, BLUE, GREY, PALETTE, VERMILION, safe, styled

AxesArray = np.ndarray[Any, np.dtype[np.object_]]
NAMED = 4  # quantities with the smallest size have a colour; the others show where the rest is
MOST_POINTS = 2000


@styled
def ess(fit: Fit, *, axes: AxesArray | None = None) -> AxesArray:
    """Effective sample size against the number of draws; parallel to the dotted line if chains mix.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    axes : ndarray of matplotlib.axes.Axes, shape (2,), optional
        Where to draw; a new figure if not given.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (2,)
        Bulk and tail. The four population quantities that end lowest are named.

    Raises
    ------
    FitError
        If the fit has no posterior, or too short chains.
    ConfigError
        If ``axes`` has another shape.
    """
    table = ess_growth(fit)
    if axes is None:
        axes = new_grid(1, 2, 8.2, 3.6, sharey=True)[0]
    elif np.shape(axes) != (2,):
        raise ConfigError(f"ess: axes has shape {np.shape(axes)}; expected (2,)")
    last = table[table["draws"] == table["draws"].max()].set_index("parameter")[["bulk", "tail"]].min(axis=1)
    named = last.nsmallest(NAMED).index.tolist()
    for ax, column in zip(axes, ("bulk", "tail"), strict=True):
        for name, rows in table.groupby("parameter", sort=False):
            at = named.index(name) if name in named else None
            colour = "#C8C8C8" if at is None else PALETTE[at]
            ax.plot(
                rows["draws"], rows[column], color=colour, linewidth=0.8 if at is None else 1.8,
                marker=None if at is None else "o", markersize=3, zorder=2 if at is None else 3,
            )  # fmt: skip
        ax.axhline(ESS, color=BLACK, linewidth=0.9, linestyle="--")
        most = float(table["draws"].max())
        ax.plot([1, most], [1, most], color=GREY, linewidth=0.9, linestyle=":", zorder=1)
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlim(table["draws"].min() / 1.1, most * 1.1)
        ax.set_ylim(max(1.0, min(float(table[["bulk", "tail"]].min().min()), ESS) / 1.6), 2.5 * most)
        log_ticks(ax.xaxis)
        log_ticks(ax.yaxis)
        ax.set_xlabel("Draws, all chains")
        ax.set_title(f"{column.capitalize()} effective sample size", fontsize=9.5)
    handles = [
        Line2D([], [], color=PALETTE[k], marker="o", markersize=3, label=safe(name))
        for k, name in enumerate(named)
    ]
    handles += [
        Line2D([], [], color="#C8C8C8", label="other quantities"),
        Line2D([], [], color=BLACK, linestyle="--", label=f"{ESS} are needed"),
        Line2D([], [], color=GREY, linestyle=":", label="independent draws"),
    ]
    legend_shared(axes[0], handles, columns=3)
    return axes


@styled
def energy(fit: Fit, *, ax: Axes | None = None) -> Axes:
    """Energy of the draws and its changes from draw to draw; as wide as each other if the tails are explored.

    Parameters
    ----------
    fit : Fit
        Hierarchical, drawn by NUTS.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.axes.Axes
        Densities; the legend has the E-BFMI of each chain.

    Raises
    ------
    FitError
        If the sampler has no energy.
    """
    if "sample_stats" not in fit.tree or "energy" not in fit.tree["sample_stats"]:
        raise FitError("energy: this fit's sampler has no energy; only NUTS has (sampler='nuts')")
    values = fit.tree["sample_stats"]["energy"].transpose("chain", "draw").to_numpy()
    ax = new_axes(6.2, 3.6) if ax is None else ax
    marginal = (values - values.mean(axis=1, keepdims=True)).ravel()
    changes = np.diff(values, axis=1).ravel()
    reach = 1.15 * max(float(np.abs(marginal).max()), float(np.abs(changes).max()))
    x = np.linspace(-reach, reach, 300)
    for draws, colour in ((marginal, GREY), (changes, BLUE)):
        density = gaussian_kde(draws)(x)
        ax.fill_between(x, density, color=colour, alpha=0.3, linewidth=0)
        ax.plot(x, density, color=colour)
    ax.set_yticks([])
    ax.set_ylim(bottom=0)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel("Energy, less each chain's mean")
    found = e_bfmi(values)
    handles: list[Any] = [
        Patch(facecolor=GREY, alpha=0.5, label="energy of the draws"),
        Patch(facecolor=BLUE, alpha=0.5, label="change from draw to draw"),
    ]
    handles += [
        Line2D([], [], linestyle="none", label=f"chain {chain + 1}: E-BFMI {value:.2f}{'' if value >= EBFMI else ' (low)'}")
        for chain, value in enumerate(found)
    ]  # fmt: skip
    legend_shared(ax, handles, columns=3)
    return ax


@styled
def funnel(fit: Fit, *, columns: int = 3) -> AxesArray:
    """Spread of each random effect against the effect that the data tell least, with divergent draws on top.

    Parameters
    ----------
    fit : Fit
        Hierarchical, with random effects.
    columns : int
        Panels per row.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (n_random,)
        One panel per random parameter: draws of one subject's effect and of ω (log axis). The title has the numbers of
        `carkinetics.diagnostics.exploration.funnels`, in red where they make a funnel.

    Raises
    ------
    FitError
        If the fit has no posterior or no random effects.
    """
    table, effects, diverged = funnels(fit), effect_draws(fit), divergent_draws(fit)
    columns = min(columns, len(effects))
    rows = -(-len(effects) // columns)
    grid = new_grid(rows, columns, max(3.0 * columns, 4.2), 2.5 * rows + 0.5).ravel()
    for ax in grid[len(effects) :]:
        ax.remove()
    panels = grid[: len(effects)]
    every = max(1, len(diverged) // MOST_POINTS)
    for ax, (name, eta) in zip(panels, effects.items(), strict=True):
        omega = fit.tree["posterior"][f"{name}_omega"].transpose("chain", "draw").to_numpy().ravel()
        one, found = eta[:, least_told(eta)], table.loc[name]
        ax.set_yscale("log")
        ax.set_ylim(log_limits(omega))
        log_ticks(ax.yaxis)
        ax.plot(one[::every], omega[::every], ".", color=BLUE, markersize=2.2, alpha=0.35, rasterized=True)
        ax.plot(one[diverged], omega[diverged], "x", color=VERMILION, markersize=4.5, zorder=4)
        ax.set_xlabel(f"η {safe(name)} of {safe(found['subject'], 14)}", fontsize=9)
        ax.set_ylabel(f"ω {safe(name)}", fontsize=9)
        ax.set_title(
            f"{'funnel: ' if found['funnel'] else ''}r {found['correlation']:.2f}, widening {found['widening']:.1f}",
            fontsize=9, color=VERMILION if found["funnel"] else BLACK,
        )  # fmt: skip
    handles = [
        Line2D([], [], color=BLUE, marker=".", linestyle="none", label="draws"),
        Line2D([], [], color=VERMILION, marker="x", linestyle="none", label=f"{int(diverged.sum())} divergent draws"),
    ]  # fmt: skip
    legend_shared(panels[0], handles, columns=2)
    return panels

"""What the posterior looks like: chains, priors."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from scipy.stats import gaussian_kde, rankdata

from carkinetics.diagnostics.contraction import contraction
from carkinetics.errors import ConfigError, FitError, did_you_mean
from carkinetics.fit.measured import measured_outputs
from carkinetics.fit.result import Fit
from carkinetics.plot.axes import (
    legend_shared,
    new_grid,
    panel_title,
)
from carkinetics.plot.style import (
    BLACK,
    BLUE,
    GREY,
    PALETTE,
    number,
    readable_unit,
    safe,
    styled,
)

AxesArray = np.ndarray[Any, np.dtype[np.object_]]
RANK_BINS = 20


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

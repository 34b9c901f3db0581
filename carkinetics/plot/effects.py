"""Random effects: their distribution against the model's, against covariates, against each other.

Points are posterior means; densities, trends and correlations come from draws. Means are narrower than the distribution
that they come from, by the shrinkage, even where the model is right; draws of all subjects together are not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from carkinetics.diagnostics.random_effects import (
    effect_correlations,
    effect_trends,
    is_numeric,
    subject_covariates,
)
from carkinetics.errors import ConfigError, FitError
from carkinetics.fit.result import Fit
from carkinetics.fit.variability import effect_draws, shrinkage_table
from carkinetics.plot.axes import legend_shared, new_grid, panel_title
from carkinetics.plot.style import BLACK, BLUE, GREY, ORANGE, SKY, safe, styled

AxesArray = np.ndarray[Any, np.dtype[np.object_]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
MOST_DRAWS = 400  # more make the picture slower and no different
TAIL = (0.05, 0.95)
CLEAR = 0.01  # p below which a title is black: there are dozens of panels


@styled
def random_effects(fit: Fit, *, columns: int = 3) -> AxesArray:
    """Distribution of the random effects over subjects against the normal distribution that the model has for them.

    Parameters
    ----------
    fit : Fit
        Hierarchical, with random effects.
    columns : int
        Panels per row.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (n_random,)
        One panel per random parameter: density of the draws of all subjects with its 90 % band over draws of the
        population, the model's N(0, ω²), posterior means as ticks below.

    Raises
    ------
    FitError
        If the fit has no posterior or no random effects.
    """
    effects = _thinned(fit)
    shrunk = shrinkage_table(fit).set_index("parameter")
    panels = _panels(len(effects), columns)
    for ax, (name, eta) in zip(panels, effects.items(), strict=True):
        omega = float(shrunk.at[name, "omega"])
        _distribution(ax, eta, omega)
        away = shrunk.at[name, "sd_percent"]
        said = "" if np.isnan(away) else f", shrinkage {away:.0f} % (SD type)"  # one subject has none
        panel_title(ax, f"{safe(name)}: ω {omega:.2f}{said}", fontsize=9)
    handles = [
        Line2D([], [], color=BLACK, linestyle="--", label="model: N(0, ω²)"),
        Line2D([], [], color=BLUE, label="draws of all subjects, 90 % band"),
        Line2D([], [], color=ORANGE, marker="|", linestyle="none", markersize=9, label="posterior means"),
    ]
    legend_shared(panels[0], handles, columns=3)
    return panels


def _thinned(fit: Fit) -> dict[str, Floats]:
    found = effect_draws(fit)
    if not found:
        raise FitError(f"the fit of {fit.model.name} has no random effects to draw")
    every = {name: max(1, len(eta) // MOST_DRAWS) for name, eta in found.items()}
    return {name: eta[:: every[name]] for name, eta in found.items()}


def _panels(n: int, columns: int) -> AxesArray:
    columns = min(columns, n)
    rows = -(-n // columns)
    grid = new_grid(rows, columns, max(3.3 * columns, 4.5), 2.3 * rows + 0.5).ravel()
    for ax in grid[n:]:
        ax.remove()
    return grid[:n]


def _distribution(ax: Axes, eta: Floats, omega: float) -> None:
    means = eta.mean(axis=0)
    reach = max(3.2 * omega, float(np.abs(means).max()) * 1.1, float(np.quantile(np.abs(eta), 0.995)))
    x = np.linspace(-reach, reach, 161)
    # One bandwidth for all draws, so that the band shows sampling and not smoothing.
    width = float(eta.std()) * eta.shape[1] ** -0.2
    each = _normal_density(x[:, None, None] - eta, width).mean(axis=2) if width > 0 else np.zeros((len(x), 1))
    low, high = np.quantile(each, TAIL, axis=1)
    ax.fill_between(x, low, high, color=BLUE, alpha=0.22, linewidth=0)
    ax.plot(x, each.mean(axis=1), color=BLUE)
    # The model's curve is smoothed as the draws are: a kernel makes every density wider.
    ax.plot(x, _normal_density(x, float(np.hypot(omega, width))), color=BLACK, linestyle="--", linewidth=1.2)
    top = float(each.max())
    ax.plot(means, np.full(len(means), -0.06 * top), "|", color=ORANGE, markersize=9, markeredgewidth=1.1)
    ax.set_ylim(-0.13 * top, None)
    ax.set_xlim(-reach, reach)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_xlabel("η (free scale)", fontsize=9)


def _normal_density(away: Floats, sd: float) -> Floats:
    """Density at a distance from the mean; SciPy's looks at every value for what cannot be, and takes three times as long."""
    return np.asarray(np.exp(-0.5 * np.square(away / sd)) / (sd * np.sqrt(2 * np.pi)))


@styled
def effects_by_covariate(fit: Fit, covariates: Iterable[str] | None = None) -> AxesArray:
    """Random effects against covariates of the subjects; what is left of a trend is not in the model.

    Parameters
    ----------
    fit : Fit
        Hierarchical, with random effects.
    covariates : iterable of str, optional
        Columns of the subjects, ``"log10(dose)"`` for the dose; all that differ between subjects if not given.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (n_random, n_covariates)
        Numbers: posterior means with 90 % intervals, and the straight line with its 90 % band over draws. Groups: boxes of
        the posterior means. The title is the correlation (numbers) or the correlation ratio (groups) and the p-value of
        `carkinetics.diagnostics.random_effects.effect_trends`, in black below 0.01.

    Raises
    ------
    FitError
        If the fit has no posterior or no random effects.
    ConfigError
        If there is no such column, or none to show.
    """
    effects, table = _thinned(fit), subject_covariates(fit, covariates)
    if table.shape[1] == 0:
        raise ConfigError("effects_by_covariate: no column of the subjects differs between them")
    said = effect_trends(fit, covariates).set_index(["parameter", "covariate"])
    axes = new_grid(
        len(effects), table.shape[1], max(2.5 * table.shape[1], 3.4) + 0.5, 1.9 * len(effects) + 0.7,
        sharex="col", sharey="row",
    )  # fmt: skip
    for row, (name, eta) in zip(axes, effects.items(), strict=True):
        row[0].set_ylabel(f"η {safe(name)}")
        for ax, covariate in zip(row, table.columns, strict=True):
            draw = _scatter if is_numeric(table[covariate]) else _boxes
            draw(ax, eta, table[covariate])
            ax.axhline(0, color=BLACK, linewidth=0.8, zorder=1)
            found = said.loc[(name, str(covariate))]
            sign = "r" if found["kind"] == "numeric" else "ratio"
            _title(ax, f"{sign} {found['strength']:.2f}", found["p"])
    for ax, covariate in zip(axes[-1], table.columns, strict=True):
        ax.set_xlabel(safe(str(covariate).replace("_", " ")))
    handles = [
        Line2D([], [], color=BLUE, marker="o", markersize=3.5, label="posterior mean, 90 % interval"),
        Line2D([], [], color=ORANGE, label="straight line over draws, 90 % band"),
        Patch(facecolor=SKY, alpha=0.4, label="quartiles of the posterior means"),
    ]
    legend_shared(axes[0, 0], handles, columns=min(3, axes.shape[1] + 1))
    return axes


def _title(ax: Axes, strength: str, p: float) -> None:
    clear = p < CLEAR
    words = "p < 0.001" if p < 0.001 else f"p {p:.2f}" if p >= 0.01 else f"p {p:.3f}"
    panel_title(
        ax,
        f"{strength}, {words}",
        fontsize=8.5,
        color=BLACK if clear else GREY,
        fontweight="bold" if clear else "normal",
    )


def _scatter(ax: Axes, eta: Floats, values: pd.Series) -> None:
    known = values.notna().to_numpy()
    x, y = values[known].to_numpy(float), eta[:, known]
    low, high = np.quantile(y, TAIL, axis=0)
    ax.vlines(x, low, high, color=BLUE, linewidth=0.7, alpha=0.35)
    ax.plot(x, y.mean(axis=0), "o", color=BLUE, markersize=3, markeredgewidth=0, alpha=0.8)
    along = np.linspace(x.min(), x.max(), 30)
    slope = ((y - y.mean(axis=1, keepdims=True)) * (x - x.mean())).sum(axis=1) / ((x - x.mean()) ** 2).sum()
    lines = y.mean(axis=1)[:, None] + slope[:, None] * (along - x.mean())
    ax.fill_between(along, *np.quantile(lines, TAIL, axis=0), color=ORANGE, alpha=0.3, linewidth=0, zorder=3)
    ax.plot(along, lines.mean(axis=0), color=ORANGE, zorder=4)


def _boxes(ax: Axes, eta: Floats, values: pd.Series) -> None:
    means, words = eta.mean(axis=0), values.astype(str).where(values.notna())
    groups = sorted(words.dropna().unique())
    for at, group in enumerate(groups):
        inside = means[(words == group).to_numpy()]
        ax.boxplot(
            inside, positions=[at], widths=0.55, showfliers=False, patch_artist=True,
            boxprops={"facecolor": SKY, "alpha": 0.4, "linewidth": 0.8}, medianprops={"color": BLACK},
            whiskerprops={"linewidth": 0.8}, capprops={"linewidth": 0.8},
        )  # fmt: skip
        beside = at + np.linspace(-0.15, 0.15, len(inside))
        ax.plot(beside, inside, "o", color=BLUE, markersize=3, markeredgewidth=0, alpha=0.7)
    counts = [int((words == group).sum()) for group in groups]
    ax.set_xticks(range(len(groups)), [f"{safe(g, 12)}\nn {n}" for g, n in zip(groups, counts, strict=True)])
    ax.set_xlim(-0.6, len(groups) - 0.4)


@styled
def effect_pairs(fit: Fit) -> AxesArray:
    """Every random effect against every other.

    Parameters
    ----------
    fit : Fit
        Hierarchical, with two random effects or more.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (n_random - 1, n_random - 1)
        Below the diagonal posterior means, with the correlation over draws and its p-value, in black below 0.01; the panels
        above it are removed.

    Raises
    ------
    FitError
        If the fit has no posterior or fewer than two random effects.
    """
    effects = _thinned(fit)
    names = list(effects)
    if len(names) < 2:
        raise FitError("effect_pairs: the fit has one random effect; a correlation needs two")
    said = effect_correlations(fit).set_index(["first", "second"])
    size = len(names) - 1
    axes = new_grid(size, size, max(1.9 * size + 0.6, 3.6), max(1.75 * size + 0.5, 3.2))
    for i, second in enumerate(names[1:]):
        for j, first in enumerate(names[:-1]):
            ax = axes[i, j]
            if j > i:
                ax.remove()
                continue
            x, y = effects[first].mean(axis=0), effects[second].mean(axis=0)
            ax.plot(x, y, "o", color=BLUE, markersize=3, markeredgewidth=0, alpha=0.7)
            found = said.loc[(first, second)]
            _title(ax, f"r {found['correlation']:.2f}", found["p"])
            if i == size - 1:
                ax.set_xlabel(f"η {safe(first)}")
            if j == 0:
                ax.set_ylabel(f"η {safe(second)}")
            ax.tick_params(labelsize=7.5)
    return axes

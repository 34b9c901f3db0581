"""Correlations of the population quantities over posterior draws, as a matrix."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from carkinetics.diagnostics.population_correlation import population_correlations
from carkinetics.fit.result import Fit
from carkinetics.plot.axes import new_axes
from carkinetics.plot.style import BLACK, BLUE, VERMILION, safe, styled

SIGNED = LinearSegmentedColormap.from_list("signed", [BLUE, "#FFFFFF", VERMILION])


@styled
def correlations(fit: Fit, *, ax: Axes | None = None) -> Axes:
    """Correlation of every two estimated population quantities over posterior draws.

    Parameters
    ----------
    fit : Fit
        Hierarchical.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.axes.Axes
        The lower triangle: -1 in blue, 1 in vermilion, with the number in each cell.

    Raises
    ------
    FitError
        If the fit is not a hierarchical one.
    """
    matrix = population_correlations(fit)
    n = len(matrix)
    if ax is None:
        ax = new_axes(0.46 * n + 2.0, 0.36 * n + 1.6)
    values = matrix.to_numpy(copy=True)
    values[np.triu_indices(n)] = np.nan
    ax.imshow(values, cmap=SIGNED, vmin=-1, vmax=1, aspect="auto")
    for i in range(n):
        for j in range(i):
            ax.text(
                j,
                i,
                f"{round(values[i, j], 2) + 0.0:.2f}",
                ha="center",
                va="center",
                fontsize=7.5,
                color=BLACK,
            )
    names = [safe(str(name)) for name in matrix.index]
    ax.set_xticks(range(n - 1), names[:-1], rotation=60, ha="right", rotation_mode="anchor", fontsize=8)
    ax.set_yticks(range(1, n), names[1:], fontsize=8)
    ax.set_xlim(-0.5, n - 1.5)
    ax.set_ylim(n - 0.5, 0.5)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.tick_params(length=0)
    ax.grid(visible=False)
    return ax

"""Ranks of simulated truths: whether posterior intervals hold what is true as often as they say."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy.stats import binom

from carkinetics.diagnostics.calibration import LEVEL, N_RANKS, Calibration
from carkinetics.errors import ConfigError, did_you_mean
from carkinetics.plot.axes import legend_shared, new_grid
from carkinetics.plot.style import BLACK, BLUE, GREY, VERMILION, safe, styled

AxesArray = np.ndarray[Any, np.dtype[np.object_]]
KINDS = ("ecdf", "histogram")
BAND = 0.95
SIMULATED = 2000  # bands of the ECDF


@styled
def calibration(
    result: Calibration, *, kind: str = "ecdf", quantities: list[str] | None = None, columns: int = 5
) -> AxesArray:
    """Distribution of the ranks of every quantity beside what uniform ranks would give.

    Parameters
    ----------
    result : Calibration
        From `carkinetics.calibrate`.
    kind : {"ecdf", "histogram"}
        The cumulative distribution of the rank less that of a uniform one, with a band that holds all of a uniform one's curve with
        probability 95 %; or ten bins, with the range that holds 95 % of each bin's counts.
    quantities : list of str, optional
        Which; all if not given. One that is not uniform is red.
    columns : int
        Panels per row.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (n_quantities,)
        One panel each; its title has the coverage of 90 % intervals.

    Raises
    ------
    ConfigError
        If there is no such kind or quantity, or no replicate has ranks.

    References
    ----------
    .. [1] Säilynoja T, Bürkner PC, Vehtari A. Graphical test for discrete uniformity and its applications in goodness-of-fit
       evaluation and multiple sample comparison. Stat Comput 2022;32:32.
    """
    if kind not in KINDS:
        raise ConfigError(f"calibration: kind is {kind!r}{did_you_mean(kind, KINDS)}")
    ranks, table = result.used, result.table
    names = quantities or list(table.index)
    for name in names:
        if name not in table.index:
            raise ConfigError(f"calibration: no quantity {name!r}{did_you_mean(name, list(table.index))}")
    if not result.n:
        raise ConfigError("calibration: no replicate has ranks")
    columns = min(columns, len(names))
    rows = -(-len(names) // columns)
    grid = new_grid(rows, columns, max(2.1 * columns, 5.5), 1.65 * rows + 0.7).ravel()
    for ax in grid[len(names) :]:
        ax.remove()
    draw = _ecdf if kind == "ecdf" else _histogram
    for k, (ax, name) in enumerate(zip(grid, names, strict=False)):
        wrong = table.loc[name, "p"] * len(table) < LEVEL
        draw(ax, ranks[name].dropna().to_numpy(float), VERMILION if wrong else BLUE)
        ax.set_title(f"{safe(name)}\n90 %: {100 * table.loc[name, 'cover_90']:.0f} %", fontsize=8)
        ax.set_xlim(0, 1)
        ax.set_xticks([0, 0.5, 1], ["0", "½", "1"])
        if k % columns == 0:
            ax.set_ylabel("ECDF − uniform" if kind == "ecdf" else "replicates", fontsize=8)
        if k // columns == (len(names) - 1 - k % columns) // columns:
            ax.set_xlabel("rank / 100", fontsize=8)
    handles = [
        Line2D([], [], color=BLUE, label="rank of the truth"), Line2D([], [], color=VERMILION, label="not uniform"),
        Patch(color=GREY, alpha=0.3, label=f"{100 * BAND:.0f} % of uniform ranks"),
    ]  # fmt: skip
    legend_shared(grid[0], handles, columns=3)
    return grid[: len(names)]


@cache
def _band(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places, and how far below and above them the ECDF of n uniform numbers may be."""
    from arviz_stats.ecdf_utils import ecdf_pit  # imports slowly

    uniform = (np.arange(n) + 0.5) / n
    at, _, lower, upper = map(np.asarray, ecdf_pit(uniform, BAND, SIMULATED, rng=np.random.default_rng(2)))
    return at, lower - at, upper - at


def _ecdf(ax: Axes, ranks: np.ndarray, colour: str) -> None:
    # A rank of k means a probability between k/100 and (k+1)/100; its middle would leave steps at the ends.
    u = np.sort((ranks + np.random.default_rng(1).uniform(size=len(ranks))) / (N_RANKS + 1))
    at, lower, upper = _band(len(u))
    found = np.searchsorted(u, at, side="right") / len(u) - at
    ax.fill_between(at, lower, upper, color=GREY, alpha=0.3, linewidth=0, step="mid")
    ax.plot(at, found, color=colour, linewidth=1.3, drawstyle="steps-mid")
    ax.axhline(0, color=BLACK, linewidth=0.7)
    reach = 1.15 * max(np.abs(found).max(), np.abs(upper).max(), np.abs(lower).max())
    ax.set_ylim(-reach, reach)


def _histogram(ax: Axes, ranks: np.ndarray, colour: str) -> None:
    counts, edges = np.histogram((ranks + 0.5) / (N_RANKS + 1), 10, (0, 1))
    low, high = binom.interval(BAND, len(ranks), 0.1)
    ax.axhspan(low, high, color=GREY, alpha=0.3, linewidth=0)
    ax.axhline(len(ranks) / 10, color=BLACK, linewidth=0.7)
    ax.stairs(counts, edges, color=colour, linewidth=1.3)
    ax.set_ylim(0, 1.1 * max(high, counts.max()))

"""A screen of covariates: every pair's ratio, and how much of it the horseshoe left."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from carkinetics.fit.screen import CovariateScreen
from carkinetics.plot.axes import legend_shared, new_axes
from carkinetics.plot.style import BLACK, GREY, VERMILION, number, safe, styled

TICKS = np.array([0.1, 0.2, 0.33, 0.5, 0.8, 1.0, 1.25, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0])


@styled
def covariate_screen(screen: CovariateScreen, *, ax: Axes | None = None) -> Axes:
    """Ratio of the parameter between the ends of the covariate, a row for each pair, the most probable on top.

    Parameters
    ----------
    screen : CovariateScreen
        From `carkinetics.screen_covariates`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.axes.Axes
        Medians with 90 % intervals on a log axis; beside them the probability of more than the factor that counts, whose
        range is shaded, and the shrinkage factor κ.
    """
    table, factor = screen.table, float(screen.settings["factor"])
    if ax is None:
        ax = new_axes(7.2, 0.27 * len(table) + 1.4)
    place = np.arange(len(table))
    ax.axvspan(1 / factor, factor, color=GREY, alpha=0.16, linewidth=0)
    ax.axvline(1.0, color=BLACK, linewidth=0.9)
    for y, row in zip(place, table.itertuples(), strict=True):
        colour = VERMILION if row.named else BLACK
        ax.plot([row.lower, row.upper], [y, y], color=colour, linewidth=1.3)
        ax.plot(row.ratio, y, "o", color=colour, markersize=5)
        ax.annotate(
            f"{row.probability:.2f}              {row.kappa:.2f}", (1.02, y), xycoords=("axes fraction", "data"), va="center",
            fontsize=8.5, color=colour, annotation_clip=False,
        )  # fmt: skip
    ax.annotate(
        f"P(factor > {factor:g})   κ", (1.02, 1.0), xycoords="axes fraction", va="bottom", fontsize=8.5
    )
    ends = table[["lower", "upper"]].to_numpy(float)
    ends = ends[(ends > 0) & np.isfinite(ends)]
    low, high = min(ends.min(initial=1 / factor), 0.75) / 1.1, max(ends.max(initial=factor), 1.34) * 1.1
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    ax.set_xticks(TICKS[(low <= TICKS) & (high >= TICKS)])
    ax.set_xticks([], minor=True)
    ax.xaxis.set_major_formatter(lambda value, _: number(value))
    ax.set_yticks(place, [f"{safe(row.parameter)} on {safe(row.covariate)}" for row in table.itertuples()])
    ax.set_ylim(len(table) - 0.4, -0.6)
    ax.set_xlabel("Ratio between the ends of the covariate (median, 90 % interval)")
    handles = [
        Line2D([], [], color=VERMILION, marker="o", label="named"),
        Line2D([], [], color=BLACK, marker="o", label="not named"),
        Patch(facecolor=GREY, alpha=0.3, label=f"less than a factor of {factor:g}"),
    ]
    legend_shared(ax, handles, columns=3)
    return ax

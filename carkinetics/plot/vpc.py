"""Visual predictive check as a picture: levels above, fraction BLQ below."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from carkinetics.diagnostics.vpc import ALL, Vpc
from carkinetics.diagnostics.vpc import vpc as compute_vpc
from carkinetics.errors import ConfigError
from carkinetics.fit.result import INTERVAL, Fit
from carkinetics.plot.axes import legend_shared, log_limits, log_ticks, mark_unconverged, new_grid, time_axis
from carkinetics.plot.style import (
    BLACK,
    BLQ_MARK,
    BLUE,
    GREY,
    LLOQ_LINE,
    ORANGE,
    VERMILION,
    group_label,
    level_label,
    readable_unit,
    safe,
    styled,
)

AxesArray = np.ndarray[Any, np.dtype[np.object_]]
BAND = {5: BLUE, 50: ORANGE, 95: BLUE}
LINE = {5: "--", 50: "-", 95: "--"}
PER_ROW = 3  # checks side by side


@styled
def vpc(result: Fit | Vpc, *, axes: AxesArray | None = None, **settings: Any) -> AxesArray:
    """Observed percentiles over the interval of the simulated ones, and the same for the fraction BLQ.

    Parameters
    ----------
    result : Fit or Vpc
        A hierarchical fit, of which the check is computed, or a computed check.
    axes : ndarray of matplotlib.axes.Axes, shape (2, n_strata), optional
        Where to draw; a new figure if not given.
    **settings : Any
        For `carkinetics.diagnostics.vpc.vpc`, such as ``by="dose"``, ``bins`` and ``corrected``; only with a fit.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (2, n_strata)
        Levels in the first row, fractions BLQ in the second, one column per stratum.

    Raises
    ------
    ConfigError
        If settings are given with a computed check, or ``axes`` has another shape.
    """
    if isinstance(result, Vpc) and settings:
        raise ConfigError(
            f"vpc: {next(iter(settings))} belongs to the computation; give it to carkinetics.diagnostics.vpc.vpc"
        )
    check = result if isinstance(result, Vpc) else compute_vpc(result, **settings)
    strata = check.strata
    if axes is None:
        width = {1: 6.8, 2: 8.6}.get(len(strata), 3.3 * len(strata))
        axes = new_grid(2, len(strata), width, 5.4, sharex=True, sharey="row", height_ratios=[3, 1])
    elif np.shape(axes) != (2, len(strata)):
        raise ConfigError(
            f"vpc: axes has shape {np.shape(axes)}; expected (2, {len(strata)}), one column per stratum"
        )
    _prepare(axes, check)
    for (top, bottom), stratum in zip(axes.T, strata, strict=True):
        _levels(top, check, stratum)
        _fraction_blq(bottom, check.blq[check.blq["stratum"] == stratum])
        if stratum != ALL:
            n = check.points.loc[check.points["stratum"] == stratum, "subject"].nunique()
            unit = readable_unit(check.settings["by_unit"]) if check.settings["by_unit"] else ""
            name = f"{safe(str(check.settings['by']).replace('_', ' '))} {group_label(stratum)} {unit}"
            top.set_title(f"{name.strip()}  (n = {n})", fontsize=9.5 if len(strata) > 1 else None)
    mark_unconverged(axes[0, 0], check.converged)
    _legend(axes, check)
    return axes


@styled
def vpc_compared(
    checks: Mapping[str, Vpc], *, marked: Collection[str] = (), axes: AxesArray | None = None
) -> AxesArray:
    """Visual predictive checks of several fits on the same axes.

    Parameters
    ----------
    checks : mapping of str to Vpc
        Of all subjects together, by the name of the fit.
    marked : collection of str
        Fits that did not converge, besides those whose check says it: it stands in red over their panels.
    axes : ndarray of matplotlib.axes.Axes, shape (2, n_checks), optional
        Where to draw; a new figure of at most three checks in a row if not given.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (2, n_checks)
        Levels in the first row, fractions BLQ in the second, one column per check.

    Raises
    ------
    ConfigError
        If there is no check, one has strata or another unit or correction than the first, or ``axes`` has another shape.
    """
    _expect_alike(checks)
    if axes is None:
        axes = _columns(len(checks))
    elif np.shape(axes) != (2, len(checks)):
        raise ConfigError(f"vpc_compared: axes has shape {np.shape(axes)}; expected (2, {len(checks)})")
    for column, (name, check) in zip(axes.T, checks.items(), strict=True):
        _prepare(column[:, None], check)
        _levels(column[0], check, check.strata[0])
        _fraction_blq(column[1], check.blq)
        failed = name in marked or check.converged is False
        column[0].set_title(
            f"{safe(name)}{'\nnot converged' if failed else ''}",
            fontsize=9.5,
            color=VERMILION if failed else BLACK,
        )
    for row in axes:
        _same_limits(row)
    for k, (top, bottom) in enumerate(axes.T):
        log_ticks(top.yaxis)
        top.tick_params(labelbottom=False)
        for ax in (top, bottom) if k % PER_ROW else ():
            ax.set_ylabel("")
            ax.tick_params(labelleft=False)
    _legend(axes, next((one for one in checks.values() if _limits_differ(one)), next(iter(checks.values()))))
    return axes


def _expect_alike(checks: Mapping[str, Vpc]) -> None:
    if not checks:
        raise ConfigError("vpc_compared: no check was given; expected one for each fit")
    first = next(iter(checks.values()))
    for name, check in checks.items():
        if len(check.strata) != 1:
            raise ConfigError(
                f"vpc_compared: the check of {name} has {len(check.strata)} strata; expected one"
            )
        found, wanted = ((one.unit, bool(one.settings["corrected"])) for one in (check, first))
        if found != wanted:
            raise ConfigError(
                f"vpc_compared: the check of {name} is of {found[0]}, corrected {found[1]}; expected {wanted[0]}, {wanted[1]}"
            )


def _columns(n: int) -> AxesArray:
    """Pairs of panels, so many in a row that they can be read."""
    across, down = min(n, PER_ROW), -(-n // PER_ROW)
    width = {1: 6.8, 2: 8.6}.get(across, 3.3 * across)
    grid = new_grid(2 * down, across, width, 5.1 * down + 0.5, height_ratios=[3, 1] * down)
    for ax in grid.reshape(down, 2, across)[-1, :, n - (down - 1) * across :].ravel():
        ax.remove()
    pairs = [grid[2 * (k // across) : 2 * (k // across) + 2, k % across] for k in range(n)]
    return np.array(pairs, dtype=object).T


def _same_limits(row: AxesArray) -> None:
    for get, set_ in (("get_xlim", "set_xlim"), ("get_ylim", "set_ylim")):
        ends = [getattr(ax, get)() for ax in row]
        for ax in row:
            getattr(ax, set_)(min(low for low, _ in ends), max(high for _, high in ends))


def _levels(ax: Axes, check: Vpc, stratum: str) -> None:
    points = check.points[check.points["stratum"] == stratum]
    ax.plot(
        points["time"],
        points["level"],
        "o",
        color=GREY,
        markersize=2.6,
        alpha=0.45,
        markeredgewidth=0,
        zorder=2,
    )
    table = check.percentiles[check.percentiles["stratum"] == stratum]
    for percentile, colour in BAND.items():
        rows = table[table["percentile"] == percentile]
        # Below the LLOQ is drawn as at the LLOQ; a corrected value has no LLOQ: the lower edge of the panel.
        floor = rows["lloq"].fillna(_bottom(check)).to_numpy(float)
        time = rows["time"].to_numpy(float)
        low, middle, high, observed = (
            np.where(rows[name].isna(), floor, rows[name])
            for name in ("lower", "median", "upper", "observed")
        )
        if len(rows) == 1:
            ax.errorbar(
                time, middle, [middle - low, high - middle], color=colour, alpha=0.6, linewidth=6, zorder=3
            )
            ax.plot(time, observed, "_", color=BLACK, markersize=16, zorder=4)
            continue
        # Bands of a prior check overlap: those of the tails are pale there, with an edge.
        prior, tail = _of_prior(check), percentile != 50
        alpha, edge = (0.08, 0.8) if prior and tail else (0.28, 0)
        ax.fill_between(time, low, high, color=colour, alpha=alpha, linewidth=0, zorder=3)
        if edge:
            ax.plot(time, low, time, high, color=colour, linewidth=edge, linestyle=":", zorder=3)
        ax.plot(time, _broken(middle, rows["median"]), color=colour, linewidth=1.0, zorder=3)
        shown = _broken(observed, rows["observed"])
        ax.plot(time, shown, color=BLACK, linewidth=1.5, linestyle=LINE[percentile], zorder=4)
    if _limits_differ(check):  # by row, so that the censored ones are drawn instead of a line
        below = points[points["blq"]]
        ax.plot(
            below["time"], below["lloq"], color=VERMILION, markersize=3, alpha=0.45, markeredgewidth=0.6, zorder=2,
            **BLQ_MARK,
        )  # fmt: skip
        return
    for limit in points["lloq"].dropna().unique()[:3]:
        ax.axhline(float(limit), **LLOQ_LINE)


def _of_prior(check: Vpc) -> bool:
    return check.settings.get("draws_of") == "prior"


def _limits_differ(check: Vpc) -> bool:
    return bool(check.settings["corrected"] and check.percentiles["lloq"].isna().any())


def _bottom(check: Vpc) -> float:
    return log_limits(check.points["level"].to_numpy(float))[0]


def _broken(drawn: np.ndarray, known: pd.Series) -> np.ndarray:
    """Follow a line down to the LLOQ and up again, but not along it."""
    below = known.isna().to_numpy()
    alone = below & np.append(below[1:], True) & np.append(True, below[:-1])
    return np.where(alone, np.nan, drawn)


def _fraction_blq(ax: Axes, rows: pd.DataFrame) -> None:
    time = rows["time"].to_numpy(float)
    if len(rows) == 1:
        one = rows.iloc[0]
        ax.plot([time[0]] * 2, [one["lower"], one["upper"]], color=BLUE, alpha=0.4, linewidth=6)
    else:
        ax.fill_between(time, rows["lower"], rows["upper"], color=BLUE, alpha=0.28, linewidth=0)
        ax.plot(time, rows["median"], color=BLUE, linewidth=1.0)
    ax.plot(time, rows["observed"], "o-", color=BLACK, markersize=3, linewidth=1.2)


def _prepare(axes: AxesArray, check: Vpc) -> None:
    last = float(check.points["time"].max())
    shown = check.percentiles[["observed", "lower", "upper"]].to_numpy(float).ravel()
    levels = np.concatenate([check.points["level"].to_numpy(float), shown])
    limits = check.points["lloq"].dropna()
    for ax in axes.ravel():
        time_axis(ax, last)
    for ax in axes[1]:
        ax.set_ylim(-0.05, 1.05)
        ax.set_yticks([0, 0.5, 1])
    for ax in axes[0]:
        ax.set_yscale("log")
        ax.set_xlabel("")
        ax.set_ylim(log_limits(levels, float(limits.min()) if len(limits) else np.nan))
        log_ticks(ax.yaxis)
    words = level_label(check.unit, check.settings.get("output", ""))
    axes[0, 0].set_ylabel(f"Prediction-corrected\n{words}" if check.settings["corrected"] else words)
    axes[1, 0].set_ylabel("Fraction BLQ")
    several = axes.shape[1] > 2
    for ax in axes[1] if several else []:
        ax.set_xlabel(cast(str, ax.get_xlabel()).replace(" (", "\n("))


def _legend(axes: AxesArray, check: Vpc) -> None:
    drawn = "from the prior" if _of_prior(check) else "simulated"
    handles = [
        Line2D([], [], color=BLACK, label="observed median; fraction BLQ"),
        Line2D([], [], color=BLACK, linestyle="--", label="observed 5th and 95th percentile"),
        Patch(color=ORANGE, alpha=0.4, linewidth=0, label=f"{drawn}: median, {INTERVAL:.0%} interval"),
        Patch(color=BLUE, alpha=0.4, linewidth=0, label=f"{drawn}: 5th, 95th; BLQ, {INTERVAL:.0%} interval"),
    ]  # fmt: skip
    if _limits_differ(check):
        handles.append(
            Line2D([], [], color=VERMILION, markersize=4, label="BLQ, at its corrected LLOQ", **BLQ_MARK)
        )
    legend_shared(axes[0, -1], handles, columns=2)

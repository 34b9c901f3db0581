"""Survival curves, with the numbers at risk below."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.transforms import blended_transform_factory
from numpy.typing import ArrayLike

from carkinetics.errors import DataError
from carkinetics.plot.axes import new_axes
from carkinetics.plot.style import PALETTE, group_label, metric_label, number, safe, styled
from carkinetics.response import EventModel
from carkinetics.response.analysis_words import outcome_definition, outcome_name
from carkinetics.response.survival import at_risk, kaplan_meier, survival_table, times_and_events

MOST_GROUPS = 5
ROW = 0.062  # height of a row of numbers, as a share of the axes


@styled
def survival_curves(
    time: ArrayLike, event: ArrayLike, by: ArrayLike | None = None, *, label: str = "Event-free", unit: str = "days",
    level: float = 0.95, band: bool = True, ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Kaplan-Meier curves with ticks where subjects were censored, bands, medians, and numbers at risk.

    Parameters
    ----------
    time, event : array_like, shape (n,)
        See `carkinetics.kaplan_meier`.
    by : array_like, shape (n,), optional
        Group of each subject; up to 5 groups.
    label : str
        What the curve is the probability of.
    unit : str
        Of time.
    level : float
        Of the bands and of the intervals of the medians.
    band : bool
        Whether bands are drawn.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.axes.Axes
        With the curves.

    Raises
    ------
    DataError
        If times or events are not what they should be, or there are too many groups.
    """
    when, kind, _ = times_and_events(time, event)
    groups = pd.Series("" if by is None else np.asarray(by, dtype=object), index=range(len(when)))
    if groups.isna().any():
        raise DataError(f"by has no value for {int(groups.isna().sum())} of {len(groups)} subjects")
    names = sorted(groups.unique())
    if len(names) > MOST_GROUPS:
        raise DataError(f"by has {len(names)} groups; at most {MOST_GROUPS} curves can be told apart")
    ax = new_axes(7.4, 4.4 + 0.22 * len(names)) if ax is None else ax
    for name, colour in zip(names, PALETTE, strict=False):
        mine = (groups == name).to_numpy()
        _curve(
            ax, when[mine], kind[mine], colour, group_label(name) if by is not None else "", level, band, unit
        )
    ax.set_ylim(0, 1.03)
    ax.set_xlim(0, (when.max() or 1.0) * 1.02)
    ax.set_xlabel(f"Time since the infusion ({unit})")
    ax.set_ylabel(f"{safe(label, 44)}, probability")
    ax.legend(loc="upper right")
    _risk_table(ax, when, groups, names)
    return ax


@styled
def event_curves(result: EventModel, *, label: str = "", ax: Axes | None = None) -> Axes:
    """Kaplan-Meier curves of the lower and the upper half of exposure, and the fitted curves at the quartiles in between.

    Parameters
    ----------
    result : EventModel
        From `carkinetics.fit_event`, of an exposure that does not change with time.
    label : str
        What the curve is the probability of; "Event-free", or "Free of" the event by its label, if not given.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.axes.Axes
        With steps and numbers at risk as observed, and smooth curves with bands as fitted.

    Raises
    ------
    DataError
        If exposure changes with time: nobody has one curve then.
    """
    if not len(result.curve):
        raise DataError(
            "exposure changes with time, so that no group of subjects has one exposure; see the table"
        )
    called = (
        f"Free of {outcome_name(result.settings)}" if outcome_definition(result.settings) else "Event-free"
    )
    seen, metric, unit = result.observed, result.settings["metric"], result.settings["unit"]
    high = seen["exposure"] > seen["exposure"].median()
    names = np.where(high, "higher half", "lower half")  # in the order in which they get their colours
    ax = survival_curves(seen["duration"], seen["event"], names, label=label or called, band=False, ax=ax)
    for (_, block), colour, words in zip(
        result.curve.groupby("quantile"), (PALETTE[1], PALETTE[0]), ("lower", "upper"), strict=True
    ):
        exposure = float(f"{block['exposure'].iloc[0]:.3g}")
        at = f"model, {words} quartile: {number(exposure)}"
        ax.plot(
            block["day"], block["median"], color=colour, linewidth=1.4, linestyle="--", label=at, zorder=3
        )
        ax.fill_between(block["day"], block["lower"], block["upper"], color=colour, alpha=0.15, linewidth=0)
    after = result.settings["landmark"]
    if after is not None:
        ax.set_xlabel(f"Time since day {after:g} (days)")
    ax.legend(loc="upper right", title=metric_label(str(metric), str(unit)), fontsize=8)
    return ax


def _curve(
    ax: Axes, time: np.ndarray, event: np.ndarray, colour: str, name: str, level: float, band: bool, unit: str
) -> None:
    table = survival_table(time, event, level=level)
    median = kaplan_meier(time, event, level=level).attrs
    last = float(time.max())
    x = np.concatenate([[0.0], table.index.to_numpy(float), [last]])
    y = np.concatenate([[1.0], table["survival"], [table["survival"].iloc[-1] if len(table) else 1.0]])
    own = f" {unit}" if np.isfinite(median["median"]) else ""  # "not reached" has no unit
    words = f"median {_day(median['median'])}{own} ({100 * level:g} % CI {_day(median['lower'])} to {_day(median['upper'])})"
    ax.step(x, y, where="post", color=colour, label=f"{name}: {words}" if name else words, zorder=3)
    if band and len(table):
        # Where nobody is left there are no limits; the band ends there instead of one step before.
        limits = table[["lower", "upper"]].ffill().fillna(1.0)
        low, high = (np.concatenate([[1.0], limits[side], limits[side].iloc[-1:]]) for side in limits)
        ax.fill_between(x, low, high, step="post", color=colour, alpha=0.15, linewidth=0, zorder=2)
    censored = time[event == 0]
    at = y[np.searchsorted(x[:-1], censored, side="right") - 1]
    ax.plot(censored, at, "|", color=colour, markersize=7, markeredgewidth=1.0, zorder=4)


def _day(value: float) -> str:
    return f"{value:.3g}" if np.isfinite(value) else "not reached"


def _risk_table(ax: Axes, time: np.ndarray, groups: pd.Series, names: list[object]) -> None:
    """Numbers at risk at the ticks of the axis, below its label."""
    ticks = [tick for tick in ax.get_xticks() if 0 <= tick <= ax.get_xlim()[1]]
    place = blended_transform_factory(ax.transData, ax.transAxes)
    top = -0.2
    ax.text(
        0, top, "At risk", transform=ax.transAxes, ha="left", va="center", fontsize=8.5, fontweight="bold"
    )
    for row, (name, colour) in enumerate(zip(names, PALETTE, strict=False), 1):
        mine = (groups == name).to_numpy()
        y = top - row * ROW
        if str(name):
            ax.text(
                -0.05,
                y,
                group_label(name),
                transform=ax.transAxes,
                ha="right",
                va="center",
                fontsize=8.5,
                color=colour,
            )
        for tick, count in zip(ticks, at_risk(time[mine], ticks), strict=True):
            ax.text(
                tick, y, str(count), transform=place, ha="center", va="center", fontsize=8.5, color=colour
            )

"""Each subject beside its fit: one panel per subject."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator

from carkinetics.dataset.table import PREDOSE, is_above, is_censored
from carkinetics.diagnostics.replicate import limit_of, measured_level
from carkinetics.diagnostics.residuals import misfit
from carkinetics.errors import ConfigError, did_you_mean
from carkinetics.fit.measured import fitted_data
from carkinetics.fit.predictive import individual_curves, typical_curve
from carkinetics.fit.result import INTERVAL, Fit
from carkinetics.plot.axes import legend_shared, new_grid, panel_title
from carkinetics.plot.profile import draw_lloq, prepare_levels
from carkinetics.plot.style import (
    BLACK,
    BLQ_MARK,
    BLUE,
    GREY,
    PALETTE,
    ULOQ_MARK,
    VERMILION,
    level_label,
    safe,
    styled,
)

CURVE_POINTS = 160
PANEL = {1: (6.2, 3.4), 2: (3.8, 2.6), 3: (2.9, 2.2)}  # inches, by number of columns; smaller beyond
ORDERS = ("data", "worst")
EVENT_COLOURS = PALETTE[1:7]
AxesArray = np.ndarray[Any, np.dtype[np.object_]]


@styled
def individual_fits(
    fit: Fit,
    *,
    subjects: Iterable[str] | None = None,
    order: str = "data",
    columns: int = 5,
    per_page: int = 20,
    page: int = 1,
    n_draws: int = 200,
    seed: int = 1,
    output: str = "",
) -> AxesArray:
    """Observations, individual and population curve, infusions and events of each subject.

    Parameters
    ----------
    fit : Fit
        Hierarchical, or individual (one curve without band).
    subjects : iterable of str, optional
        Which, in this order; all if not given.
    order : {"data", "worst"}
        As in the data (or as given), or those first whose mean squared IWRES is largest, which then stands in the title.
    columns : int
        Panels per row.
    per_page : int
        Panels per figure.
    page : int
        Which figure, from 1.
    n_draws : int
        Number of posterior draws for the band.
    seed : int
        Seed of the choice of draws.
    output : str
        Which output of the model; the CAR-T level if empty.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (n_panels,)
        One per subject; all in one figure, ``axes[0].figure``.

    Raises
    ------
    ConfigError
        If a subject is not in the fit, there is no such page or order, or the output was not fitted.
    """
    if order not in ORDERS:
        raise ConfigError(f"individual_fits: order is {order!r}{did_you_mean(order, ORDERS)}")
    worst = misfit(fit, seed=seed, output=output) if order == "worst" else None
    chosen = _page(fit, subjects, worst, per_page, page)
    rows = fitted_data(fit, output).observations
    rows = rows[rows["status"] != PREDOSE]
    shown = rows[rows["subject"].isin(chosen)]
    last = max(float(shown["time"].max()) if len(shown) else 0.0, 7.0)
    times = np.square(np.linspace(0.0, np.sqrt(last), CURVE_POINTS))
    curves = individual_curves(fit, times, n_draws, seed, subjects=chosen, output=output)
    hierarchical = fit.method != "individual"
    typical = (
        typical_curve(fit, times, n_draws, seed, by_subject=True, subjects=chosen, output=output).median(
            "draw"
        )
        if hierarchical
        else None
    )
    columns = min(columns, len(chosen))
    height = -(-len(chosen) // columns)
    wide, high = PANEL.get(columns, (2.3, 1.95))
    grid = new_grid(height, columns, wide * columns, high * height + 0.9, sharex=True, sharey=True)
    panels = grid.ravel()
    of = fit.model.output(output)
    marker = "" if of is fit.model.output() else of.name
    prepare_levels(panels[0], shown, of.unit, marker)
    if (
        columns > 1
    ):  # small panels, whose ticks between the powers of ten are a third of what they take to draw
        panels[0].yaxis.set_minor_locator(NullLocator())
    events = _event_colours(fit, chosen)
    for ax, subject in zip(panels, chosen, strict=False):
        population = None if typical is None else typical.sel(subject=subject).to_numpy()
        _panel(ax, fit, subject, rows, times, curves.sel(subject=subject).to_numpy(), population, events)
        if worst is not None and np.isfinite(worst[subject]):
            panel_title(ax, f"{safe(subject, 16)} ({worst[subject]:.1f})", fontsize=9, pad=3)
    _share_labels(panels, len(chosen), columns, level_label(of.unit, marker))
    note = "" if worst is None else "(1.0): mean squared IWRES"
    _legend(panels[0], fit, shown, chosen, hierarchical, events, columns, note)
    return panels[: len(chosen)]


def _page(
    fit: Fit, subjects: Iterable[str] | None, worst: pd.Series | None, per_page: int, page: int
) -> list[str]:
    known = fit.data.subject_ids
    asked = known if subjects is None else [str(subject) for subject in subjects]
    for subject in asked:
        if subject not in known:
            raise ConfigError(f"individual_fits: no subject {subject!r}{did_you_mean(subject, known)}")
    if worst is not None:
        asked = [subject for subject in worst.index if subject in set(asked)]
    pages = -(-len(asked) // max(per_page, 1))
    if per_page < 1 or not 1 <= page <= pages:
        raise ConfigError(
            f"individual_fits: page {page} of {pages} with {per_page} subjects each does not exist"
        )
    return asked[(page - 1) * per_page : page * per_page]


def _event_colours(fit: Fit, subjects: list[str]) -> dict[str, str]:
    events = fit.data.events[fit.data.events["subject"].isin(subjects)]
    names = list(dict.fromkeys(events["event"].astype(str)))
    if len(names) > len(EVENT_COLOURS):
        return dict.fromkeys(names, GREY)
    return dict(zip(names, EVENT_COLOURS, strict=False))


def _panel(
    ax: Axes,
    fit: Fit,
    subject: str,
    rows: pd.DataFrame,
    times: np.ndarray,
    draws: np.ndarray,
    population: np.ndarray | None,
    events: dict[str, str],
) -> None:
    """One subject; levels of 0 are left to the lower edge of the log axis."""
    panel_title(ax, safe(subject, 22), fontsize=9, pad=3)
    rows = rows[rows["subject"] == subject]
    draw_lloq(ax, rows)
    if np.isfinite(draws).all():
        tail = (1 - INTERVAL) / 2
        low, middle, high = np.quantile(draws, [tail, 0.5, 1 - tail], axis=0)
        if len(draws) > 1:
            ax.fill_between(times, low, high, color=BLUE, alpha=0.2, linewidth=0, zorder=2)
        ax.plot(times, middle, color=BLUE, linewidth=1.4, zorder=3)
    else:
        ax.text(
            0.97,
            0.95,
            "no estimate",
            transform=ax.transAxes,
            ha="right",
            va="top",
            color=VERMILION,
            fontsize=8,
        )
    if population is not None:
        ax.plot(times, population, color=GREY, linewidth=1.1, linestyle="--", zorder=2)
    blq, above = is_censored(rows), is_above(rows)
    time, level, exact = rows["time"].to_numpy(float), measured_level(rows), ~blq & ~above
    if above.any():
        ax.plot(time[above], level[above], color=VERMILION, markersize=4.4, zorder=4, **ULOQ_MARK)
    ax.plot(time[exact], level[exact], "o", color=BLACK, markersize=3.4, zorder=4)
    ax.plot(time[blq], limit_of(rows)[blq], color=VERMILION, markersize=4.4, zorder=4, **BLQ_MARK)
    doses = fit.data.doses[fit.data.doses["subject"] == subject]["time"].to_numpy(float)
    at_foot = ax.get_xaxis_transform()
    ax.plot(doses, np.full(len(doses), 0.03), "^", color=BLACK, markersize=5, transform=at_foot, zorder=5)
    happened = fit.data.events[fit.data.events["subject"] == subject]
    for time_of, name in zip(happened["time"], happened["event"].astype(str), strict=True):
        ax.axvline(float(time_of), color=events[name], linewidth=1.1, linestyle=":", zorder=1)


def _share_labels(panels: AxesArray, n: int, columns: int, levels: str) -> None:
    figure = panels[0].figure
    words = panels[0].get_xlabel()
    for ax in panels:
        ax.set_xlabel("")
        ax.set_ylabel("")
    for ax in panels[n:]:
        ax.remove()
    for k, ax in enumerate(panels[:n]):
        ax.tick_params(labelbottom=k + columns >= n, labelleft=k % columns == 0)
    figure.supxlabel(words, fontsize=10)
    figure.supylabel(levels, fontsize=10)


def _legend(
    ax: Axes,
    fit: Fit,
    rows: pd.DataFrame,
    subjects: list[str],
    hierarchical: bool,
    events: dict[str, str],
    columns: int,
    note: str,
) -> None:
    handles: list[Any] = [
        Line2D([], [], color=BLACK, marker="o", markersize=4, linestyle="none", label="observed")
    ]
    if is_censored(rows).any():
        handles.append(Line2D([], [], color=VERMILION, markersize=5, label="BLQ, at the LLOQ", **BLQ_MARK))
    if is_above(rows).any():
        handles.append(
            Line2D([], [], color=VERMILION, markersize=5, label="above the ULOQ, at it", **ULOQ_MARK)
        )
    handles.append(Line2D([], [], color=BLUE, label="individual, median" if hierarchical else "individual"))
    if hierarchical:
        band = Patch(color=BLUE, alpha=0.2, linewidth=0, label=f"{INTERVAL:.0%} credible band")
        handles += [band, Line2D([], [], color=GREY, linestyle="--", label="population, same covariates")]
    if fit.data.doses["subject"].isin(subjects).any():
        handles.append(
            Line2D([], [], color=BLACK, marker="^", markersize=5, linestyle="none", label="infusion")
        )
    named = len(set(events.values())) == len(events)
    marks = events if named else {"comedication and other events": GREY}
    handles += [Line2D([], [], color=c, linestyle=":", label=safe(name)) for name, c in marks.items()]
    if note:
        handles.append(Line2D([], [], linestyle="none", label=note))
    legend_shared(ax, handles, columns=min(max(columns + 1, 4), len(handles)), place="upper")

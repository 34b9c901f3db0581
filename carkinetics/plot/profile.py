"""What was measured: levels over time, before any model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from carkinetics.dataset.table import CAR, PREDOSE, Dataset, is_above, is_censored
from carkinetics.diagnostics.binning import ranked_quantile, stratum_order, time_bins
from carkinetics.diagnostics.replicate import limit_of, measured_level
from carkinetics.errors import ConfigError, DataError, did_you_mean
from carkinetics.exposure.by_dose import dose_unit
from carkinetics.fit.covariate import covariate_frame
from carkinetics.plot.axes import legend_right, log_limits, log_ticks, new_axes, panel_message, time_axis
from carkinetics.plot.style import (
    BLQ_MARK,
    BLUE,
    GREY,
    LLOQ_LINE,
    PALETTE,
    ULOQ_MARK,
    group_label,
    level_label,
    number,
    readable_unit,
    safe,
    styled,
)

MOST_GROUPS = len(PALETTE)
FEWEST_FOR_MEDIAN = 3


@styled
def profiles(data: Dataset, *, by: str = "subject", assay: str | None = None, ax: Axes | None = None) -> Axes:
    """Observed level against time on a log scale; BLQ as open triangles at the LLOQ.

    Values above an upper limit of quantification are open triangles at that limit that point upwards.

    Parameters
    ----------
    data : Dataset
        What was measured. Pre-dose zeros have no place on a log axis and are not drawn.
    by : str
        What colours stand for: ``"subject"``, a column of ``data.subjects``, or ``"dose"``. A number with
        many values becomes a colour scale.
    assay : str, optional
        Which assay; needed when there are several.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.axes.Axes
        With the profiles.

    Raises
    ------
    ConfigError
        If ``by`` is no column, or a text with too many values to tell apart.
    DataError
        If an assay has to be chosen, or does not exist.
    """
    one = _one_assay(data, assay)
    groups = _groups(one, by)
    ax = new_axes(7.4 if groups.nunique() <= MOST_GROUPS else 6.4) if ax is None else ax
    rows = one.observations[one.observations["status"] != PREDOSE]
    name, unit = one.assays[["assay", "unit"]].iloc[0]
    prepare_levels(ax, rows, unit, "" if one.kind(name) == CAR else name)
    colours = _colours(groups)
    for subject, series in rows.sort_values("time", kind="stable").groupby("subject", sort=False):
        draw_series(ax, series, colours[str(subject)], many=len(groups) > MOST_GROUPS)
    if by != "subject" and groups.nunique() <= MOST_GROUPS:
        _medians(ax, rows, groups, colours)
    draw_lloq(ax, rows)
    if rows.empty:
        panel_message(ax, "no observation after the infusion")
    _legend(ax, groups, colours, by, _group_title(one, by), rows)
    return ax


def _one_assay(data: Dataset, assay: str | None) -> Dataset:
    names = data.assays["assay"].tolist()
    if assay is None and len(names) != 1:
        raise DataError(
            f"profiles: the data hold the assays {', '.join(names) or 'none'}; choose one by assay="
        )
    return data.select(assay=assay or names[0])


def _groups(data: Dataset, by: str) -> pd.Series:
    """Group of each subject: numbers where there are too many to name, else words."""
    frame = covariate_frame(data)
    name = "dose" if by == "dose_level" and by not in frame else by
    if name not in frame:
        raise ConfigError(f"profiles: by is {by!r}{did_you_mean(by, frame.columns)}")
    values = frame.set_index(frame["subject"].astype(str))[name]
    if by == "subject" or values.nunique() <= MOST_GROUPS:
        words = values.map(lambda x: f"{x:g}" if isinstance(x, float) else str(x)).astype(object)
        return words.where(values.notna(), "missing")
    if not pd.api.types.is_numeric_dtype(values):
        raise ConfigError(
            f"profiles: {by} has {values.nunique()} values; up to {MOST_GROUPS} can be told apart: group them first"
        )
    return values.astype(float)


def _medians(ax: Axes, rows: pd.DataFrame, groups: pd.Series, colours: dict[str, Any]) -> None:
    """Bold median of each group by visit, broken where half of the values are BLQ."""
    if rows.empty:
        return
    visit = time_bins(rows["time"])
    group = rows["subject"].map(groups)
    level = np.where(is_censored(rows), -np.inf, measured_level(rows))
    for name in stratum_order(groups.tolist()):
        time, middle = [], []
        for one_visit in np.unique(visit):
            at = np.flatnonzero((group == name).to_numpy() & (visit == one_visit))
            if len(at) >= FEWEST_FOR_MEDIAN:
                time.append(float(np.median(rows["time"].to_numpy(float)[at])))
                middle.append(float(ranked_quantile(level[at], 0.5)))
        known = np.where(np.isfinite(middle), middle, np.nan)
        ax.plot(time, known, color=colours[groups.index[groups == name][0]], linewidth=2.6, zorder=4)


def _is_scale(groups: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(groups)) and len(groups) > 0


def _norm(groups: pd.Series) -> Normalize:
    low, high = float(groups.min()), float(groups.max())
    return LogNorm(low, high) if low > 0 and high / low > 20 else Normalize(low, high)


def _colours(groups: pd.Series) -> dict[str, Any]:
    if _is_scale(groups):
        norm = _norm(groups)
        return {
            subject: GREY if np.isnan(value) else colormaps["viridis"](norm(value))
            for subject, value in groups.items()
        }
    names = stratum_order(groups.tolist())
    if len(names) > MOST_GROUPS:
        return dict.fromkeys(groups.index, BLUE)
    return {subject: PALETTE[names.index(word)] for subject, word in groups.items()}


def _group_title(data: Dataset, by: str) -> str:
    unit = dose_unit(data, by)
    title = safe(by.replace("_", " ")).capitalize() if by.islower() else safe(by)
    return f"{title} ({readable_unit(unit)})" if unit else title


def _legend(
    ax: Axes, groups: pd.Series, colours: dict[str, Any], by: str, title: str, rows: pd.DataFrame
) -> None:
    named = not _is_scale(groups) and groups.nunique() <= MOST_GROUPS
    handles = []
    if _is_scale(groups):
        mappable = ScalarMappable(_norm(groups), colormaps["viridis"])
        bar = ax.figure.colorbar(mappable, ax=ax, label=title, pad=0.02)
        bar.formatter = FuncFormatter(lambda value, _: number(value))
    elif named:
        counts = groups.value_counts()
        for name in stratum_order(groups.tolist()):
            subject = groups.index[groups == name][0]
            label = safe(name) if by == "subject" else f"{group_label(name)}  (n = {counts[name]})"
            handles.append(Line2D([], [], color=colours[subject], marker="o", markersize=4, label=label))
        if by != "subject":
            handles.append(Line2D([], [], color=GREY, linewidth=2.6, label="median of the group"))
    if is_censored(rows).any():
        handles.append(Line2D([], [], color=GREY, markersize=5, label="BLQ, at the LLOQ", **BLQ_MARK))
    if is_above(rows).any():
        handles.append(Line2D([], [], color=GREY, markersize=5, label="above the ULOQ, at it", **ULOQ_MARK))
    if named:
        legend_right(ax, handles=handles, title=title, alignment="left")
    elif handles:
        ax.legend(handles=handles, loc="upper right")


def draw_series(ax: Axes, series: pd.DataFrame, colour: Any, *, many: bool = False) -> None:
    """Draw one subject: a line through all samples, filled points, open triangles at the LLOQ and ULOQ.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where.
    series : pandas.DataFrame
        Observations of one subject in order of time, without pre-dose rows.
    colour : object
        Any matplotlib colour.
    many : bool
        Whether so many series share the Axes that each has to be faint.
    """
    blq, above, time = is_censored(series), is_above(series), series["time"].to_numpy(float)
    exact, level = ~blq & ~above, np.where(blq, limit_of(series), measured_level(series))
    alpha = 0.35 if many else 0.8
    # Lines from BLQ to BLQ would lie on top of each other and look like a level that stays at the LLOQ.
    flat = np.flatnonzero(blq[:-1] & blq[1:]) + 1
    ax.plot(
        np.insert(time, flat, np.nan), np.insert(level, flat, np.nan), color=colour, linewidth=0.7,
        alpha=0.6 * alpha, zorder=2,
    )  # fmt: skip
    size = 3.0 if many else 3.6
    ax.plot(
        time[exact],
        level[exact],
        "o",
        color=colour,
        markersize=size,
        alpha=alpha,
        markeredgewidth=0,
        zorder=3,
    )
    ax.plot(time[blq], level[blq], color=colour, markersize=size + 1, alpha=alpha, zorder=3, **BLQ_MARK)
    ax.plot(time[above], level[above], color=colour, markersize=size + 1, alpha=alpha, zorder=3, **ULOQ_MARK)


def draw_lloq(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw a thin line at every LLOQ that occurs, if they are few.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where.
    rows : pandas.DataFrame
        Observations.
    """
    limits = rows["lloq"].dropna().unique()
    for limit in limits[limits > 0] if len(limits) <= 3 else []:
        ax.axhline(float(limit), **LLOQ_LINE)


def prepare_levels(ax: Axes, rows: pd.DataFrame, unit: str, marker: str = "") -> None:
    """Log axis of levels with its unit, and the axis of time: before anything is drawn.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where.
    rows : pandas.DataFrame
        Observations that must be visible.
    unit : str
        Unit of the level.
    marker : str
        Name of what is measured, if it is not the CAR-T level.
    """
    ax.set_yscale("log")
    limits = limit_of(rows)
    known = limits[np.isfinite(limits) & (limits > 0)]
    ax.set_ylim(log_limits(measured_level(rows), float(known.min()) if len(known) else np.nan))
    log_ticks(ax.yaxis)
    ax.set_ylabel(level_label(unit, marker))
    time = rows["time"].to_numpy(float)
    time_axis(ax, float(time.max()) if len(time) else 28.0, float(time.min()) if len(time) else 0.0)

"""Exposure against dose, and outcome against exposure."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import FuncFormatter, MultipleLocator, NullLocator, PercentFormatter
from scipy.special import ndtri

from carkinetics.errors import ConfigError
from carkinetics.exposure.table import Exposure
from carkinetics.plot.axes import legend_right, log_limits, log_ticks, new_axes, new_grid
from carkinetics.plot.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PALETTE,
    VERMILION,
    group_label,
    metric_label,
    number,
    readable_unit,
    safe,
    styled,
)
from carkinetics.response.analysis_words import outcome_name
from carkinetics.response.dose import MEASUREMENT, DoseExposure
from carkinetics.response.grade import GradeModel

GRID = 100
MOST_DOSE_TICKS = 6
FEWEST_BOXED = 5  # quartiles of fewer are the subjects themselves
QUANTILE_WORDS = {4: "quartile", 3: "third", 2: "half"}


@styled
def dose_exposure(result: DoseExposure, *, exposure: Exposure | None = None, ax: Axes | None = None) -> Axes:
    """Exposure against dose on log scales, the power model, and the slopes that count as proportional.

    Parameters
    ----------
    result : DoseExposure
        From `carkinetics.dose_exposure`.
    exposure : Exposure, optional
        The analysed exposure, for an interval bar on every point.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.axes.Axes
        With points, regression line with band, and wedge of proportionality through its centre. With groups one
        line, colour and (grey) wedge for each.

    Raises
    ------
    ConfigError
        If an exposure is given for a result of several measurements.
    """
    ax = new_axes(7.4) if ax is None else ax
    seen = result.observed
    dose, value = seen["dose"].to_numpy(float), seen["value"].to_numpy(float)
    wide = np.geomspace(dose.min() / 1.35, dose.max() * 1.35, GRID)
    lines = _lines(result, wide)
    bars = np.full((len(seen), 2), np.nan)
    if exposure is not None:
        if result.settings.get("by") == MEASUREMENT:
            raise ConfigError("dose_exposure: these are several measurements; leave exposure out")
        bars = exposure.rows(result.metric).reindex(seen["subject"])[["lower", "upper"]].to_numpy(float)
    _prepare_dose(
        ax, result, wide, np.concatenate([value, bars.ravel(), *(np.ravel(line) for _, line, _ in lines)])
    )
    interval = _interval_words(result)
    for k, (name, (middle, low, high), colour) in enumerate(lines):
        _wedge(ax, result, wide, name, labelled=k == 0)
        band = f"{interval} band" if not name else "_nolegend_"
        ax.fill_between(
            wide, low, high, color=colour, alpha=0.22 if not name else 0.13, linewidth=0, zorder=2, label=band
        )
        ax.plot(wide, middle, color=colour, zorder=3, label=_line_words(result, name))
    at = _side_by_side(dose)
    ax.vlines(at, bars[:, 0], bars[:, 1], color=GREY, linewidth=0.8, alpha=0.8, zorder=3)
    point: dict[str, Any] = {"markersize": 4, "alpha": 0.75, "markeredgewidth": 0, "zorder": 4}
    for name, _, colour in lines:
        own = (seen["group"] == name).to_numpy() if name else np.ones(len(seen), dtype=bool)
        label = "_nolegend_" if name else "subject"
        ax.plot(at[own], value[own], "o", color=colour if name else BLACK, label=label, **point)
    slope = result.table.set_index("quantity").loc["slope"]
    common = "common slope" if result.groups is not None else "slope"
    ax.set_title(
        f"{common} {slope['value']:.2f} ({interval} {slope['lower']:.2f} to {slope['upper']:.2f}), n = {result.n}: "
        + _verdict_words(result.verdict),
        loc="left",
        fontsize=9.5,
    )
    legend_right(ax)
    return ax


def _lines(
    result: DoseExposure, dose: np.ndarray
) -> list[tuple[str, tuple[np.ndarray, np.ndarray, np.ndarray], str]]:
    """Name, line with its interval, and colour: of every group, or of all subjects."""
    if result.groups is None or result.draws is None:
        return [("", _line(result, dose), BLUE)]
    names = result.groups["group"].tolist()
    colours = [PALETTE[k % len(PALETTE)] for k in range(len(names))]
    return [
        (name, _line(result, dose, f"[{name}]"), colour) for name, colour in zip(names, colours, strict=True)
    ]


def _line_words(result: DoseExposure, name: str) -> str:
    if result.groups is None:
        return "power model"
    row = result.groups.set_index("group").loc[name]
    return (
        f"{safe(name, 20)} (n = {row['n']}):\n{row['slope']:.2f} ({row['lower']:.2f} to {row['upper']:.2f})"
    )


def _prepare_dose(ax: Axes, result: DoseExposure, wide: np.ndarray, shown: np.ndarray) -> None:
    """Log axes with units; a tick at every dose, or powers of ten where doses are many."""
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(wide[0], wide[-1])
    ax.set_ylim(log_limits(shown))
    log_ticks(ax.yaxis)
    doses = np.unique(result.observed["dose"].to_numpy(float))
    if len(doses) > MOST_DOSE_TICKS:
        log_ticks(ax.xaxis)
    else:
        ax.set_xticks(doses, [group_label(f"{d:g}") for d in doses])
        ax.xaxis.set_minor_locator(NullLocator())
    unit = str(result.settings["dose_unit"])
    ax.set_xlabel(f"Dose ({readable_unit(unit)})" if unit else "Dose")
    first, *others = str(result.settings["unit"]).split(", ")
    label = metric_label(result.metric, first)
    ax.set_ylabel(f"{label[:-1]}, {', '.join(map(readable_unit, others))})" if others else label)


def _verdict_words(verdict: str) -> str:
    return "proportionality cannot be shown" if verdict == "cannot be shown" else verdict


def _interval_words(result: DoseExposure) -> str:
    share = str(result.settings["interval"]).split(" ")[0]
    return f"{share} {'CI' if result.draws is None else 'CrI'}"


def _line(result: DoseExposure, dose: np.ndarray, of: str = "") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Power model with the interval of its mean (on the log scale)."""
    table, x = result.table.set_index("quantity"), np.log(dose)
    if result.draws is not None:
        level = float(str(result.settings["interval"]).split("%")[0]) / 100
        intercept, slopes = (
            result.draws[f"{name}{of}"].to_numpy()[:, None] for name in ("intercept", "slope")
        )
        lines = intercept + slopes * x
        middle, low, high = np.quantile(lines, [0.5, (1 - level) / 2, (1 + level) / 2], axis=0)
        return np.exp(middle), np.exp(low), np.exp(high)
    slope = table.loc["slope"]
    t = (slope["upper"] - slope["value"]) / table.loc["slope_se", "value"]
    known = np.log(result.observed["dose"].to_numpy(float))
    spread = 1 / len(known) + (x - known.mean()) ** 2 / ((known - known.mean()) ** 2).sum()
    middle = table.loc["intercept", "value"] + slope["value"] * x
    half = t * table.loc["residual_sd", "value"] * np.sqrt(spread)
    return np.exp(middle), np.exp(middle - half), np.exp(middle + half)


def _wedge(ax: Axes, result: DoseExposure, dose: np.ndarray, name: str, *, labelled: bool) -> None:
    """Lines through the centre of the data, or of a group, whose slopes count as proportional."""
    region = result.table.set_index("quantity").loc["equivalence_region"]
    seen = result.observed[result.observed["group"] == name] if name else result.observed
    centre = np.exp(np.log(seen["dose"].to_numpy(float)).mean())
    height = _line(result, np.array([centre]), f"[{name}]" if name else "")[0][0]
    edges = [height * (dose / centre) ** float(region[side]) for side in ("lower", "upper")]
    label = f"proportional:\nslope {region['lower']:.2f} to {region['upper']:.2f}"
    colour, alpha = (GREY, 0.3) if name else (GREEN, 0.25)  # green may be a group's
    ax.fill_between(
        dose,
        edges[0],
        edges[1],
        color=colour,
        alpha=alpha,
        linewidth=0,
        zorder=1,
        label=label if labelled else "_nolegend_",
    )


def _side_by_side(dose: np.ndarray) -> np.ndarray:
    """Doses moved apart by a few per cent, so that subjects on one dose do not hide each other."""
    ratio = np.log(dose.max() / dose.min())
    order = pd.Series(dose).groupby(dose).cumcount().to_numpy()
    size = pd.Series(dose).groupby(dose).transform("size").to_numpy()
    return np.asarray(dose * np.exp(0.07 * ratio * ((order + 0.5) / size - 0.5)))


@styled
def exposure_response(
    result: GradeModel,
    *,
    dose: Mapping[str, object] | pd.Series | None = None,
    dose_label: str = "Dose",
    ax: Axes | None = None,
) -> Axes:
    """Probability of the outcome against exposure, over what was observed.

    Parameters
    ----------
    result : GradeModel
        From `carkinetics.fit_grade`.
    dose : mapping or pandas.Series, optional
        Dose or dose level by subject; adds the distribution of exposure by dose under the curve.
    dose_label : str
        What they are, such as ``"Dose (cells/kg)"``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.axes.Axes
        Curve with band, one tick per subject at 0 or 1, and observed proportions with Wilson intervals and numbers in
        groups of equal numbers of subjects (quartiles; thirds or halves of fewer than 12), whose borders are dotted.
        The distribution by dose is the second Axes of the figure: subjects, a box from 5 of them on (quartiles, and the
        5th and 95th percentile), and at the right how many had the outcome.

    Raises
    ------
    ConfigError
        If a subject of the model has no dose, or both ``dose`` and ``ax`` are given.
    """
    seen, settings = result.observed, result.settings
    lower = None
    if dose is not None:
        if ax is not None:
            raise ConfigError("exposure_response: dose needs a second Axes; leave ax out, or dose")
        ax, lower = _two_axes(seen, dose, dose_label)
    ax = new_axes(7.4) if ax is None else ax
    log = str(settings["on"]).startswith("log")
    if log:
        ax.set_xscale("log")
    share = str(settings["interval"]).split(" ")[0]
    curve = result.curve
    x = curve["x"].to_numpy(float)
    ax.fill_between(
        x, curve["lower"], curve["upper"], color=BLUE, alpha=0.22, linewidth=0, label=f"{share} CrI", zorder=2
    )
    ax.plot(x, curve["median"], color=BLUE, label="logistic model", zorder=3)
    _proportions(ax, seen)
    for outcome, height in ((False, -0.05), (True, 1.05)):
        at = seen.loc[seen["outcome"] == outcome, "exposure"].to_numpy(float)
        label = "subject: yes (above),\nno (below)" if not outcome else None
        ax.plot(at, np.full(len(at), height), "|", color=BLACK, markersize=8, markeredgewidth=0.9, alpha=0.6,
                label=label, zorder=4)  # fmt: skip
    ax.set_ylim(-0.11, 1.11)
    ax.yaxis.set_major_locator(MultipleLocator(0.25))
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    _limit_exposure(ax, seen["exposure"].to_numpy(float), log)
    ax.set_ylabel(f"Subjects with {safe(outcome_name(settings), 40)}")
    ax.set_title(f"{result.events} of {result.n} subjects with the outcome", loc="left", fontsize=9.5)
    for panel in (ax, lower) if lower else (ax,):
        for border in _borders(seen):
            panel.axvline(border, color=GREY, linewidth=0.7, linestyle=(0, (1, 2)), zorder=1)
    (lower or ax).set_xlabel(metric_label(str(settings["metric"]), str(settings["unit"])))
    shown = [*ax.get_legend_handles_labels()[0], *(lower.get_legend_handles_labels()[0] if lower else ())]
    legend_right(ax, handles=shown)
    return ax


def _limit_exposure(ax: Axes, exposure: np.ndarray, log: bool) -> None:
    if log:
        low, high = exposure.min() / 1.25, exposure.max() * 1.25
        ax.set_xlim(low, high)
        log_ticks(ax.xaxis)
    else:
        room = 0.05 * (exposure.max() - exposure.min())
        ax.set_xlim(exposure.min() - room, exposure.max() + room)
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))


def _groups(seen: pd.DataFrame) -> list[pd.DataFrame]:
    """Subjects in groups of equal numbers, by exposure."""
    groups = 4 if len(seen) >= 12 else 3 if len(seen) >= 9 else 2
    ordered = seen.sort_values("exposure", kind="stable")
    return [ordered.iloc[part] for part in np.array_split(np.arange(len(ordered)), groups)]


def _borders(seen: pd.DataFrame) -> list[float]:
    """Exposures halfway between neighbouring groups."""
    pairs = pairwise(block["exposure"] for block in _groups(seen))
    return [float((below.max() + above.min()) / 2) for below, above in pairs]


def _proportions(ax: Axes, seen: pd.DataFrame) -> None:
    """Observed proportion by group of exposure with Wilson's 95 % interval (Wilson EB. JASA 1927;22:209-212)."""
    groups = _groups(seen)
    label = f"observed by {QUANTILE_WORDS[len(groups)]},\n95% CI, events/n"
    halo = [Stroke(linewidth=2.5, foreground="white"), Normal()]
    for block in groups:
        n, events = len(block), int(block["outcome"].sum())
        low, high = wilson(events, n)
        at, p = float(block["exposure"].median()), events / n
        ax.errorbar(
            at, p, [[max(p - low, 0.0)], [max(high - p, 0.0)]], fmt="s", color=ORANGE, markersize=6, capsize=3,
            ecolor=ORANGE, markeredgecolor=BLACK, markeredgewidth=0.5, zorder=5, label=label,
        )  # fmt: skip
        ax.annotate(
            f"{events}/{n}",
            (at, p),
            (7, 5),
            textcoords="offset points",
            fontsize=8.5,
            zorder=6,
            path_effects=halo,
        )
        label = "_nolegend_"


def wilson(events: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a proportion.

    Parameters
    ----------
    events, n : int
        Number with the outcome, and of all.
    level : float
        Probability of the interval.

    Returns
    -------
    low, high : float
        Between 0 and 1.

    References
    ----------
    .. [1] Wilson EB. J Am Stat Assoc 1927;22:209-212.

    Examples
    --------
    >>> [round(end, 6) for end in wilson(6, 20)]
    [0.145477, 0.518973]
    """
    z = float(ndtri(0.5 + level / 2))
    p, weight = events / n, z**2 / n
    centre = (p + weight / 2) / (1 + weight)
    half = z / (1 + weight) * float(np.sqrt(p * (1 - p) / n + weight / (4 * n)))
    return max(centre - half, 0.0), min(centre + half, 1.0)


def _two_axes(seen: pd.DataFrame, dose: Mapping[str, object] | pd.Series, label: str) -> tuple[Axes, Axes]:
    """Axes for the curve, and under it box and points of exposure by dose on the same axis."""
    given = seen["subject"].map(dict(dose))
    if given.isna().any():
        raise ConfigError(
            f"exposure_response: no dose for subject {seen.loc[given.isna(), 'subject'].iloc[0]}"
        )
    names = sorted(given.unique(), key=lambda x: (isinstance(x, str), x))
    heights = (3.6, 0.5 + 0.36 * len(names))
    (upper,), (lower,) = new_grid(2, 1, 7.4, sum(heights) + 0.6, sharex=True, height_ratios=heights)
    for height, name in enumerate(names):
        _dose_row(lower, seen[given == name], height)
    lower.set_yticks(range(len(names)), [group_label(name) for name in names])
    lower.set_ylim(-0.6, len(names) - 0.4)
    lower.set_ylabel(label)
    lower.grid(visible=False, axis="y")
    lower.text(
        1.02, len(names) - 0.4, "events/n", transform=lower.get_yaxis_transform(), fontsize=8.5, color=GREY
    )
    return upper, lower


def _dose_row(ax: Axes, block: pd.DataFrame, height: int) -> None:
    """Subjects of one dose, those with the outcome filled, over a box where they are enough for one."""
    exposure, outcome = block["exposure"].to_numpy(float), block["outcome"].to_numpy(bool)
    if len(block) >= FEWEST_BOXED:
        line = {"color": GREY, "linewidth": 1.0}
        ax.boxplot(
            [exposure], positions=[height], orientation="horizontal", widths=0.62, whis=(5, 95), showfliers=False,
            manage_ticks=False, patch_artist=True, zorder=1, boxprops={"facecolor": "#F0F0F0", "edgecolor": GREY},
            whiskerprops=line, capprops=line, medianprops={"color": BLACK, "linewidth": 1.6},
        )  # fmt: skip
    shift = 0.5 * (((np.arange(len(exposure)) * 0.618) % 1) - 0.5)  # golden ratio: spread without chance
    for happened, colour, label in ((True, VERMILION, "with the outcome"), (False, BLUE, "without")):
        ax.plot(
            exposure[outcome == happened], height + shift[outcome == happened], "o", color=colour, markersize=3.4,
            alpha=0.75, markeredgewidth=0, zorder=3, label=label if height == 0 else "_nolegend_",
        )  # fmt: skip
    counts = f"{int(outcome.sum())}/{len(block)}"
    ax.text(1.02, height, counts, transform=ax.get_yaxis_transform(), va="center", fontsize=8.5)

"""Operating characteristics of several designs under several truths, side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from carkinetics.errors import DataError
from carkinetics.plot.axes import legend_shared, new_grid
from carkinetics.plot.style import BLACK, GREY, PALETTE, VERMILION, group_label, safe, styled

COLUMNS = ("scenario", "design", "dose", "p_select", "n", "truth", "p_overdose", "expected_n")
WHISKER = 1.96  # Monte-Carlo standard errors
AxesArray = np.ndarray[Any, np.dtype[np.object_]]


@styled
def characteristics(table: pd.DataFrame) -> AxesArray:
    """Which dose each design selects, how often an overdose, and after how many patients, by scenario.

    Parameters
    ----------
    table : pandas.DataFrame
        From `carkinetics.compare_designs`; tables with the same columns can be put under each other, so that some designs
        are exact and others simulated.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (n_scenarios, 3)
        A row per scenario: P(selected) by dose, with the true DLT rates as diamonds and in the labels and overdoses shaded;
        P(an overdose is selected); mean number of patients. Whiskers are ± 1.96 Monte-Carlo standard errors where a
        design was simulated.

    Raises
    ------
    DataError
        If the table is none of operating characteristics, or has more than 8 designs.
    """
    missing = [name for name in COLUMNS if name not in table]
    if missing or table.empty:
        raise DataError(
            f"characteristics: the table has no {', '.join(missing) or 'rows'}; expected what compare_designs gives"
        )
    designs = list(dict.fromkeys(table["design"]))
    scenarios = list(dict.fromkeys(table["scenario"]))
    if len(designs) > len(PALETTE):
        raise DataError(
            f"characteristics: {len(designs)} designs; at most {len(PALETTE)} colours can be told apart"
        )
    colours = dict(zip(designs, PALETTE, strict=False))
    axes = new_grid(
        len(scenarios), 3, 10.6, 0.7 + 2.55 * len(scenarios), gridspec_kw={"width_ratios": [3.4, 1.0, 1.0]}
    )
    most = float(table["expected_n"].max())
    for row, scenario in zip(axes, scenarios, strict=True):
        own = table[table["scenario"] == scenario]
        _selected(row[0], own, colours, str(scenario))
        one = own.drop_duplicates("design").set_index("design").reindex(designs)
        _bars(row[1], one, "p_overdose", colours, 1.0)
        _bars(row[2], one, "expected_n", colours, most)
    axes[0, 1].set_title("Overdose is selected", fontsize=9.5)
    axes[0, 2].set_title("Mean patients", fontsize=9.5)
    legend_shared(axes[0, 0], _legend(table, colours), columns=min(4, len(colours) + 2))
    return axes


def _selected(ax: Axes, own: pd.DataFrame, colours: dict[Any, str], scenario: str) -> None:
    """Bars by dose, one colour per design."""
    doses = sorted(set(own["dose"]))
    place = {dose: k for k, dose in enumerate(doses)}
    width = 0.8 / len(colours)
    for k, (design, colour) in enumerate(colours.items()):
        rows = own[own["design"] == design]
        x = rows["dose"].map(place) + (k - (len(colours) - 1) / 2) * width
        ax.bar(x, rows["p_select"], width=0.92 * width, color=colour, zorder=3)
        if "p_select_se" in rows:
            _whiskers(ax, x, rows["p_select"], rows["p_select_se"], upright=True)
    truth = own.dropna(subset=["truth"]).drop_duplicates("dose").set_index("dose")["truth"]
    ax.plot(truth.index.map(place), truth, "D", color=BLACK, markersize=5, markerfacecolor="white", zorder=5)
    limits = own["overdose_above"].unique() if "overdose_above" in own else []
    if len(limits) == 1:
        for dose in truth.index[truth > limits[0]]:
            ax.axvspan(
                place[dose] - 0.5, place[dose] + 0.5, color=VERMILION, alpha=0.10, linewidth=0, zorder=0
            )
    labels = [
        f"{group_label(f'{dose:g}')}\n{_percent(truth[dose])}" if dose in truth.index else "none\n"
        for dose in doses
    ]
    ax.set_xticks(range(len(doses)), labels)
    ax.set_xlim(-0.55, len(doses) - 0.45)
    ax.set_ylim(0, 1)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    ax.grid(visible=False, axis="x")
    ax.set_ylabel("Selected")
    ax.set_xlabel("Dose, and its true DLT rate")
    ax.set_title(safe(scenario, 70), loc="left", fontweight="bold", fontsize=9.5)


def _bars(ax: Axes, one: pd.DataFrame, name: str, colours: dict[Any, str], most: float) -> None:
    """One number per design, written beside its bar."""
    y = np.arange(len(one))
    value = one[name].to_numpy(float)
    ax.barh(y, value, height=0.62, color=[colours[design] for design in one.index], zorder=3)
    error = np.nan_to_num(one[f"{name}_se"].to_numpy(float)) if f"{name}_se" in one else np.zeros(len(one))
    _whiskers(ax, value, y, error, upright=False)
    for height, number, se in zip(y.tolist(), value, error, strict=True):
        text = f"{100 * number:.1f} %" if name == "p_overdose" else f"{number:.1f}"
        beyond = number + WHISKER * se + 0.03 * most
        ax.text(beyond, height, text, va="center", fontsize=8.5, zorder=5)
    ax.set_ylim(len(one) - 0.4, -0.6)
    ax.set_yticks([])
    ax.set_xlim(0, 1.32 * most)
    if name == "p_overdose":
        ax.set_xticks([0, 0.5, 1])
        ax.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    ax.grid(visible=False, axis="y")


def _whiskers(ax: Axes, x: Any, y: Any, error: Any, *, upright: bool) -> None:
    size = WHISKER * np.asarray(error, dtype=float)
    known = np.isfinite(size) & (size > 0)
    if known.any():
        ax.errorbar(
            np.asarray(x)[known], np.asarray(y)[known], yerr=size[known] if upright else None,
            xerr=None if upright else size[known], fmt="none", ecolor=BLACK, elinewidth=0.9, capsize=1.6, zorder=4,
        )  # fmt: skip


def _legend(table: pd.DataFrame, colours: dict[Any, str]) -> list[Artist]:
    handles: list[Artist] = [Patch(color=colour, label=safe(name, 40)) for name, colour in colours.items()]
    handles.append(
        Line2D([], [], marker="D", markerfacecolor="white", color=BLACK, linestyle="none", markersize=5, label="true DLT rate")
    )  # fmt: skip
    limits = table["overdose_above"].unique() if "overdose_above" in table else []
    if len(limits) == 1 and (table["truth"] > limits[0]).any():
        label = f"overdose: true DLT rate above {_percent(float(limits[0]))}"
        handles.append(Patch(facecolor=VERMILION, alpha=0.10, label=label))
    if "p_select_se" in table and table["p_select_se"].gt(0).any():
        handles.append(Line2D([], [], color=GREY, marker="|", label="± 1.96 Monte-Carlo SE"))
    return handles


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"

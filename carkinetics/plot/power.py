"""What the kinetic analyses of a trial will be able to say, from many simulated ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from carkinetics.plot.axes import new_grid, panel_message
from carkinetics.plot.style import BLACK, BLUE, GREY, ORANGE, styled
from carkinetics.trial.many import TrialCharacteristics

MOST_INTERVALS = 100  # trials whose interval is drawn
WHISKER = 1.96  # Monte-Carlo standard errors
AxesArray = np.ndarray[Any, np.dtype[np.object_]]
# Questions of `power_table` that are answered by a share of trials, as they are written in the figure.
SHORT = {
    "dose-exposure slope: 90 % interval narrower than": "dose slope known\nto a width of",
    "dose-exposure slope: 90 % interval above 0": "dose slope found\n(interval above 0)",
    "exposure-response slope: 90 % interval above 0": "response slope found\n(interval above 0)",
}


@styled
def trial_power(result: TrialCharacteristics) -> AxesArray:
    """How often a trial finds what is there, how wide its intervals are, and how far observed peaks are off.

    Parameters
    ----------
    result : TrialCharacteristics
        From `carkinetics.simulate_trials`.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (2, 2)
        Shares of trials with ± 1.96 Monte-Carlo standard errors; the 90 % intervals of the slope of log Cmax on log dose,
        the truth dotted; those of the log odds of response on log AUC0-28; observed over true Cmax.
    """
    axes = new_grid(2, 2, 10.2, 7.0)
    _shares(axes[0, 0], result)
    trials = result.trials
    _intervals(axes[0, 1], trials, ("slope", "slope_lower", "slope_upper"), _true_slope(result.doses))
    axes[0, 1].set_xlabel("Slope of log Cmax on log dose, 90 % interval")
    _intervals(axes[1, 0], trials, ("response_slope", "response_lower", "response_upper"), None)
    axes[1, 0].set_xlabel("Log odds of response per unit of log AUC0-28, 90 % interval")
    _ratios(axes[1, 1], trials["cmax_ratio"].dropna())
    return axes


def _true_slope(doses: pd.DataFrame) -> float | None:
    """Slope of the true median Cmax, by least squares over doses."""
    known = doses[["true_cmax"]].dropna() if "true_cmax" in doses else pd.DataFrame()
    known = known[known.index > 0]
    if len(known) < 2:
        return None
    return float(np.polyfit(np.log(known.index.to_numpy(float)), np.log(known["true_cmax"]), 1)[0])


def _shares(ax: Axes, result: TrialCharacteristics) -> None:
    rows = []
    for question, row in result.power.iterrows():
        for start, words in SHORT.items():
            if str(question).startswith(start):
                width = str(question).removeprefix(start).strip()
                rows.append(
                    (f"{words} {width}".strip(), float(row["value"]), float(row["se"]), int(row["trials"]))
                )
    y = np.arange(len(rows))
    value = np.array([row[1] for row in rows])
    error = WHISKER * np.array([row[2] for row in rows])
    ax.barh(y, value, height=0.5, color=BLUE, zorder=3)
    ax.errorbar(value, y, xerr=error, fmt="none", ecolor=BLACK, elinewidth=1.0, capsize=3, zorder=4)
    for height, (_, share, se, _) in enumerate(rows):
        beyond = min(share + WHISKER * se, 1.0) + 0.03
        ax.text(beyond, height, f"{100 * share:.0f} %", va="center", fontsize=9)
    ax.set_yticks(y, [row[0] for row in rows])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlim(0, 1.15)
    ax.set_xticks(np.linspace(0, 1, 5))
    ax.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("Share of trials")
    ax.set_title(f"{len(result.trials):,} simulated trials", loc="left", fontsize=9.5)


def _intervals(ax: Axes, trials: pd.DataFrame, names: tuple[str, str, str], truth: float | None) -> None:
    """Intervals of the first trials, in the order of their estimates."""
    value, low, high = names
    known = trials.dropna(subset=list(names)).head(MOST_INTERVALS).sort_values(value)
    without = int(trials[value].isna().sum())
    if known.empty:
        panel_message(ax, "no trial has this slope")
        return
    y = np.arange(len(known))
    found = (known[low] > 0).to_numpy()
    for mask, colour, words in ((found, BLUE, "interval above 0"), (~found, ORANGE, "interval not above 0")):
        own = known[mask]
        ax.hlines(y[mask], own[low], own[high], color=colour, linewidth=1.2, label=words, zorder=3)
        ax.plot(own[value], y[mask], "|", color=BLACK, markersize=3, zorder=4)
    ax.axvline(0, color=BLACK, linewidth=0.9)
    if truth is not None:
        ax.axvline(
            truth, color=BLACK, linewidth=1.2, linestyle=(0, (1, 2)), label=f"truth {truth:.2f}", zorder=5
        )
    ax.set_yticks([])
    ax.set_ylim(-1, len(known))
    ax.set_ylabel("Trials, by estimate")
    ax.grid(visible=False, axis="y")
    lacking = f"; {without} of {len(trials):,} trials have no slope" if without else ""
    drawn = f"{len(known)} of them" if len(known) < len(trials) - without else "All"
    ax.set_title(f"{drawn} drawn{lacking}", loc="left", fontsize=9.5)
    ax.legend(loc="lower right", frameon=True, framealpha=0.9, edgecolor="none")


def _ratios(ax: Axes, ratio: pd.Series) -> None:
    if ratio.empty:
        panel_message(ax, "no quantified peak")
        return
    ax.hist(ratio, bins=min(30, max(8, len(ratio) // 8)), color=GREY, alpha=0.75, zorder=3)
    middle = float(ratio.median())
    ax.axvline(1, color=BLACK, linewidth=0.9, zorder=4)
    ax.axvline(middle, color=BLUE, linewidth=1.6, zorder=4, label=f"median {middle:.2f}")
    ax.set_xlim(min(float(ratio.min()), 0.95) - 0.05, max(float(ratio.max()), 1.0) + 0.08)
    ax.set_xlabel("Observed over true Cmax, geometric mean of a trial")
    ax.set_ylabel("Trials")
    ax.grid(visible=False, axis="x")
    ax.legend(loc="upper left")

"""Size of tumours: waterfall of the best change, spider of all changes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from carkinetics.errors import DataError
from carkinetics.plot.axes import legend_right, new_axes
from carkinetics.plot.groups import groups_of
from carkinetics.plot.style import BLACK, GREY, group_label, styled
from carkinetics.response.best import until_progression

# What RECIST 1.1 counts as response and as progression, in % of the baseline and of the nadir.
RESPONSE, PROGRESSION = -30.0, 20.0
NEW_LESION = "new lesion"
ALPHA = 0.6  # of bars, so that their hatching is seen


def _measured(responses: pd.DataFrame) -> pd.DataFrame:
    rows = responses[responses["change_pct"].notna()]
    if rows.empty:
        raise DataError("responses: no visit has a change of the target lesions; see derive_response")
    return rows


@styled
def waterfall(
    responses: pd.DataFrame, by: Mapping[str, object] | pd.Series | None = None, *, by_label: str = "",
    new_label: str = NEW_LESION, patients: int | None = None, ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Best change of the target lesions of each patient, in order.

    Parameters
    ----------
    responses : pandas.DataFrame
        Of `carkinetics.derive_response`.
    by : mapping or pandas.Series, optional
        Group of each subject, for instance its dose level, as colour and hatching.
    by_label : str
        Title of the legend, such as ``"Dose (cells/kg)"``.
    new_label : str
        What an asterisk means.
    patients : int, optional
        Of the trial, those without any visit among them; those of ``responses`` if not given.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.axes.Axes
        A bar per subject with a change measured up to and including progression; an asterisk marks a new lesion at any visit. The title
        says how many patients have none.

    Raises
    ------
    DataError
        If nothing was measured, or a group is missing.
    """
    rows = _measured(until_progression(responses))
    best = rows.groupby("subject")["change_pct"].min().sort_values(ascending=False, kind="stable")
    groups, looks = groups_of(best.index.tolist(), by)
    new = responses.groupby("subject")["new_lesion"].any()
    ax = new_axes(min(11.0, max(6.4, 0.12 * len(best))), 4.2) if ax is None else ax
    # A change of exactly 0 would leave no bar to see.
    heights = best.where(best.abs() > 0.5, 0.5)
    for place, (subject, height) in enumerate(heights.items()):
        ax.bar(place, height, width=0.8, zorder=3, **looks[groups[str(subject)]].bar(ALPHA))
        if new[subject]:
            ax.annotate("*", (place, max(height, 0)), ha="center", va="bottom", fontsize=11)
    _limits(ax)
    ax.set_xticks([])
    ax.set_xlim(-0.9, len(best) - 0.1)
    ax.grid(visible=False, axis="x")
    ax.set_xlabel(f"Patients, n = {len(best)}")
    ax.set_ylabel("Best change of target lesions (%)")
    without = (responses["subject"].nunique() if patients is None else patients) - len(best)
    if without:
        ax.set_title(f"Without a measured change and not shown: {without}", loc="left", fontsize=9.5)
    handles: list[Line2D | Patch] = [look.patch(name, ALPHA) for name, look in looks.items() if name]
    if bool(new[best.index].any()):
        handles.append(Line2D([], [], color=BLACK, marker="$*$", linestyle="none", label=new_label))
    if handles:
        legend_right(ax, handles=handles, title=by_label)
    return ax


@styled
def spider(
    responses: pd.DataFrame, by: Mapping[str, object] | pd.Series | None = None, *, by_label: str = "",
    new_label: str = NEW_LESION, ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Change of the target lesions over time, a line per patient.

    Parameters
    ----------
    responses : pandas.DataFrame
        Of `carkinetics.derive_response`.
    by : mapping or pandas.Series, optional
        Group of each subject, as colour and shape.
    by_label : str
        Title of the legend.
    new_label : str
        What a cross means.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.axes.Axes
        Lines from 0 at the infusion; a cross on the first day with a new lesion, at the size known by then.

    Raises
    ------
    DataError
        If nothing was measured, or a group is missing.
    """
    rows = _measured(responses)
    groups, looks = groups_of(list(rows["subject"].unique()), by)
    new = responses[responses["new_lesion"]].groupby("subject")["day"].min()
    ax = new_axes(7.4) if ax is None else ax
    for subject, mine in rows.groupby("subject", sort=False):
        x, y = np.concatenate([[0.0], mine["day"]]), np.concatenate([[0.0], mine["change_pct"]])
        look = looks[groups[str(subject)]]
        ax.plot(
            x, y, "-", marker=look.shape, color=look.colour, markersize=3, linewidth=1.1, alpha=0.85, zorder=3
        )
        if subject in new.index:
            # Seen between two measurements, or after the last one, it has no size of its own.
            known = y[x <= new[subject]]
            ax.plot(new[subject], known[-1] if known.size else 0.0, "X", color=BLACK, markersize=6, zorder=4)
    _limits(ax)
    ax.set_xlim(left=0)
    ax.set_xlabel("Days since the infusion")
    ax.set_ylabel("Change of target lesions (%)")
    handles = [
        Line2D([], [], color=look.colour, marker=look.shape, markersize=4, label=group_label(name))
        for name, look in looks.items()
        if name
    ]
    if bool(rows["subject"].isin(new.index).any()):
        handles.append(Line2D([], [], color=BLACK, marker="X", linestyle="none", label=new_label))
    if handles:
        legend_right(ax, handles=handles, title=by_label)
    return ax


def _limits(ax: Axes) -> None:
    for level in (RESPONSE, PROGRESSION):
        ax.axhline(level, color=GREY, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    ax.axhline(0, color=BLACK, linewidth=0.8, zorder=2)
    low, high = ax.get_ylim()
    ax.set_ylim(min(low, -40) if low > -100 else -104, max(high, 30))

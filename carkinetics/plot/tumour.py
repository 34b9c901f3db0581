"""Response of tumours: waterfall of the best change, spider of all changes, swimmer of each patient's course."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from carkinetics.errors import DataError
from carkinetics.plot.axes import legend_right, new_axes
from carkinetics.plot.style import (
    BLACK,
    GREEN,
    GREY,
    ORANGE,
    PALETTE,
    SKY,
    VERMILION,
    group_label,
    safe,
    styled,
)
from carkinetics.response.best import CR, NON, PD, PR, SD

# What RECIST 1.1 counts as response and as progression, in % of the baseline and of the nadir.
RESPONSE, PROGRESSION = -30.0, 20.0
MARKS = {
    CR: ("*", GREEN, 10),
    PR: ("^", SKY, 7),
    SD: ("s", GREY, 5),
    NON: ("s", GREY, 5),
    PD: ("X", VERMILION, 7),
}


def _groups(subjects: list[str], by: Mapping[str, object] | pd.Series | None) -> dict[str, object]:
    if by is None:
        return dict.fromkeys(subjects, "")
    given = {str(key): value for key, value in dict(by).items()}
    lacking = [subject for subject in subjects if subject not in given]
    if lacking:
        raise DataError(f"by has no group for subject {lacking[0]!r}")
    return {subject: given[subject] for subject in subjects}


def _colours(groups: Mapping[str, object]) -> dict[object, str]:
    names = pd.Series(list(groups.values())).sort_values().unique().tolist()
    if len(names) > len(PALETTE):
        raise DataError(f"by has {len(names)} groups; at most {len(PALETTE)} colours can be told apart")
    return dict(zip(names, PALETTE, strict=False))


def _measured(responses: pd.DataFrame) -> pd.DataFrame:
    rows = responses[responses["change_pct"].notna()]
    if rows.empty:
        raise DataError("responses: no visit has a change of the target lesions; see derive_response")
    return rows


@styled
def waterfall(
    responses: pd.DataFrame, by: Mapping[str, object] | pd.Series | None = None, *, ax: Axes | None = None
) -> Axes:
    """Best change of the target lesions of each patient, in order.

    Parameters
    ----------
    responses : pandas.DataFrame
        Of `carkinetics.derive_response`.
    by : mapping or pandas.Series, optional
        Group of each subject, for instance its dose level, as colours.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.axes.Axes
        A bar per subject with a measured change; an asterisk marks a new lesion at any visit. The title says how many have none.

    Raises
    ------
    DataError
        If nothing was measured, or a group is missing.
    """
    rows = _measured(responses)
    best = rows.groupby("subject")["change_pct"].min().sort_values(ascending=False, kind="stable")
    groups = _groups(best.index.tolist(), by)
    colours = _colours(groups)
    new = responses.groupby("subject")["new_lesion"].any()
    ax = new_axes(min(11.0, max(6.4, 0.12 * len(best))), 4.2) if ax is None else ax
    # A change of exactly 0 would leave no bar to see.
    heights = best.where(best.abs() > 0.5, 0.5)
    ax.bar(range(len(best)), heights, color=[colours[groups[s]] for s in best.index], width=0.8, zorder=3)
    for place, (subject, height) in enumerate(heights.items()):
        if new[subject]:
            ax.annotate("*", (place, max(height, 0)), ha="center", va="bottom", fontsize=11)
    _limits(ax)
    ax.set_xticks([])
    ax.grid(visible=False, axis="x")
    ax.set_xlabel(f"Patients, n = {len(best)}")
    ax.set_ylabel("Best change of target lesions (%)")
    without = responses["subject"].nunique() - len(best)
    if without:
        ax.set_title(f"Without a measured change and not shown: {without}", loc="left", fontsize=9.5)
    handles: list[Line2D | Patch] = [
        Patch(color=colour, label=group_label(name)) for name, colour in colours.items() if str(name)
    ]
    if bool(new[best.index].any()):
        handles.append(Line2D([], [], color=BLACK, marker="$*$", linestyle="none", label="new lesion"))
    if handles:
        legend_right(ax, handles=handles)
    return ax


@styled
def spider(
    responses: pd.DataFrame, by: Mapping[str, object] | pd.Series | None = None, *, ax: Axes | None = None
) -> Axes:
    """Change of the target lesions over time, a line per patient.

    Parameters
    ----------
    responses : pandas.DataFrame
        Of `carkinetics.derive_response`.
    by : mapping or pandas.Series, optional
        Group of each subject, as colours.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.axes.Axes
        Lines from 0 at the infusion; a cross where a new lesion was seen first.

    Raises
    ------
    DataError
        If nothing was measured, or a group is missing.
    """
    rows = _measured(responses)
    groups = _groups(list(rows["subject"].unique()), by)
    colours = _colours(groups)
    ax = new_axes(7.4) if ax is None else ax
    for subject, mine in rows.groupby("subject", sort=False):
        x, y = np.concatenate([[0.0], mine["day"]]), np.concatenate([[0.0], mine["change_pct"]])
        ax.plot(
            x, y, "-o", color=colours[groups[str(subject)]], markersize=3, linewidth=1.1, alpha=0.85, zorder=3
        )
        first = mine[mine["new_lesion"]].iloc[:1]
        ax.plot(first["day"], first["change_pct"], "X", color=VERMILION, markersize=7, zorder=4)
    _limits(ax)
    ax.set_xlim(left=0)
    ax.set_xlabel("Days since the infusion")
    ax.set_ylabel("Change of target lesions (%)")
    handles = [
        Line2D([], [], color=colour, label=group_label(name)) for name, colour in colours.items() if str(name)
    ]
    if bool(rows["new_lesion"].any()):
        handles.append(Line2D([], [], color=VERMILION, marker="X", linestyle="none", label="new lesion"))
    if handles:
        legend_right(ax, handles=handles)
    return ax


def _limits(ax: Axes) -> None:
    for level in (RESPONSE, PROGRESSION):
        ax.axhline(level, color=GREY, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    ax.axhline(0, color=BLACK, linewidth=0.8, zorder=2)
    low, high = ax.get_ylim()
    ax.set_ylim(min(low, -40) if low > -100 else -104, max(high, 30))


@styled
def swimmer(
    responses: pd.DataFrame,
    end: pd.DataFrame,
    by: Mapping[str, object] | pd.Series | None = None,
    *,
    ax: Axes | None = None,
) -> Axes:
    """One bar per patient from the infusion on, with responses, progression, death, and who is still followed.

    Parameters
    ----------
    responses : pandas.DataFrame
        ``subject, day, response``, as of `carkinetics.derive_response`.
    end : pandas.DataFrame
        Indexed by subject: ``time`` (last day) and ``event`` (1 for death), as of ``derive_event("os", ...)``.
    by : mapping or pandas.Series, optional
        Group of each subject, as colours of the bars.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.axes.Axes
        Longest bar on top; an arrow means that the patient was alive at last contact.

    Raises
    ------
    DataError
        If a group is missing.
    """
    ordered = end.rename(index=str).sort_values("time", kind="stable")
    groups = _groups(ordered.index.tolist(), by)
    colours = _colours(groups)
    place = {subject: k for k, subject in enumerate(ordered.index)}
    ax = new_axes(7.4, max(2.6, 0.9 + 0.2 * len(ordered))) if ax is None else ax
    single = by is None
    ax.barh(list(place.values()), ordered["time"], height=0.62, alpha=0.35, zorder=2,
            color=[GREY if single else colours[groups[s]] for s in ordered.index])  # fmt: skip
    seen = set()
    for row in responses.itertuples():
        if row.response in MARKS and str(row.subject) in place and row.day > 0:
            marker, colour, size = MARKS[row.response]
            seen.add(row.response)
            ax.plot(
                row.day,
                place[str(row.subject)],
                marker,
                color=colour,
                markersize=size,
                markeredgewidth=0,
                zorder=4,
            )
    died = ordered["event"] == 1
    rows = np.arange(len(ordered))
    ax.plot(ordered["time"][died], rows[died], "d", color=BLACK, markersize=6, zorder=5)
    ax.plot(ordered["time"][~died], rows[~died], ">", color=ORANGE, markersize=6, zorder=5, clip_on=False)
    ax.set_yticks(rows, [safe(s, 16) for s in ordered.index], fontsize=8 if len(rows) > 25 else 9)
    ax.grid(visible=False, axis="y")
    ax.set_xlim(0, float(ordered["time"].max()) * 1.03)
    ax.set_ylim(-0.7, len(rows) - 0.3)
    ax.set_xlabel("Days since the infusion")
    handles: list[Line2D | Patch] = [
        Patch(color=c, alpha=0.35, label=group_label(n)) for n, c in colours.items() if str(n)
    ]
    handles += [Line2D([], [], linestyle="none", marker=m, color=c, markersize=s, label=name)
                for name, (m, c, s) in MARKS.items() if name in seen]  # fmt: skip
    handles += (
        [Line2D([], [], linestyle="none", marker="d", color=BLACK, label="death")] if died.any() else []
    )
    handles += (
        [Line2D([], [], linestyle="none", marker=">", color=ORANGE, label="alive at last contact")]
        if (~died).any()
        else []
    )
    legend_right(ax, handles=handles)
    return ax

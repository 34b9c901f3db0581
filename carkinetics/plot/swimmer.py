"""The course of each patient: a bar from the infusion on, with responses, progression and death."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from carkinetics.errors import ConfigError
from carkinetics.plot.axes import legend_right, new_axes
from carkinetics.plot.groups import Look, groups_of
from carkinetics.plot.style import BLACK, BLUE, GREEN, GREY, ORANGE, VERMILION, safe, styled
from carkinetics.response.best import CR, NON, PD, PR, SD

FADED = 0.3  # bars under symbols
HALO: dict[str, Any] = {
    "markeredgecolor": "white",
    "markeredgewidth": 0.9,
}  # symbols stand out of a hatched bar of their colour
# Inches of a figure: what two on a sheet can have without becoming too small to read, and from when on it has one of its own.
HALF_SHEET, OWN_SHEET = 5.2, 7.4
MARKS = {
    CR: ("*", GREEN, 12),
    PR: ("^", BLUE, 8),
    SD: ("s", GREY, 6),
    NON: ("s", GREY, 6),
    PD: ("X", VERMILION, 8),
}


@styled
def swimmer(
    responses: pd.DataFrame, end: pd.DataFrame, by: Mapping[str, object] | pd.Series | None = None, *, by_label: str = "",
    alive_label: str = "alive at last contact", page: int = 1, per_page: int | None = None, ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """One bar per patient from the infusion on, with responses, progression, death, and who is still followed.

    Parameters
    ----------
    responses : pandas.DataFrame
        ``subject, day, response``, as of `carkinetics.derive_response`.
    end : pandas.DataFrame
        Indexed by subject: ``time`` (last day) and ``event`` (1 for death), as of ``derive_event("os", ...)``.
    by : mapping or pandas.Series, optional
        Group of each subject, as colour and hatching of the bars.
    by_label : str
        Title of the legend.
    alive_label : str
        What an arrow at the end of a bar means.
    page : int
        Which figure, from 1: longest bars on the first one.
    per_page : int, optional
        Most bars of a figure; all if not given. Figures get equal numbers of bars, one axis of time and one set of colours.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.axes.Axes
        Longest bar on top; an arrow means that the patient was alive at last contact.

    Raises
    ------
    ConfigError
        If there is no such page.
    DataError
        If a group is missing.
    """
    everybody = end.rename(index=str).sort_values("time", kind="stable")
    groups, looks = groups_of(everybody.index.tolist(), by)
    if by is None:
        looks = {"": Look(GREY, "", "")}
    ordered = _on_page(everybody, page, per_page)
    rows = np.arange(len(ordered))
    ax = new_axes(7.4, _height(len(ordered))) if ax is None else ax
    for row, (subject, time) in enumerate(ordered["time"].items()):
        ax.barh(row, time, height=0.62, zorder=2, **looks[groups[str(subject)]].bar(FADED))
    handles: list[Line2D | Patch] = [look.patch(name, FADED) for name, look in looks.items() if name]
    handles += _responses(ax, responses, {str(subject): row for row, subject in enumerate(ordered.index)})
    died = ordered["event"] == 1
    for who, marker, colour, name in ((died, "d", BLACK, "death"), (~died, ">", ORANGE, alive_label)):
        ax.plot(
            ordered["time"][who],
            rows[who],
            marker,
            color=colour,
            markersize=7,
            zorder=5,
            clip_on=False,
            **HALO,
        )
        if who.any():
            handles.append(Line2D([], [], linestyle="none", marker=marker, color=colour, label=name))
    ax.set_yticks(rows, [safe(s, 16) for s in ordered.index], fontsize=8 if len(rows) > 25 else 9)
    ax.grid(visible=False, axis="y")
    ax.set_xlim(0, (float(everybody["time"].max()) or 1.0) * 1.03)
    ax.set_ylim(-0.7, len(rows) - 0.3)
    ax.set_xlabel("Days since the infusion")
    legend_right(ax, handles=handles, title=by_label)
    return ax


def pages(n: int, per_page: int | None) -> int:
    """How many figures hold all bars of a swimmer plot.

    Parameters
    ----------
    n : int
        Patients.
    per_page : int or None
        Most bars of a figure.

    Returns
    -------
    int
        1 at least.
    """
    return max(1, -(-n // per_page)) if per_page else 1


def _on_page(ordered: pd.DataFrame, page: int, per_page: int | None) -> pd.DataFrame:
    """Bars of one figure, from the shortest, of patients in that order."""
    several = pages(len(ordered), per_page)
    if not 1 <= page <= several:
        raise ConfigError(f"swimmer: page is {page!r}; expected 1 to {several}")
    return ordered.iloc[::-1].iloc[np.array_split(np.arange(len(ordered)), several)[page - 1][::-1]]


def _height(bars: int) -> float:
    """Inches. More bars than half a sheet of paper can hold get one of their own (see `carkinetics.report`)."""
    wanted = max(2.6, 0.9 + 0.2 * bars)
    return wanted if wanted < HALF_SHEET else max(wanted, OWN_SHEET)


def _responses(ax: Axes, responses: pd.DataFrame, place: Mapping[str, int]) -> list[Line2D]:
    """Draw the response of every visit in the bar of its patient; what belongs into the legend."""
    shown = responses[responses["subject"].astype(str).isin(place) & (responses["day"] > 0)]
    handles = []
    for name, (marker, colour, size) in MARKS.items():
        mine = shown[shown["response"] == name]
        look: dict[str, Any] = {"marker": marker, "color": colour, "markersize": size, "linestyle": "none"}
        if len(mine):
            rows = mine["subject"].astype(str).map(place)
            ax.plot(mine["day"], rows, zorder=4, **look, **HALO)
            handles.append(Line2D([], [], label=name, **look))
    return handles

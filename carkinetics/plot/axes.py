"""Axes with units and readable ticks, legends that cover no data.

Conventions
-----------
Figures are made without pyplot: no window opens and nothing has to be closed. A notebook shows a returned
Axes as its figure. Limits are set before anything is drawn, so that nothing has to be rescaled.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any, Literal, cast

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from carkinetics.plot.style import GREY, STYLE, VERMILION, number, power

DAY_TICKS = (0, 7, 14, 28, 60, 90, 120, 180, 270, 365, 540, 730, 1095, 1460, 1825)
# Beyond this the first month, where most samples are, would be squeezed into the left end of the axis.
LONGEST_LINEAR = 60.0
# Inches that a label of a tick takes with the gap beside it; labels between these are all plain numbers.
LABEL_WIDTH, LABEL_HEIGHT = 0.45, 0.2
PLAIN = (1e-3, 1e4)


class NotebookAxes(Axes):
    """Axes that a notebook shows as their figure."""

    def _repr_png_(self) -> bytes:
        return png(self)


def png(ax: Axes, dpi: int = 110) -> bytes:
    """Draw the figure of an Axes as a PNG image.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Any Axes of the figure.
    dpi : int
        Resolution.

    Returns
    -------
    bytes
        The file.
    """
    buffer = BytesIO()
    with mpl.rc_context(STYLE):
        _figure(ax).savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def _figure(ax: Axes) -> Figure:
    return cast(Figure, ax.get_figure(root=True))


def new_axes(width: float = 6.4, height: float = 4.2) -> Axes:
    """One Axes in a figure of its own.

    Parameters
    ----------
    width, height : float
        Inches.

    Returns
    -------
    matplotlib.axes.Axes
        Empty.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure.add_subplot(axes_class=NotebookAxes)


def new_grid(
    rows: int, columns: int, width: float, height: float, **kwargs: Any
) -> np.ndarray[Any, np.dtype[np.object_]]:
    """Axes in rows and columns of one figure.

    Parameters
    ----------
    rows, columns : int
        How many.
    width, height : float
        Inches, of the whole figure.
    **kwargs : Any
        For `matplotlib.figure.Figure.subplots`.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (rows, columns)
        Empty.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, subplot_kw={"axes_class": NotebookAxes}, **kwargs)
    return cast(np.ndarray[Any, np.dtype[np.object_]], axes)


def log_ticks(axis: Axis) -> None:
    """Readable ticks for a logarithmic axis that spans its final range: as many as have room, all written alike.

    Parameters
    ----------
    axis : matplotlib.axis.Axis
        Its limits must be set.
    """
    low, high = sorted(float(v) for v in axis.get_view_interval())
    decades = np.log10(high / low) if low > 0 else 1.0
    # Fewer than two decades show too few powers of ten to read a value from.
    subs = (1.0, 2.0, 5.0) if decades < 1.7 else (1.0, 3.0) if decades < 2.5 else (1.0,)
    most = _room(axis)
    if len(subs) > 1 and decades * len(subs) > most:
        subs = (1.0, 3.0) if decades * 2 <= most else (1.0,)
    axis.set_major_locator(LogLocator(subs=subs, numticks=min(9, most) if len(subs) == 1 else 20))
    axis.set_minor_locator(NullLocator() if decades > 6 else LogLocator(subs=range(2, 10), numticks=200))
    write = number if low >= PLAIN[0] and high < PLAIN[1] else power
    axis.set_major_formatter(FuncFormatter(lambda value, _: write(value)))
    axis.set_minor_formatter(NullFormatter())


def _room(axis: Axis) -> int:
    """How many labels an axis has room for, before its panel is laid out."""
    box, figure = axis.axes.get_position(), _figure(axis.axes)
    width, height = figure.get_size_inches()
    if axis is axis.axes.yaxis:
        return max(2, int(box.height * height / LABEL_HEIGHT))
    return max(2, int(box.width * width / LABEL_WIDTH))


def log_limits(values: Sequence[float] | np.ndarray, floor: float = np.nan) -> tuple[float, float]:
    """Limits for a log axis with a little room, given what has to be seen.

    Parameters
    ----------
    values : array_like
        Levels; what is not a positive number does not count.
    floor : float
        A level that must be visible with room below, such as the LLOQ.

    Returns
    -------
    low, high : float
        At least a factor of 10 apart.
    """
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known) & (known > 0)]
    low = min([*known[:0], float(known.min()) if len(known) else np.inf, floor if floor > 0 else np.inf])
    high = max(float(known.max()) if len(known) else 0.0, floor if floor > 0 else 0.0)
    if not np.isfinite(low) or high <= 0:
        return 1.0, 1e4
    low, high = low / 2, high * 2
    return (low, high) if high / low >= 10 else (low / np.sqrt(10), high * np.sqrt(10))


def time_axis(ax: Axes, last: float, first: float = 0.0) -> None:
    """Days since infusion; a long follow-up on a square-root scale, which gives the first month room.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Whose x axis.
    last, first : float
        Days that must be visible.
    """
    first, last = min(first, 0.0), last if last > 0 else 28.0
    label = "Days since infusion"
    if last > LONGEST_LINEAR:
        ax.set_xscale(
            "function",
            functions=(lambda t: np.sign(t) * np.sqrt(np.abs(t)), lambda s: np.sign(s) * np.square(s)),
        )
        label += " (square-root scale)"
        low = -((0.02 * np.sqrt(last) + np.sqrt(-first)) ** 2)
        ax.set_xlim(low, (1.03 * np.sqrt(last)) ** 2)
    else:
        ax.set_xlim(first - 0.02 * last, 1.03 * last)
    ax.set_xlabel(label)
    ax.xaxis.set_major_locator(FixedLocator(_days(last, _width(ax))))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


def _width(ax: Axes) -> float:
    """Width of an Axes in inches, before layout."""
    spec = ax.get_subplotspec()
    columns = spec.get_gridspec().ncols if spec else 1
    return float(_figure(ax).get_size_inches()[0]) / columns


def _days(last: float, width: float) -> list[float]:
    """Visit days that fit the width without their labels touching."""
    if last <= 10:
        return [float(day) for day in range(0, int(last) + 1, 1 if last <= 5 else 2)]
    if last <= LONGEST_LINEAR:
        step = 7 if last <= 35 or width > 4 else 14
        return [float(day) for day in range(0, int(last) + 1, step)]
    apart = 0.28 / max(width - 0.8, 1.0)
    kept: list[float] = [0.0]
    for day in DAY_TICKS[1:]:
        if day <= last * 1.02 and np.sqrt(day / last) - np.sqrt(kept[-1] / last) >= apart:
            kept.append(float(day))
    return kept


def panel_title(ax: Axes, text: str, **kwargs: Any) -> None:
    """Title right above one panel of many, which has no ticks at its top.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The panel.
    text : str
        Its title.
    **kwargs : Any
        For `matplotlib.axes.Axes.set_title`.
    """
    # Where a height is given, matplotlib does not measure all ticks to find it: a fifth of the time of many panels.
    ax.set_title(text, y=1.0, **kwargs)


def panel_message(ax: Axes, text: str) -> None:
    """Say in an empty panel why it is empty.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The panel.
    text : str
        The reason.
    """
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color=GREY)
    if not ax.has_data():
        ax.set_xticks([])
        ax.set_yticks([])


def mark_unconverged(ax: Axes, converged: bool | None) -> None:
    """Say over a panel, in red, that what it shows rests on a fit that did not converge.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The first panel of a figure, with its title.
    converged : bool or None
        Nothing happens unless it is False.
    """
    if converged is False:
        ax.set_title(
            f"not converged\n{ax.get_title()}".strip(), fontsize=ax.title.get_fontsize(), color=VERMILION
        )


def legend_right(ax: Axes, **kwargs: Any) -> None:
    """Legend outside at the right, where it covers no data; inside where no room is kept for it.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Whose legend.
    **kwargs : Any
        For `matplotlib.axes.Axes.legend`.
    """
    if isinstance(_figure(ax).get_layout_engine(), ConstrainedLayoutEngine):
        ax.legend(**{"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0, **kwargs})
    else:
        ax.legend(**{"loc": "upper right", **kwargs})


def legend_shared(
    ax: Axes, handles: Sequence[Artist], columns: int, place: Literal["lower", "upper"] = "lower"
) -> None:
    """One legend for all panels, outside them.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Any Axes of the figure; it carries the legend where the figure keeps no room for one.
    handles : sequence of matplotlib.artist.Artist
        With labels.
    columns : int
        Entries per row.
    place : {"lower", "upper"}
        Under or above the panels.
    """
    if isinstance(_figure(ax).get_layout_engine(), ConstrainedLayoutEngine):
        below = place == "lower"
        loc: Any = "outside lower center" if below else "outside upper center"
        _figure(ax).legend(handles=list(handles), loc=loc, ncols=columns)
    else:
        ax.legend(handles=list(handles), loc="upper right")

"""What a model says before any data: its typical course, and how much subjects differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from carkinetics.errors import ConfigError
from carkinetics.model.solve import break_times, complete_values, curve
from carkinetics.model.spec import Model
from carkinetics.plot.axes import legend_shared, log_limits, log_ticks, new_grid, panel_message, time_axis
from carkinetics.plot.style import BLUE, GREY, level_label, safe, styled

COLUMNS = 3
POINTS = 161
# A level axis of more decades than this shows a tail that nothing could measure, and hides the rest.
MOST_DECADES = 8.0


@styled
def model_course(
    model: Model,
    *,
    days: float = 180.0,
    subjects: int = 24,
    seed: int = 1,
    infusions: Sequence[tuple[float, float]] | None = None,
    **values: float,
) -> list[Axes]:
    """Typical course of every output, and thin lines for subjects drawn from the published spread.

    Parameters
    ----------
    model : Model
        What to draw.
    days : float
        From the infusion on.
    subjects : int
        Lines of subjects; 0 for none. They differ by the model's omegas, and not at all where it has none.
    seed : int
        Of the subjects.
    infusions : sequence of (float, float), optional
        Day and amount of every infusion; those of the model file if not given.
    **values : float
        Parameters and inputs that differ from the model's typical values.

    Returns
    -------
    list of matplotlib.axes.Axes
        One per output.

    Raises
    ------
    ConfigError
        If a value is named that the model does not have, or the days or subjects make no sense.
    """
    if not 0 < days < np.inf or subjects < 0:
        raise ConfigError(f"model_course: days is {days:g} and subjects is {subjects}; expected days above 0")
    typical = complete_values(model, values)
    time = _times(model, typical, days)
    drawn = _subjects(model, typical, subjects, seed)
    columns = min(len(model.outputs), COLUMNS)
    rows = -(-len(model.outputs) // columns)
    grid = new_grid(rows, columns, 1.2 + 3.9 * columns, 0.6 + 3.0 * rows)
    for ax in grid.ravel()[len(model.outputs) :]:
        ax.remove()
    found = list(grid.ravel()[: len(model.outputs)])
    for ax, (name, output) in zip(found, model.outputs.items(), strict=True):
        lines = np.array(
            [
                curve(model, time, one, output.name, infusions=infusions, solver="scipy")
                for one in [typical, *drawn]
            ]
        )
        _draw(ax, time, lines)
        ax.set_title(safe(output.meaning, 48), loc="left")
        ax.set_ylabel(level_label(output.unit, "" if ax is found[0] else name))
        time_axis(ax, days)
    if drawn:
        handles = [
            Line2D([], [], color=BLUE, linewidth=2.2, label="typical"),
            Line2D([], [], color=GREY, linewidth=0.8, label="subjects by the file's omegas"),
        ]
        legend_shared(found[0], handles, len(handles))
    return found


def _times(model: Model, values: Mapping[str, Any], days: float) -> NDArray[np.float64]:
    """Denser in the first month, and with the kinks."""
    early, late = np.linspace(0, min(days, 30.0), POINTS), np.linspace(min(days, 30.0), days, POINTS)
    kinks = [float(one) for one in break_times(model, values) if 0 < one < days]
    return np.unique(np.concatenate([early, late, kinks]))


def _subjects(model: Model, typical: Mapping[str, Any], count: int, seed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    random = {name: p for name, p in model.parameters.items() if p.omega and not p.fixed}
    return [
        dict(typical)
        | {
            name: float(p.from_free(p.to_free(typical[name]) + (p.omega or 0.0) * rng.standard_normal()))
            for name, p in random.items()
        }
        for _ in range(count if random else 0)
    ]


def _draw(ax: Axes, time: NDArray[np.float64], lines: NDArray[np.float64]) -> None:
    """On a log axis where levels are positive; the typical course decides how far down it goes."""
    shown = lines[0][np.isfinite(lines[0]) & (lines[0] > 0)]
    if not len(shown):
        panel_message(ax, "nothing above 0")
        return
    if (lines[0] < 0).any():
        ax.plot(time, lines[0], color=BLUE, linewidth=2.2)
        return
    seen = np.quantile(lines[lines > 0], [0.02, 1.0])
    bottom = max(min(float(shown.min()), seen[0]), float(shown.max()) / 10**MOST_DECADES)
    ax.set_yscale("log")
    ax.set_ylim(*log_limits(np.array([bottom, seen[1]])))
    log_ticks(ax.yaxis)
    ax.plot(time, np.where(lines[1:] > 0, lines[1:], np.nan).T, color=GREY, linewidth=0.7, alpha=0.5)
    ax.plot(time, np.where(lines[0] > 0, lines[0], np.nan), color=BLUE, linewidth=2.2, zorder=4)

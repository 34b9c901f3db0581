"""A design's decision for every count at a dose, as a coloured table."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from carkinetics.escalation.decision_table import decision_table as table_of
from carkinetics.escalation.design import Design
from carkinetics.plot.axes import legend_shared, new_axes
from carkinetics.plot.style import BLACK, ORANGE, SKY, VERMILION, safe, styled

# Cool for up, warm for down; the letters say the same without colour.
COLOURS = {"E": SKY, "S": "#F2F2F2", "D": ORANGE, "DU": VERMILION}
CELL = 0.36  # inches


@styled
def decision_table(
    design: Design | pd.DataFrame, n_max: int | None = None, *, ax: Axes | None = None
) -> Axes:
    """The decision for every number of patients and DLTs at the dose given last.

    Parameters
    ----------
    design : Design or pandas.DataFrame
        One that decides from one dose, or its table from `carkinetics.decision_table`.
    n_max : int, optional
        The most patients, see `carkinetics.decision_table`; not beside a table.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.axes.Axes
        A cell per count, with its letter.

    Raises
    ------
    ConfigError
        If the design looks at all doses at once.
    """
    table = design if isinstance(design, pd.DataFrame) else table_of(design, n_max)
    if ax is None:
        ax = new_axes(max(4.6, 1.1 + CELL * table.shape[1]), 1.6 + CELL * table.shape[0])
    for column, n in enumerate(table.columns):
        for dlt in table.index:
            letter = str(table.at[dlt, n])
            if not letter:
                continue
            place = (column - 0.5, dlt - 0.5)
            ax.add_patch(Rectangle(place, 1, 1, facecolor=COLOURS[letter], edgecolor="white", linewidth=1.2))
            ax.text(column, dlt, letter, ha="center", va="center", fontsize=9, color=BLACK)
    ax.set_xlim(-0.5, table.shape[1] - 0.5)
    ax.set_ylim(table.shape[0] - 0.5, -0.5)
    ax.set_xticks(range(table.shape[1]), [str(n) for n in table.columns])
    ax.set_yticks(range(table.shape[0]), [str(dlt) for dlt in table.index])
    ax.tick_params(length=0)
    ax.grid(visible=False)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    ax.set_xlabel("Patients at the dose given last")
    ax.set_ylabel("DLTs among them")
    ax.set_title(safe(table.attrs.get("design", ""), 70), loc="left", fontsize=9.5)
    words = table.attrs.get("letters", {})
    seen = {str(letter) for letter in table.to_numpy().ravel()}
    handles = [
        Patch(facecolor=colour, edgecolor="white", label=f"{letter}: {words.get(letter, letter)}")
        for letter, colour in COLOURS.items()
        if letter in seen
    ]
    legend_shared(ax, handles, columns=2)
    return ax

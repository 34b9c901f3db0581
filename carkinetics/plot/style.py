"""How every figure looks: colours, names made safe to draw, units and numbers as people read them.

Conventions
-----------
Colours are those of Okabe and Ito, which people with any kind of colour vision can tell apart. A quantified
value is a filled circle; a BLQ value is an open triangle at its LLOQ, and a thin dotted line is the LLOQ.
The settings apply within our functions only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.font_manager import findfont, get_font

from carkinetics.exposure.metric_name import METRIC_NAMES, metric_name
from carkinetics.units import canonical_unit

# Okabe M, Ito K. Color Universal Design. 2008. Yellow is left out: too faint for a line on white.
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, BLACK, GREY = "#56B4E9", "#CC79A7", "#000000", "#8C8C8C"
PALETTE = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, BLACK, GREY)

FONT = "DejaVu Sans"  # ships with matplotlib: the same picture everywhere
STYLE: dict[Any, Any] = {
    "font.family": FONT,
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "figure.facecolor": "white",
    "savefig.dpi": 150,
    "figure.dpi": 110,
    "text.usetex": False,
}
BLQ_MARK: dict[str, Any] = {"marker": "v", "markerfacecolor": "none", "linestyle": "none"}
ULOQ_MARK: dict[str, Any] = {"marker": "^", "markerfacecolor": "none", "linestyle": "none"}
LLOQ_LINE: dict[str, Any] = {"color": GREY, "linewidth": 0.8, "linestyle": (0, (1, 2)), "zorder": 1}

LEVEL_NAMES = {
    "copies/ug": ("CAR transgene", "copies/µg DNA"),
    "cells/uL": ("CAR-T cells", "cells/µL"),
    "copies/uL": ("CAR transgene", "copies/µL"),
    "%": ("CAR-T cells", "% of cells"),
}


def styled[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Apply our style while a function draws, and only then.

    Parameters
    ----------
    function : callable
        What draws.

    Returns
    -------
    callable
        The same function.
    """

    @wraps(function)
    def drawing(*args: P.args, **kwargs: P.kwargs) -> R:
        with mpl.rc_context(STYLE):
            return function(*args, **kwargs)

    return drawing


@lru_cache(maxsize=1)
def _drawable() -> frozenset[int]:
    return frozenset(get_font(findfont(FONT)).get_charmap())


def safe(text: object, width: int = 28) -> str:
    r"""Name of a subject, group or parameter as it can be drawn.

    Parameters
    ----------
    text : object
        For instance a subject identifier; anything may stand in it.
    width : int
        Longest result, in characters. The middle of a longer name is left out: identifiers differ at
        their ends.

    Returns
    -------
    str
        One line; dollar signs do not start a formula, and what the font lacks is a ``?``.

    Examples
    --------
    >>> safe("101-004"), safe("x" * 50, width=11), safe("US$")
    ('101-004', 'xxxxx…xxxxx', 'US\\$')
    """
    plain = " ".join(str(text).split())
    known = "".join(c if ord(c) in _drawable() else "?" for c in plain)
    if len(known) > width:
        head = (width - 1) // 2
        known = f"{known[: width - 1 - head]}…{known[-head:]}"
    return known.replace("$", r"\$")


def readable_unit(unit: str) -> str:
    """Unit as it is printed.

    Parameters
    ----------
    unit : str
        For instance ``"copies*day/ug"``.

    Returns
    -------
    str
        For instance ``"copies × day/µg DNA"``.

    Examples
    --------
    >>> readable_unit("copies*day/ug"), readable_unit("cells/uL")
    ('copies × day/µg DNA', 'cells/µL')
    """
    name = canonical_unit(unit)
    dna = " DNA" if name.startswith("copies") and name.endswith("/ug") else ""
    spelled = name.replace("*", " × ").replace("/ug", "/µg").replace("/uL", "/µL").replace("^2", "²")
    return safe(spelled, 60) + dna


def level_label(unit: str, marker: str = "") -> str:
    """Label of a level axis.

    Parameters
    ----------
    unit : str
        Unit of the level.
    marker : str
        Name of what is measured, if it is not the CAR-T level.

    Returns
    -------
    str
        For instance ``"CAR transgene (copies/µg DNA)"``.

    Examples
    --------
    >>> level_label("copies/ug"), level_label("AU")
    ('CAR transgene (copies/µg DNA)', 'Level (AU)')
    >>> level_label("mm", "tumour_size"), level_label("1", "tumour")
    ('Tumour size (mm)', 'Tumour')
    >>> level_label("pg/mL", "il6")
    'il6 (pg/mL)'
    """
    if marker:
        words = safe(marker.replace("_", " "))
        if not any(letter.isdigit() for letter in words):  # il6 is a name, no word
            words = words[:1].upper() + words[1:]
        return words if unit == "1" else f"{words} ({readable_unit(unit)})"
    what, spelled = LEVEL_NAMES.get(canonical_unit(unit), ("Level", readable_unit(unit)))
    return f"{what} ({spelled})"


def metric_title(metric: str) -> str:
    """Name of a metric as a heading.

    Parameters
    ----------
    metric : str
        For instance ``"half_life"``.

    Returns
    -------
    str
        With a capital; a metric that has no name, such as a parameter of a model, as it is.

    Examples
    --------
    >>> metric_title("half_life"), metric_title("foldx")
    ('Half-life', 'foldx')
    """
    name = metric_name(metric)
    known = metric in METRIC_NAMES or name != metric
    return safe(name[:1].upper() + name[1:], 40) if known else safe(metric)


def metric_label(metric: str, unit: str) -> str:
    """Label of an exposure axis.

    Parameters
    ----------
    metric : str
        For instance ``"auc_0_28"``.
    unit : str
        Its unit.

    Returns
    -------
    str
        For instance ``"AUC day 0–28 (copies × day/µg DNA)"``.

    Examples
    --------
    >>> metric_label("auc_0_28", "copies*day/ug"), metric_label("half_life_fast", "day")
    ('AUC day 0–28 (copies × day/µg DNA)', 'Half-life, fast (day)')
    """
    return f"{metric_title(metric)} ({readable_unit(unit)})"


def number(value: float) -> str:
    r"""Write a number for a tick or a legend.

    Parameters
    ----------
    value : float
        Any.

    Returns
    -------
    str
        ``1,000`` up to 9,999, powers of ten beyond.

    Examples
    --------
    >>> number(0.05), number(1000), number(10000), number(3e5)
    ('0.05', '1,000', '$10^{4}$', '$3{\\times}10^{5}$')
    """
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:,.6g}"
    return power(value)


def power(value: float) -> str:
    r"""Write a number as a power of ten.

    Parameters
    ----------
    value : float
        Not 0.

    Returns
    -------
    str
        For an axis whose other ticks are powers, too.

    Examples
    --------
    >>> power(1), power(0.01), power(300)
    ('$10^{0}$', '$10^{-2}$', '$3{\\times}10^{2}$')
    """
    exponent = int(np.floor(np.log10(abs(value)) + 1e-9))
    mantissa = f"{value / 10**exponent:.3g}"
    return rf"$10^{{{exponent}}}$" if mantissa == "1" else rf"${mantissa}{{\times}}10^{{{exponent}}}$"


def group_label(text: object) -> str:
    """Name of a group; large numbers, such as doses, as powers of ten.

    Parameters
    ----------
    text : object
        For instance ``"1e+06"`` or ``"female"``.

    Returns
    -------
    str
        As it can be drawn.

    Examples
    --------
    >>> group_label("1e+06"), group_label("female")
    ('$10^{6}$', 'female')
    """
    try:
        value = float(str(text))
    except ValueError:
        return safe(text)
    return number(value) if np.isfinite(value) else safe(text)

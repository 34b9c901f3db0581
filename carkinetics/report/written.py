"""How numbers, shares, intervals and lists are written in a report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

MISSING = "–"


def p_value(value: float) -> str:
    """Write a p-value.

    Parameters
    ----------
    value : float
        From 0 to 1, or NaN.

    Returns
    -------
    str
        Two digits; ``< 0.001`` below that, a dash for NaN.
    """
    return MISSING if np.isnan(value) else "< 0.001" if value < 0.001 else f"{value:.2g}"


def fixed(value: Any, digits: int) -> str:
    """A number with so many decimals, and no minus before nothing.

    Parameters
    ----------
    value : float
        The number.
    digits : int
        Decimals.

    Returns
    -------
    str
        A dash for a missing number.

    Examples
    --------
    >>> fixed(-0.3, 0), fixed(-0.004, 2), fixed(1.005, 1)
    ('0', '0.00', '1.0')
    """
    return MISSING if np.isnan(value) else f"{round(float(value), digits) + 0.0:.{digits}f}"


def number(value: Any, digits: int = 3) -> str:
    """A number with three significant digits, without an exponent where that can be read.

    Parameters
    ----------
    value : float
        The number.
    digits : int
        Significant digits.

    Returns
    -------
    str
        A dash for a missing number.

    Examples
    --------
    >>> number(23987.2), number(0.0031999), number(1.0), number(float("nan")), number(3.2e-7)
    ('24000', '0.00320', '1.00', '–', '3.20e-07')
    """
    x = float(value) if value is not None else np.nan
    if np.isnan(x):
        return MISSING
    if np.isinf(x):
        return "∞" if x > 0 else "−∞"
    if x == 0:
        return "0"
    if not 1e-4 <= abs(x) < 1e7:
        return f"{x:.{digits - 1}e}"
    decimals = digits - 1 - int(np.floor(np.log10(abs(float(f"{x:.{digits - 1}e}")))))
    return f"{round(x, decimals):.{max(decimals, 0)}f}"


def amount(value: float) -> str:
    """A dose, as people write it.

    Parameters
    ----------
    value : float
        Number of cells, or of cells per kg.

    Returns
    -------
    str
        With a power of ten from 10 000 on.

    Examples
    --------
    >>> amount(1e6), amount(2.5e5), amount(64)
    ('1 × 10⁶', '2.5 × 10⁵', '64')
    """
    if not 1e4 <= abs(value) < np.inf:
        return f"{value:.3g}"
    power = int(np.floor(np.log10(abs(value)) + 1e-9))
    return f"{value / 10**power:.3g} × 10{str(power).translate(str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def span(low: Any, high: Any, digits: int = 3) -> str:
    """An interval, ``low to high``.

    Parameters
    ----------
    low, high : float
        Its ends.
    digits : int
        Significant digits.

    Returns
    -------
    str
        A dash when an end is missing.

    Examples
    --------
    >>> span(1, 2.345)
    '1.00 to 2.35'
    """
    ends = number(low, digits), number(high, digits)
    return MISSING if MISSING in ends else f"{ends[0]} to {ends[1]}"


def percent(share: Any) -> str:
    """A share as a percentage with one decimal.

    Parameters
    ----------
    share : float
        Between 0 and 1.

    Returns
    -------
    str
        A dash for a missing share.

    Examples
    --------
    >>> percent(0.256)
    '25.6 %'
    """
    return MISSING if share is None or np.isnan(float(share)) else f"{100 * float(share):.1f} %"


def listing(names: Iterable[Any], most: int = 6) -> str:
    """Names in a row, shortened when there are many.

    Parameters
    ----------
    names : iterable
        The names.
    most : int
        How many to write out.

    Returns
    -------
    str
        For instance ``"a, b and 3 more"``.

    Examples
    --------
    >>> listing(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    texts = [str(name) for name in names]
    if len(texts) <= most:
        return ", ".join(texts)
    return f"{', '.join(texts[:most])} and {len(texts) - most} more"


def together(names: Iterable[Any]) -> str:
    """Names within a sentence.

    Parameters
    ----------
    names : iterable
        At least one.

    Returns
    -------
    str
        With "and" before the last.

    Examples
    --------
    >>> together(["Cmax"]), together(["Cmax", "Tmax"]), together("abc")
    ('Cmax', 'Cmax and Tmax', 'a, b and c')
    """
    *first, last = map(str, names)
    return f"{', '.join(first)} and {last}" if first else last

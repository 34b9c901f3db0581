"""What a design is given, checked: doses, probabilities, counts, numbers and switches, each with a message of its own."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from carkinetics.errors import ConfigError

MOST_DOSES = 100


def dose_levels(doses: int | Iterable[float], design: str) -> tuple[float, ...]:
    """Doses in increasing order: numbers from 1 for a count, else the sizes themselves.

    Parameters
    ----------
    doses : int or iterable of float
        A count, or sizes in increasing order.
    design : str
        Whose doses they are, for messages.

    Returns
    -------
    tuple of float
        One per dose.

    Raises
    ------
    ConfigError
        If there is none, or they do not increase.

    Examples
    --------
    >>> dose_levels(3, "BOIN")
    (1, 2, 3)
    """
    if isinstance(doses, numbers.Integral) and not isinstance(doses, bool):
        return tuple(range(1, whole(doses, "doses", design, most=MOST_DOSES) + 1))
    if isinstance(doses, (str, bytes)) or not isinstance(doses, Iterable):
        raise ConfigError(f"{design}: doses is {doses!r}; expected how many there are, or their sizes")
    sizes: tuple[Any, ...] = tuple(doses)
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, numbers.Real) or not 0 < float(size) < np.inf:
            raise ConfigError(f"{design}: a dose is {size!r}; expected a number above 0")
    if not sizes:
        raise ConfigError(f"{design}: there is no dose")
    for before, after in pairwise(sizes):
        if after <= before:
            raise ConfigError(f"{design}: dose {after:g} comes after {before:g}; expected increasing doses")
    return sizes


def probabilities(
    values: Sequence[float] | float, name: str, design: str, n: int | None = None
) -> tuple[float, ...]:
    """Numbers in [0, 1], ``n`` of them; anything else is refused.

    Parameters
    ----------
    values : sequence of float
        To look at; one number stands for itself.
    name, design : str
        What they are and whose, for messages.
    n : int, optional
        How many there must be.

    Returns
    -------
    tuple of float
        Those values.

    Raises
    ------
    ConfigError
        If one is outside, or there are more or fewer.
    """
    listed: list[Any] = list(values) if isinstance(values, Iterable) else [values]
    for value in listed:
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= float(value) <= 1:
            raise ConfigError(f"{design}: {name} has {value!r}; expected probabilities from 0 to 1")
    if n is not None and len(listed) != n:
        raise ConfigError(f"{design}: {name} has {len(listed)} values; expected one for each of {n} doses")
    return tuple(float(value) for value in listed)


def whole(value: Any, name: str, design: str, *, least: int = 1, most: float = np.inf) -> int:
    """A whole number within bounds; anything else is refused.

    Parameters
    ----------
    value : object
        To look at.
    name, design : str
        What it is and whose, for messages.
    least, most : float
        Bounds.

    Returns
    -------
    int
        That number.

    Raises
    ------
    ConfigError
        If it is none.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or not least <= int(value) <= most:
        bounds = f"from {least} to {most:g}" if np.isfinite(most) else f", {least} or more"
        raise ConfigError(
            f"{design}: {name} is {value!r}; expected a whole number {bounds}".replace(" ,", ",")
        )
    return int(value)


def number(
    value: Any,
    name: str,
    design: str,
    *,
    above: float = -np.inf,
    below: float = np.inf,
    least: float = -np.inf,
    most: float = np.inf,
) -> float:
    """A finite number within bounds; anything else is refused.

    Parameters
    ----------
    value : object
        To look at.
    name, design : str
        What it is and whose, for messages.
    above, below, least, most : float
        Bounds, without and with the bound itself.

    Returns
    -------
    float
        That number.

    Raises
    ------
    ConfigError
        If it is none.

    Examples
    --------
    >>> number(0.3, "target", "BOIN", above=0, below=1)
    0.3
    """
    known = (
        isinstance(value, numbers.Real) and not isinstance(value, bool) and bool(np.isfinite(float(value)))
    )
    if known and above < value < below and least <= value <= most:
        return float(value)
    words = {"above": above, "at least": least, "below": below, "at most": most}
    bounds = " and ".join(f"{word} {limit:g}" for word, limit in words.items() if np.isfinite(limit))
    raise ConfigError(f"{design}: {name} is {value!r}; expected a number {bounds}".rstrip())


def flag(value: Any, name: str, design: str) -> bool:
    """True or False; anything else is refused.

    Parameters
    ----------
    value : object
        To look at.
    name, design : str
        What it is and whose, for messages.

    Returns
    -------
    bool
        That value.

    Raises
    ------
    ConfigError
        If it is none.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise ConfigError(f"{design}: {name} is {value!r}; expected True or False")
    return bool(value)

"""Settings of a plan, looked at: numbers within bounds, days in order, slopes by text."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping
from typing import Any

from carkinetics.errors import ConfigError
from carkinetics.escalation.arguments import number


def refuse_numbers(
    made: object,
    where: str,
    *,
    above: Iterable[str] = (),
    least: Iterable[str] = (),
    share: Iterable[str] = (),
    plain: Iterable[str] = (),
) -> None:
    """Complain of the first field that is no number, or out of bounds.

    Parameters
    ----------
    made : object
        With those fields.
    where : str
        What it is, for messages.
    above, least, share, plain : iterable of str
        Fields that must be above 0, at least 0, from 0 to 1, and any number.

    Raises
    ------
    ConfigError
        If one is not.
    """
    bounds: tuple[tuple[Iterable[str], dict[str, float]], ...] = (
        (above, {"above": 0}), (least, {"least": 0}), (share, {"least": 0, "most": 1}), (plain, {})
    )  # fmt: skip
    for names, limits in bounds:
        for name in names:
            number(getattr(made, name), name, where, **limits)


def days_in_order(given: Any, name: str, where: str) -> tuple[float, ...]:
    """Days that increase.

    Parameters
    ----------
    given : iterable of float
        Days since the infusion.
    name, where : str
        What they are and whose, for messages.

    Returns
    -------
    tuple of float
        Those days.

    Raises
    ------
    ConfigError
        If there is none, or they do not increase.
    """
    listed = (
        list(given) if isinstance(given, Iterable) and not isinstance(given, (str, bytes, Mapping)) else []
    )
    days = tuple(number(day, f"a day of {name}", where) for day in listed)
    if not days or list(days) != sorted(set(days)):
        raise ConfigError(f"{where}: {name} is {given!r}; expected increasing days")
    return days


def refuse_slopes(given: Any, where: str) -> None:
    """Complain of anything but slopes by the text that they belong to.

    Parameters
    ----------
    given : mapping of str to float
        Such as ``{"log(cmax / 1500)": 1.1}``.
    where : str
        What they are, for messages.

    Raises
    ------
    ConfigError
        If it is something else.
    """
    if not isinstance(given, Mapping):
        raise ConfigError(
            f"{where} is {given!r}; expected slopes by text, such as {{'log(dose / 1e6)': 0.3}}"
        )
    for text, slope in given.items():
        if not isinstance(text, str) or isinstance(slope, bool) or not isinstance(slope, numbers.Real):
            raise ConfigError(f"{where}: {text!r} has {slope!r}; expected a number, the slope")
        number(slope, repr(text), where)

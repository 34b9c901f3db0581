"""How an analysis of exposure and outcome is called: alike in statements, findings, tables and figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from carkinetics.exposure.metric_name import metric_name
from carkinetics.response.question import split_predictor


def outcome_name(settings: Mapping[str, Any]) -> str:
    """Name of the outcome.

    Parameters
    ----------
    settings : mapping
        Of an analysis.

    Returns
    -------
    str
        Its label; the expression that defines it if none was given.
    """
    return str(settings.get("label") or settings.get("outcome"))


def outcome_definition(settings: Mapping[str, Any]) -> str:
    """What defines an outcome that has a label.

    Parameters
    ----------
    settings : mapping
        Of an analysis.

    Returns
    -------
    str
        The expression; empty if the outcome is called by it.
    """
    expression = str(settings.get("outcome"))
    return "" if outcome_name(settings) == expression else expression


def exposure_name(settings: Mapping[str, Any]) -> str:
    """Name of the predictor, such as ``AUC day 0–28 (log)``.

    Parameters
    ----------
    settings : mapping
        Of an analysis.

    Returns
    -------
    str
        The metric's name, and whether its logarithm was taken.
    """
    metric, log = split_predictor(str(settings.get("on")))
    return f"{metric_name(metric)} (log)" if log else metric_name(metric)


def analysis_name(settings: Mapping[str, Any]) -> str:
    """Name of an analysis.

    Parameters
    ----------
    settings : mapping
        Of an analysis.

    Returns
    -------
    str
        For instance ``objective response on AUC day 0–28 (log)``.
    """
    return f"{outcome_name(settings)} on {exposure_name(settings)}"


def counted(number: int, noun: str) -> str:
    """A number of things.

    Parameters
    ----------
    number : int
        How many.
    noun : str
        In the singular.

    Returns
    -------
    str
        With its plural if it is not one.

    Examples
    --------
    >>> counted(1, "subject"), counted(0, "event")
    ('1 subject', '0 events')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def event_counts(events: int, n: int) -> str:
    """How many had the event.

    Parameters
    ----------
    events, n : int
        Of how many subjects.

    Returns
    -------
    str
        As a figure or a table says it.

    Examples
    --------
    >>> event_counts(1, 12)
    '1 event in 12 subjects'
    """
    return f"{counted(events, 'event')} in {counted(n, 'subject')}"


def left_out(number: int) -> str:
    """How a sentence goes on where subjects are not in its analysis.

    Parameters
    ----------
    number : int
        How many.

    Returns
    -------
    str
        Empty for none.

    Examples
    --------
    >>> left_out(1), left_out(0)
    ('; 1 subject left out', '')
    """
    return f"; {counted(number, 'subject')} left out" if number else ""

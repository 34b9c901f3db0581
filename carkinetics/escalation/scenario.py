"""A scenario: what the DLT probabilities could truly be, to see what a design would do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from carkinetics.errors import ConfigError, did_you_mean
from carkinetics.escalation.design import Design
from carkinetics.escalation.tree import true_rates


@dataclass(frozen=True)
class Scenario:
    """True probabilities by dose.

    Parameters
    ----------
    truth : tuple of float
        DLT probability by dose, not falling.
    grade2 : tuple of float or None
        Probability of grade 2 in patients without a DLT, by dose, where a design counts grade 2.
    about : str
        What it stands for.
    """

    truth: tuple[float, ...]
    grade2: tuple[float, ...] | None = None
    about: str = ""


def scenarios_from(table: Any, design: Design, where: str) -> dict[str, Scenario]:
    """Scenarios as a trial's file has them, looked at against its design.

    Parameters
    ----------
    table : mapping
        A table per scenario, with ``truth``, and where they are given ``grade2`` and ``about``.
    design : Design
        Its doses, and whether grade 2 matters to it.
    where : str
        Place for messages.

    Returns
    -------
    dict of str to Scenario
        By name.

    Raises
    ------
    ConfigError
        If a name is unknown, or a probability makes no sense.
    """
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where}: [scenarios] is {table!r}; expected a table per scenario")
    return {str(name): _scenario(own, design, f"{where}: [scenarios.{name}]") for name, own in table.items()}


def _scenario(own: Any, design: Design, where: str) -> Scenario:
    if not isinstance(own, Mapping) or not isinstance(own.get("truth"), list):
        raise ConfigError(f"{where}: expected truth = [...], the DLT probability of each dose")
    for key in own:
        if key not in ("truth", "grade2", "about"):
            raise ConfigError(
                f"{where}: {key!r} is not known{did_you_mean(key, ('truth', 'grade2', 'about'))}"
            )
    grade2 = own.get("grade2")
    if grade2 is not None and not isinstance(grade2, list):
        raise ConfigError(f"{where}: grade2 is {grade2!r}; expected a list of probabilities")
    try:
        truth, second = true_rates(design, own["truth"], grade2)
    except ConfigError as problem:
        raise ConfigError(f"{where}: {problem}") from problem
    return Scenario(truth, second, str(own.get("about", "")))

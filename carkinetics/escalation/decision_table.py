"""The decision for every count of DLTs among every number of patients at a dose."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from carkinetics.errors import ConfigError
from carkinetics.escalation.arguments import whole
from carkinetics.escalation.cohort import Tally
from carkinetics.escalation.design import Design, layers
from carkinetics.escalation.interval import WORDS, IntervalDesign, Letter
from carkinetics.escalation.stops import Around
from carkinetics.escalation.three_plus_three import ThreePlusThree


def decision_table(design: Design, n_max: int | None = None) -> pd.DataFrame:
    """Decisions by the counts at the dose given last, as a protocol prints them.

    Parameters
    ----------
    design : Design
        One that decides from one dose: `Boin`, `Mtpi`, `Mtpi2`, `Keyboard`, `I3Plus3`, `ThreePlusThree`, also behind a
        titration or within rules for stopping and safety.
    n_max : int, optional
        The most patients; 12 if not given, 6 for 3+3.

    Returns
    -------
    pandas.DataFrame
        Index ``dlt`` 0, 1, …; columns ``n`` 1, 2, …; letters E, S, D and DU, empty where there are more DLTs than
        patients. ``attrs`` has the design's name, what the letters mean, and for designs for times to an event that the table
        holds where all outcomes are known.

    Raises
    ------
    ConfigError
        If the design looks at all doses at once.

    Notes
    -----
    For a dose in the middle, whose neighbours may be given: at the ends of the range and next to a dropped dose the
    decision is the nearest that is possible.

    Examples
    --------
    >>> from carkinetics.escalation.boin import Boin
    >>> decision_table(Boin(doses=5, target=0.30), n_max=6)[6].tolist()
    ['E', 'E', 'S', 'D', 'DU', 'DU', 'DU']
    """
    if not isinstance(design, Design):
        raise ConfigError(
            f"decision_table: design is {design!r}; expected a design such as Boin(doses=5, target=0.30)"
        )
    *rules, inner = layers(design)
    outer = [rule for rule in rules if isinstance(rule, Around)]
    if not isinstance(inner, (IntervalDesign, ThreePlusThree)):
        raise ConfigError(
            f"{inner.name} decides from the data of all doses, so that one dose's counts do not say what comes next; "
            "dose_paths(design, cohorts=) has the decisions for what may happen next"
        )
    most = whole(
        n_max if n_max is not None else 6 if isinstance(inner, ThreePlusThree) else 12,
        "n_max",
        "decision_table",
    )

    def letter(n: int, dlt: int) -> str:
        found = (
            inner.letter(n, dlt) if isinstance(inner, IntervalDesign) else _three_plus_three(inner, n, dlt)
        )
        for rule in reversed(outer):
            found = rule.letter_for(found, n, dlt)
        return found

    table = pd.DataFrame(
        {n: [letter(n, dlt) if dlt <= n else "" for dlt in range(most + 1)] for n in range(1, most + 1)}
    )
    table.index.name, table.columns.name = "dlt", "n"
    table.attrs = {"design": design.name, "letters": dict(WORDS)}
    if design.uses_waiting:
        table.attrs["note"] = (
            "for patients whose outcomes are all known; who is in the window changes the decision"
        )
    return table


def _three_plus_three(design: ThreePlusThree, n: int, dlt: int) -> Letter:
    """The decision at the second of three doses, after the first had no DLT."""
    tally = Tally((6, n, 0), (0, dlt, 0), (0, 0, 0), 2)
    decision = replace(design, doses=3, start=1).rule(tally)
    if 2 in decision.closed:
        return "DU"
    return "E" if decision.level > 2 else "S"

"""Designs that look at one dose: its DLT rate says up, stay or down; the trial's end selects by isotonic regression."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, override

import numpy as np
from scipy.optimize import isotonic_regression
from scipy.special import betainc

from carkinetics.escalation.arguments import dose_levels, number, whole
from carkinetics.escalation.cohort import Tally
from carkinetics.escalation.design import Decision, Design

# Escalate, stay, de-escalate, de-escalate and drop this dose and all above.
Letter = Literal["E", "S", "D", "DU"]
WORDS = {"E": "escalate", "S": "stay", "D": "de-escalate", "DU": "de-escalate and drop the dose"}


@dataclass(frozen=True)
class IntervalDesign(Design):
    """What designs share that decide from the counts at the dose given last.

    Parameters
    ----------
    doses : int or sequence of float
        How many there are, or their sizes in increasing order.
    target : float
        DLT probability that is sought.
    cohort_size : int
        Patients in a cohort.
    start : int
        Number of the first dose.
    """

    doses: Any  # a count or sizes on the way in, a tuple of sizes once it exists
    target: float = 0.30
    cohort_size: int = 3
    start: int = 1

    def __post_init__(self) -> None:
        own = type(self).__name__
        object.__setattr__(self, "doses", dose_levels(self.doses, own))
        number(self.target, "target", own, above=0, below=1)
        whole(self.cohort_size, "cohort_size", own)
        whole(self.start, "start", own, most=len(self.doses))

    @abstractmethod
    def letter(self, n: int, dlt: int) -> Letter:
        """What the counts at one dose say.

        Parameters
        ----------
        n, dlt : int
            Patients, above 0, and DLTs at the dose.

        Returns
        -------
        str
            ``"E"`` escalate, ``"S"`` stay, ``"D"`` de-escalate, ``"DU"`` de-escalate and drop the dose.
        """

    def letter_at(self, tally: Tally, level: int) -> Letter:
        """The letter of a dose of this trial."""
        return self.letter(*tally.at(level))

    @override
    def rule(self, tally: Tally) -> Decision:
        level = tally.current
        if not level:
            return self.treat(tally, self.start, self.cohort_size, "The first cohort")
        dropped = self.dropped(tally)
        closed = tuple(range(dropped, len(self.doses) + 1))
        if dropped == 1:
            return self.stop(0, f"The lowest dose is too toxic: {_share(tally, 1)}", closed=closed)
        if not tally.given[level - 1]:
            why = f"Nobody at {self.say(level)} has an outcome, all are replaced"
            return self.treat(tally, min(level, dropped - 1), self.cohort_size, why, closed=closed)
        letter = self.letter_at(tally, level)
        said = f"{_share(tally, level)} at {self.say(level)}: {WORDS[letter]}"
        wanted = level + (1 if letter == "E" else 0 if letter == "S" else -1)
        to = min(max(wanted, 1), len(self.doses), dropped - 1)
        if to != wanted:
            said += ", where that is the " + (
                "lowest dose" if wanted < 1 else "highest dose that may be given"
            )
        return self.treat(tally, to, self.cohort_size, said, closed=closed)

    def dropped(self, tally: Tally) -> int:
        """Number of the lowest dose that was dropped for its DLTs; one more than there are if none was."""
        for level, (n, dlt) in enumerate(zip(tally.n, tally.dlt, strict=True), start=1):
            if n and self.letter(n, dlt) == "DU":
                return level
        return len(self.doses) + 1

    @override
    def select(self, tally: Tally) -> Decision:
        dropped = self.dropped(tally)
        closed = tuple(range(dropped, len(self.doses) + 1))
        level, rates = closest_isotonic(tally.n[: dropped - 1], tally.dlt[: dropped - 1], self.target)
        if not level:
            why = (
                "every dose that was given is too toxic"
                if dropped <= len(self.doses)
                else "no dose was given"
            )
            return self.stop(0, why.capitalize(), closed=closed)
        n, dlt = tally.at(level)
        why = f"{dlt} of {n} with a DLT; isotonic rate {rates[level]:.2f}, closest to {self.target:g}"
        return self.stop(level, f"{self.say(level).capitalize()}: {why}", closed=closed)


def _share(tally: Tally, level: int) -> str:
    known, dlt = tally.at(level)
    waiting = tally.given[level - 1] - known
    return f"{dlt} of {known + waiting} with a DLT" + (f", {waiting} in their window," if waiting else "")


@lru_cache(maxsize=100_000)
def overdose_probability(n: int, dlt: int, target: float) -> float:
    """Posterior probability that the DLT probability is above the target, prior Beta(1, 1).

    Parameters
    ----------
    n, dlt : int
        Patients and DLTs at the dose.
    target : float
        DLT probability that is sought.

    Returns
    -------
    float
        That probability.

    Examples
    --------
    >>> round(overdose_probability(3, 2, 0.30), 4)
    0.9163
    """
    return float(1 - betainc(1 + dlt, 1 + n - dlt, target))


@lru_cache(maxsize=100_000)
def closest_isotonic(n: tuple[int, ...], dlt: tuple[int, ...], target: float) -> tuple[int, dict[int, float]]:
    """The dose whose DLT rate, made non-decreasing over doses, is closest to the target.

    Parameters
    ----------
    n, dlt : tuple of int
        Patients and DLTs by dose; doses without patients are left out.
    target : float
        DLT probability that is sought.

    Returns
    -------
    level : int
        Number of that dose from 1; 0 if nobody was treated. Between doses of one rate the highest is taken where that
        rate is at most the target, otherwise the lowest.
    rates : dict of int to float
        Isotonic rate by number of the dose.

    Notes
    -----
    Rates are (dlt + 0.05) / (n + 0.1), weighted by the inverse of their beta variance.

    References
    ----------
    .. [1] Liu S, Yuan Y. Bayesian optimal interval designs for phase I clinical trials. J R Stat Soc C
       2015;64:507-523.

    Examples
    --------
    >>> closest_isotonic((3, 6, 6, 0), (0, 1, 3, 0), 0.30)[0]
    2
    """
    given = [level for level, count in enumerate(n, start=1) if count]
    if not given:
        return 0, {}
    a = np.array([dlt[level - 1] + 0.05 for level in given])
    b = np.array([n[level - 1] - dlt[level - 1] + 0.05 for level in given])
    weights = (a + b) ** 2 * (a + b + 1) / (a * b)
    rates = isotonic_regression(a / (a + b), weights=weights).x
    away = np.abs(rates - target)
    tied = np.flatnonzero(np.isclose(away, away.min(), rtol=0, atol=1e-9))
    chosen = tied[rates[tied] <= target + 1e-12]
    at = chosen[-1] if len(chosen) else tied[0]
    return given[at], dict(zip(given, rates.tolist(), strict=True))

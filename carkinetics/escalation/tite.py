"""Designs that decide while patients are still in their DLT window, from how long each has been followed."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from typing import Any, override

from carkinetics.errors import DataError
from carkinetics.escalation.arguments import number
from carkinetics.escalation.boin import Boin
from carkinetics.escalation.cohort import Tally
from carkinetics.escalation.crm import Crm, CrmPosterior
from carkinetics.escalation.design import Decision, Design
from carkinetics.escalation.interval import Letter


def known_by_now(tally: Tally, window: float) -> Tally:
    """The tally, with those who passed the window without a DLT counted as known.

    Parameters
    ----------
    tally : Tally
        Counts, and days of those who wait.
    window : float
        Length of the DLT window in days.

    Returns
    -------
    Tally
        Those who still wait have fewer days than the window.

    Raises
    ------
    DataError
        If the days of somebody who waits are not given.
    """
    if not tally.waiting:
        return tally
    n, waiting = list(tally.n), []
    for level, days in tally.waiting:
        if isnan(days):
            raise DataError(
                f"a patient at dose number {level} is in the DLT window and the days followed are not given; expected "
                "follow_up=(days, …), one for each pending patient of a cohort"
            )
        if days >= window:
            n[level - 1] += 1
        else:
            waiting.append((level, days))
    return Tally(tuple(n), tally.dlt, tally.grade2, tally.current, tuple(waiting))


def _refuse_window(window: float, design: str) -> None:
    number(window, "window", design, above=0)


def _until_all_is_known(design: Design, tally: Tally) -> Decision:
    """At the end of a trial: the dose is selected when the last window has ended."""
    why = f"The dose is selected when the windows of {len(tally.waiting)} patients have ended"
    return design.wait(tally, why)


@dataclass(frozen=True)
class TiteCrm(Crm):
    """Time-to-event CRM: a patient in the window counts by the share of it that is over.

    Parameters
    ----------
    doses : int or sequence of float
        How many there are, or their sizes in increasing order.
    skeleton : sequence of float
        Prior guess of the DLT probability of each dose, increasing; see `skeleton_for`.
    target : float
        DLT probability that is sought.
    model : {"empiric", "logistic"}
        Shape of the curve, as for `Crm`.
    prior_sd : float
        Standard deviation of the normal prior of b.
    intercept : float
        Fixed intercept of the logistic model.
    cohort_size : int
        Patients in a cohort.
    start : int
        Number of the first dose.
    no_skip : bool
        Never more than one above the highest dose given so far.
    cutoff : float or None
        The trial stops without a dose where P(DLT probability of the lowest dose > target) is above this; None never.
    window : float
        Length of the DLT window in days.

    Raises
    ------
    ConfigError
        If a number makes no sense, as for `Crm`.

    Notes
    -----
    Who had a DLT counts with p, who passed the window without with 1 - p, who is in it with 1 - w p, where w is days
    followed over the window. At the end the dose is selected when all windows have ended.

    References
    ----------
    .. [1] Cheung YK, Chappell R. Sequential designs for phase I clinical trials with late-onset toxicities. Biometrics
       2000;56:1177-1182.

    Examples
    --------
    >>> from carkinetics.escalation.cohort import Cohort
    >>> design = TiteCrm(doses=3, skeleton=[0.1, 0.2, 0.35], target=0.2)
    >>> print(design.decide([Cohort(1, 3, 0, pending=2, follow_up=(14, 7))]))
    escalate: treat 3 at dose 2. Closest to 0.2 is dose 3 (0.20); no dose is skipped: dose 2 (0.08).
    """

    doses: Any
    window: float = 28.0
    uses_waiting = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_window(self.window, "TiteCrm")

    @property
    def name(self) -> str:
        """With its model and target."""
        return f"TITE-{super().name}"

    @override
    def select(self, tally: Tally) -> Decision:
        tally = known_by_now(tally, self.window)
        return _until_all_is_known(self, tally) if tally.waiting else super().select(tally)

    @override
    def within(self, tally: Tally, level: int, low: float, high: float) -> float:
        return super().within(known_by_now(tally, self.window), level, low, high)

    def _posterior(self, tally: Tally) -> CrmPosterior:
        return super()._posterior(known_by_now(tally, self.window))

    def _partly(self, tally: Tally) -> tuple[tuple[int, float], ...]:
        waiting = known_by_now(tally, self.window).waiting
        return tuple(sorted((level, days / self.window) for level, days in waiting))


@dataclass(frozen=True)
class TiteBoin(Boin):
    """Time-to-event BOIN: the DLT rate of a dose, with what is expected of those in the window.

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
    low, high : float, optional
        Probabilities that are too low and too high; 0.6 and 1.4 times the target if not given.
    cutoff : float
        A dose and all above are dropped where P(DLT probability > target) is above this, from 3 patients on.
    window : float
        Length of the DLT window in days.
    max_pending : float
        Nobody is treated while a larger share of the patients at the dose is in the window.

    Raises
    ------
    ConfigError
        If a number makes no sense.

    Notes
    -----
    Of n patients at the dose, x had a DLT and c are in the window; the standardized total follow-up time (STFT) is the sum
    of their days over the window. Each DLT to come is replaced by its expectation with uniform times: the rate is
    ``(x + p / (1 - p) (c - STFT)) / n`` with ``p = (x + target / 2) / (n - c + 1)``. It is compared with the boundaries of
    `Boin`; up only while x / n is below the target, down only from it on. Where x / n alone is above the upper boundary
    the trial goes down without waiting. To drop a dose, those in the window count as without a DLT.

    References
    ----------
    .. [1] Yuan Y, Lin R, Li D, Nie L, Warren KE. Time-to-event Bayesian optimal interval design to accelerate phase I
       trials. Clin Cancer Res 2018;24:4921-4930.

    Examples
    --------
    >>> from carkinetics.escalation.cohort import Cohort
    >>> design = TiteBoin(doses=3, target=0.20)
    >>> print(design.decide([Cohort(1, 9, 1, pending=4, follow_up=(10, 14, 16, 22))]))
    escalate: treat 3 at dose 2. 1 of 9 with a DLT, 4 in their window, at dose 1: escalate.
    """

    doses: Any
    window: float = 28.0
    max_pending: float = 0.5
    uses_waiting = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_window(self.window, "TiteBoin")
        number(self.max_pending, "max_pending", "TiteBoin", least=0, most=1)

    @property
    def name(self) -> str:
        """With its target."""
        return f"TITE-{super().name}"

    @override
    def rule(self, tally: Tally) -> Decision:
        tally = known_by_now(tally, self.window)
        level = tally.current
        if level and tally.given[level - 1] and level < self.dropped(tally):
            n, (known, dlt) = tally.given[level - 1], tally.at(level)
            if dlt / n < self.boundaries.deescalate and (n - known) / n > self.max_pending:
                why = f"{n - known} of {n} at {self.say(level)} are in their window, more than a share of {self.max_pending:g}"
                return self.wait(tally, why)
        return super().rule(tally)

    @override
    def letter_at(self, tally: Tally, level: int) -> Letter:
        n, (known, dlt) = tally.given[level - 1], tally.at(level)
        letter, pending = self.letter(n, dlt), n - known
        if not pending or letter in ("D", "DU"):  # those in the window can only raise the rate
            return letter
        followed = sum(days for at, days in tally.waiting if at == level) / self.window
        p = (dlt + self.target / 2) / (known + 1)
        rate = (dlt + p / (1 - p) * (pending - followed)) / n
        if dlt / n < self.target - 1e-12:
            return "E" if rate <= self.boundaries.escalate else "S"
        return "D" if rate >= self.boundaries.deescalate else "S"

    @override
    def dropped(self, tally: Tally) -> int:
        return super().dropped(Tally(tally.given, tally.dlt, tally.grade2, tally.current))

    @override
    def select(self, tally: Tally) -> Decision:
        tally = known_by_now(tally, self.window)
        return _until_all_is_known(self, tally) if tally.waiting else super().select(tally)

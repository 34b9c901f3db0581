"""Rules that end a trial, put round any design."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, override

from carkinetics.errors import ConfigError
from carkinetics.escalation.arguments import number, probabilities, whole
from carkinetics.escalation.cohort import Tally
from carkinetics.escalation.design import Decision, Design, in_order
from carkinetics.escalation.interval import Letter


@dataclass(frozen=True)
class Around(Design):
    """A design with a rule round it; all but that rule is the inner design's.

    Parameters
    ----------
    design : Design
        The inner design.
    """

    design: Design
    place = 1

    def __post_init__(self) -> None:
        if not isinstance(self.design, Design):
            raise ConfigError(f"{type(self).__name__} goes round a design; found {self.design!r}")

    @cached_property
    def _ordered(self) -> Design:
        return in_order(self)

    @property
    def doses(self) -> tuple[float, ...]:  # type: ignore[override]
        """Those of the inner design."""
        return self.design.doses

    @property
    def cohort_size(self) -> int:  # type: ignore[override]
        """That of the inner design."""
        return self.design.cohort_size

    @property
    def uses_waiting(self) -> bool:  # type: ignore[override]
        """Whether the inner design does."""
        return self.design.uses_waiting

    @property
    def name(self) -> str:
        """That of the inner design."""
        return self.design.name

    @property
    def ends(self) -> bool:
        """Whether the inner design does."""
        return self.design.ends

    @property
    def uses_grade2(self) -> bool:
        """Whether the inner design does."""
        return self.design.uses_grade2

    @override
    def sees_grade2(self, tally: Tally) -> bool:
        return self.design.sees_grade2(tally)

    @override
    def stage(self, tally: Tally) -> str:
        return self.design.stage(tally)

    @property
    def target(self) -> float:
        """That of the inner design; it has none if that has none."""
        return float(self.design.target)  # type: ignore[attr-defined]

    @property
    def stagger_days(self) -> float:  # type: ignore[override]
        """Those of the inner design."""
        return self.design.stagger_days

    @override
    def within(self, tally: Tally, level: int, low: float, high: float) -> float:
        return self.design.within(tally, level, low, high)

    def letter_for(self, letter: Letter, n: int, dlt: int) -> Letter:
        """What this rule makes of the inner design's letter in a decision table."""
        return letter

    def at_most(self, decision: Decision, tally: Tally, level: int, why: str) -> Decision:
        """The decision, with no dose above ``level``; ``why`` follows its reason where that changes it.

        Where the trial stops, the highest dose up to ``level`` that was given is selected instead, 0 if none was.
        """
        if decision.action == "stop":
            if not decision.mtd_level or decision.mtd_level <= level:
                return decision
            given = [at for at, count in enumerate(tally.given[:level], start=1) if count]
            return self.stop(
                given[-1] if given else 0,
                f"{decision.reason}; {why}",
                closed=decision.closed,
                notes=decision.notes,
            )
        if decision.action == "wait" or decision.level <= level:
            return decision
        return self.treat(
            tally,
            level,
            decision.n,
            f"{decision.reason}; {why}",
            closed=decision.closed,
            notes=decision.notes,
        )

    @override
    def select(self, tally: Tally) -> Decision:
        return self.design.select(tally)

    @override
    def rule(self, tally: Tally) -> Decision:
        if self._ordered is not self:
            return self._ordered.rule(tally)
        return self.then(self.design.rule(tally), tally)

    def then(self, decision: Decision, tally: Tally) -> Decision:
        """What this rule makes of the inner design's decision."""
        return decision


class Stop(Around):
    """Rules that end a trial and change no dose: wherever they are written, they speak last."""

    place = 2


@dataclass(frozen=True)
class StopAfter(Stop):
    """End the trial at a number of patients.

    Parameters
    ----------
    design : Design
        The inner design.
    n : int
        The most patients; the last cohort is cut to fit.

    Raises
    ------
    ConfigError
        If ``n`` makes no sense.

    Examples
    --------
    >>> from carkinetics.escalation.boin import Boin
    >>> print(StopAfter(Boin(doses=3, target=0.30), n=6).decide([(1, 3, 0), (2, 3, 1)]))
    stop; MTD 2. 6 patients are treated, the most there may be. Dose 2: 1 of 3 with a DLT; isotonic rate 0.34, closest to 0.3.
    """

    n: int = 30

    def __post_init__(self) -> None:
        super().__post_init__()
        whole(self.n, "n", "StopAfter")

    @property
    def ends(self) -> bool:
        """Always."""
        return True

    @override
    def then(self, decision: Decision, tally: Tally) -> Decision:
        left = self.n - tally.treated
        if decision.action == "stop":
            return decision
        if left <= 0:
            end = self.design.select(tally)
            return replace(
                end, reason=f"{tally.treated} patients are treated, the most there may be. {end.reason}"
            )
        return replace(decision, n=min(decision.n, left))


@dataclass(frozen=True)
class StopAtDose(Stop):
    """End the trial when the dose to be given next has had enough patients.

    Parameters
    ----------
    design : Design
        The inner design.
    n : int
        How many are enough, those in their window included.

    Raises
    ------
    ConfigError
        If ``n`` makes no sense.

    Examples
    --------
    >>> from carkinetics.escalation.boin import Boin
    >>> print(StopAtDose(Boin(doses=3, target=0.30), n=6).decide([(1, 3, 0), (2, 6, 2)]).reason)
    Dose 2, to be given next, has had 6 patients. Dose 2: 2 of 6 with a DLT; isotonic rate 0.34, closest to 0.3
    """

    n: int = 9

    def __post_init__(self) -> None:
        super().__post_init__()
        whole(self.n, "n", "StopAtDose")

    @property
    def ends(self) -> bool:
        """Always: there are only so many doses to fill."""
        return True

    @override
    def then(self, decision: Decision, tally: Tally) -> Decision:
        if decision.action in ("stop", "wait") or tally.given[decision.level - 1] < self.n:
            return decision
        end = self.design.select(tally)
        had = tally.given[decision.level - 1]
        why = f"{self.say(decision.level).capitalize()}, to be given next, has had {had} patients"
        return replace(end, reason=f"{why}. {end.reason}")


@dataclass(frozen=True)
class StopForPrecision(Stop):
    """End the trial when the dose to be given next is at the target with enough probability.

    Parameters
    ----------
    design : Design
        The inner design; its model says how probable, that of a design without one the dose's own patients (prior Beta(1, 1)).
    interval : (float, float)
        DLT probabilities that count as the target.
    probability : float
        Posterior probability of that interval that is enough.
    least : int
        Patients with a known outcome that the dose needs.

    Raises
    ------
    ConfigError
        If a number makes no sense.

    Notes
    -----
    Called stopping by target probability in [1]_; the defaults of 0.5 and 6 patients are ours.

    References
    ----------
    .. [1] Sabanés Bové D, et al. Model-based dose escalation designs in R with crmPack. J Stat Softw 2019;89(10):1-22.
    """

    interval: Any = (0.16, 0.33)
    probability: float = 0.5
    least: int = 6

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "interval", probabilities(self.interval, "interval", "StopForPrecision", 2))
        if not self.interval[0] < self.interval[1]:
            raise ConfigError(
                f"StopForPrecision: interval is {self.interval}; expected (low, high), low below high"
            )
        number(self.probability, "probability", "StopForPrecision", least=0, most=1)
        whole(self.least, "least", "StopForPrecision")

    @override
    def then(self, decision: Decision, tally: Tally) -> Decision:
        if decision.action in ("stop", "wait") or tally.n[decision.level - 1] < self.least:
            return decision
        low, high = self.interval
        found = self.design.within(tally, decision.level, low, high)
        if found < self.probability:
            return decision
        end = self.design.select(tally)
        why = f"The DLT probability of {self.say(decision.level)} is from {low:g} to {high:g} with probability {found:.2f}"
        return replace(end, reason=f"{why}. {end.reason}")

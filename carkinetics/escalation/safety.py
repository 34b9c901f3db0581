"""Rules of caution, put round any design: no dose is skipped, none is too toxic, nobody is hurried."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, override

from carkinetics.errors import ConfigError, did_you_mean
from carkinetics.escalation.arguments import number, whole
from carkinetics.escalation.cohort import Tally
from carkinetics.escalation.design import Decision, Design, layers
from carkinetics.escalation.interval import Letter, overdose_probability
from carkinetics.escalation.stops import Around
from carkinetics.escalation.three_plus_three import ThreePlusThree


@dataclass(frozen=True)
class EliminateOverdose(Around):
    """Drop a dose and all above where its own patients say that it is too toxic, for designs without such a rule.

    Parameters
    ----------
    design : Design
        The inner design.
    target : float
        DLT probability that is sought.
    cutoff : float
        A dose is dropped where P(DLT probability > target) is above this, prior Beta(1, 1).
    least : int
        Patients at a dose from whom on it can be dropped.

    Raises
    ------
    ConfigError
        If a number makes no sense.

    Notes
    -----
    The rule of the interval designs. Patients in their window count as without a DLT so far. Where the lowest dose is
    dropped the trial stops without a dose.

    References
    ----------
    .. [1] Liu S, Yuan Y. Bayesian optimal interval designs for phase I clinical trials. J R Stat Soc C
       2015;64:507-523.
    """

    target: float = 0.30
    cutoff: float = 0.95
    least: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        number(self.target, "target", "EliminateOverdose", above=0, below=1)
        number(self.cutoff, "cutoff", "EliminateOverdose", least=0, most=1)
        whole(self.least, "least", "EliminateOverdose")

    @override
    def then(self, decision: Decision, tally: Tally) -> Decision:
        return self._without_overdoses(decision, tally)

    @override
    def select(self, tally: Tally) -> Decision:
        return self._without_overdoses(self.design.select(tally), tally)

    @override
    def letter_for(self, letter: Letter, n: int, dlt: int) -> Letter:
        return "DU" if self._too_toxic(n, dlt) else letter

    def _too_toxic(self, n: int, dlt: int) -> bool:
        return n >= self.least and overdose_probability(n, dlt, self.target) > self.cutoff

    def _without_overdoses(self, decision: Decision, tally: Tally) -> Decision:
        every = range(1, len(self.doses) + 1)
        dropped = next((at for at in every if self._too_toxic(tally.given[at - 1], tally.dlt[at - 1])), None)
        if dropped is None:
            return decision
        closed = tuple(sorted({*decision.closed, *range(dropped, len(self.doses) + 1)}))
        n, dlt = tally.given[dropped - 1], tally.dlt[dropped - 1]
        why = f"{self.say(dropped)} is dropped as too toxic, {dlt} of {n} with a DLT"
        if dropped == 1:
            return self.stop(0, f"The lowest dose: {why}", closed=closed)
        return replace(self.at_most(decision, tally, dropped - 1, why), closed=closed)


@dataclass(frozen=True)
class NoSkipping(Around):
    """Never more than one above the highest dose given so far.

    Parameters
    ----------
    design : Design
        The inner design.
    """

    @override
    def then(self, decision: Decision, tally: Tally) -> Decision:
        if not tally.highest or decision.action == "stop":
            return decision
        return self.at_most(decision, tally, tally.highest + 1, "no dose is skipped")


@dataclass(frozen=True)
class MaxDose(Around):
    """A cap: no dose above a certain one.

    Parameters
    ----------
    design : Design
        The inner design.
    level : int
        Number of the highest dose that may be given or selected.

    Raises
    ------
    ConfigError
        If there is no such dose.

    Notes
    -----
    A 3+3 ends at its top dose, and the cap is that dose for it.
    """

    level: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        whole(self.level, "level", "MaxDose", most=len(self.doses))

    @override
    def rule(self, tally: Tally) -> Decision:
        if self._ordered is not self or self._lowered is None:
            return super().rule(tally)
        waiting = tuple(one for one in tally.waiting if one[0] <= self.level)
        n, dlt, grade2 = (counts[: self.level] for counts in (tally.n, tally.dlt, tally.grade2))
        end = self._lowered.rule(Tally(n, dlt, grade2, min(tally.current, self.level), waiting))
        if end.action in ("stop", "wait"):
            return replace(end, reason=end.reason.replace("the top dose", "the cap"))
        return self.treat(tally, end.level, end.n, end.reason, closed=end.closed, notes=end.notes)

    @cached_property
    def _lowered(self) -> Design | None:
        """A 3+3 with the cap as its top dose: without, it would treat there again and again."""
        return _with_top(self.design, self.level) if isinstance(layers(self)[-1], ThreePlusThree) else None

    @override
    def then(self, decision: Decision, tally: Tally) -> Decision:
        return self.at_most(decision, tally, self.level, f"{self.say(self.level)} is the cap")

    @override
    def select(self, tally: Tally) -> Decision:
        return self.then(self.design.select(tally), tally)


def _with_top(design: Design, level: int) -> Design:
    """The design, and all that is inside, with fewer doses."""
    if isinstance(design, ThreePlusThree):
        return replace(design, doses=design.doses[:level])
    more = {
        name: min(getattr(design, name, None) or level, level)
        for name in ("last", "level")
        if hasattr(design, name)
    }
    return replace(design, design=_with_top(design.design, level), **more)  # type: ignore[type-var, attr-defined]


@dataclass(frozen=True)
class Staggered(Around):
    """Days that must pass between two patients; it changes no decision and lengthens the trial.

    Parameters
    ----------
    design : Design
        The inner design.
    days : float
        From one infusion to the next, at least.

    Raises
    ------
    ConfigError
        If ``days`` is no number from 0 on.
    """

    days: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        number(self.days, "days", "Staggered", least=0)

    @property
    def stagger_days(self) -> float:  # type: ignore[override]
        """The longer of this and what the inner design asks for."""
        return max(self.days, self.design.stagger_days)


@dataclass(frozen=True)
class WaitForWindow(Around):
    """No escalation while anybody is in the DLT window.

    Parameters
    ----------
    design : Design
        The inner design. It matters for designs for times to an event (`TiteCrm`, `TiteBoin`); others wait anyway.
    instead : {"wait", "stay"}
        Treat nobody until the windows end, or treat on at the dose given last.

    Raises
    ------
    ConfigError
        If ``instead`` is something else.
    """

    instead: Literal["wait", "stay"] = "wait"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.instead, str) or self.instead not in ("wait", "stay"):
            raise ConfigError(
                f"WaitForWindow: instead is {self.instead!r}{did_you_mean(str(self.instead), ('wait', 'stay'))}"
            )

    @override
    def then(self, decision: Decision, tally: Tally) -> Decision:
        if decision.action != "escalate" or not tally.waiting:
            return decision
        why = f"{decision.reason}; no escalation while {len(tally.waiting)} are in their DLT window"
        if self.instead == "wait":
            return self.wait(tally, why, closed=decision.closed, notes=decision.notes)
        return self.treat(tally, tally.current, decision.n, why, closed=decision.closed, notes=decision.notes)

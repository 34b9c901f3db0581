"""Rules that end a trial, put round any design."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import override

from carkinetics.errors import ConfigError
from carkinetics.trial.cohort import Tally
from carkinetics.trial.design import Decision, Design, whole
from carkinetics.trial.interval import Letter


@dataclass(frozen=True)
class Around(Design):
    """A design with a rule round it; all but that rule is the inner design's.

    Parameters
    ----------
    design : Design
        The inner design.
    """

    design: Design

    def __post_init__(self) -> None:
        if not isinstance(self.design, Design):
            raise ConfigError(f"{type(self).__name__} goes round a design; found {self.design!r}")

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
    def stagger_days(self) -> float:  # type: ignore[override]
        """Those of the inner design."""
        return self.design.stagger_days

    @override
    def within(self, tally: Tally, level: int, low: float, high: float) -> float:
        return self.design.within(tally, level, low, high)

    def letter_for(self, letter: Letter, n: int, dlt: int) -> Letter:
        """What this rule makes of the inner design's letter in a decision table."""
        return letter

    @override
    def select(self, tally: Tally) -> Decision:
        return self.design.select(tally)

    @override
    def rule(self, tally: Tally) -> Decision:
        return self.design.rule(tally)


@dataclass(frozen=True)
class StopAfter(Around):
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
    >>> from carkinetics.trial.boin import Boin
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
    def rule(self, tally: Tally) -> Decision:
        decision = self.design.rule(tally)
        left = self.n - tally.treated
        if decision.action == "stop":
            return decision
        if left <= 0:
            end = self.design.select(tally)
            return replace(
                end, reason=f"{tally.treated} patients are treated, the most there may be. {end.reason}"
            )
        return replace(decision, n=min(decision.n, left))

"""Accelerated titration: one patient a dose until the first sign of toxicity, then another rule."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import override

from carkinetics.errors import ConfigError
from carkinetics.escalation.arguments import whole
from carkinetics.escalation.cohort import Tally
from carkinetics.escalation.design import Decision, Design, in_order, layers


@dataclass(frozen=True)
class AcceleratedTitration(Design):
    """One patient a dose, until a trigger; then the dose is filled to a cohort and the design behind goes on.

    Parameters
    ----------
    design : Design
        The rule that goes on.
    grade2_trigger : int or None
        The stage ends at this many patients with grade 2 and no DLT, over all doses (2 in [1]_); None: grade 2 does not
        count.
    dlt_trigger : int
        The stage ends at this many DLTs, over all doses.
    last : int or None
        Number of the last dose of the stage; None for the top one.

    Raises
    ------
    ConfigError
        If a number makes no sense, or a titration is put in front of a titration.

    Notes
    -----
    The single patient counts in the cohort that its dose is filled to. When the stage reaches its last dose, that is
    filled as well. With a rule that selects a dose without filling it (3+3, variant A), a dose with one patient can be
    declared the MTD: decisions and operating characteristics say so. Rules round the design behind (`StopAfter`, `MaxDose`,
    ...) hold for the stage too; the design itself is asked after it.

    References
    ----------
    .. [1] Simon R, et al. Accelerated titration designs for phase I clinical trials in oncology. J Natl Cancer Inst
       1997;89:1138-1147.

    Examples
    --------
    >>> from carkinetics.escalation.three_plus_three import ThreePlusThree
    >>> design = AcceleratedTitration(ThreePlusThree(doses=5, variant="B"), grade2_trigger=2)
    >>> print(design.decide([(1, 1, 0, 0), (2, 1, 0, 1)]))
    escalate: treat 1 at dose 3. Titration: no DLT, 1 of 2 grade 2.
    """

    design: Design
    grade2_trigger: int | None = 2
    dlt_trigger: int = 1
    last: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.design, Design) or any(
            isinstance(inner, AcceleratedTitration) for inner in layers(self.design)
        ):
            raise ConfigError(f"AcceleratedTitration goes in front of another design; found {self.design!r}")
        if self.grade2_trigger is not None:
            whole(self.grade2_trigger, "grade2_trigger", "AcceleratedTitration")
        whole(self.dlt_trigger, "dlt_trigger", "AcceleratedTitration")
        if self.last is not None:
            whole(self.last, "last", "AcceleratedTitration", most=len(self.design.doses))

    @property
    def doses(self) -> tuple[float, ...]:  # type: ignore[override]
        """Those of the design behind."""
        return self.design.doses

    @property
    def cohort_size(self) -> int:  # type: ignore[override]
        """That of the design behind."""
        return self.design.cohort_size

    @property
    def uses_waiting(self) -> bool:  # type: ignore[override]
        """Whether the design behind does."""
        return self.design.uses_waiting

    @property
    def target(self) -> float:
        """That of the design behind; it has none if that has none."""
        return float(self.design.target)  # type: ignore[attr-defined]

    @property
    def stagger_days(self) -> float:  # type: ignore[override]
        """Those of the design behind."""
        return self.design.stagger_days

    @property
    def name(self) -> str:
        """With what goes on."""
        return f"titration, then {self.design.name}"

    @property
    def ends(self) -> bool:
        """Whether the design behind does."""
        return self.design.ends

    @property
    def uses_grade2(self) -> bool:
        """Whether grade 2 is a trigger."""
        return self.grade2_trigger is not None

    @override
    def sees_grade2(self, tally: Tally) -> bool:
        return self.uses_grade2 and self._going_on(tally)

    @override
    def stage(self, tally: Tally) -> str:
        return "titration" if not tally.current or self._going_on(tally) else "escalation"

    @override
    def select(self, tally: Tally) -> Decision:
        return self.design.select(tally)

    @override
    def within(self, tally: Tally, level: int, low: float, high: float) -> float:
        return self.design.within(tally, level, low, high)

    @cached_property
    def _ordered(self) -> Design:
        return in_order(self)

    @override
    def rule(self, tally: Tally) -> Decision:
        if self._ordered is not self:
            return self._ordered.rule(tally)
        if not tally.current:
            return replace(self.design.rule(tally), n=1, reason="Titration: the first patient")
        level = tally.current
        if self._going_on(tally):
            if (
                tally.waiting
            ):  # one patient is not enough to go up on before its window ends, whatever is behind
                return self.wait(
                    tally, f"Titration: the patient at {self.say(tally.waiting[-1][0])} is in the DLT window"
                )
            counted = f", {sum(tally.grade2)} of {self.grade2_trigger} grade 2" if self.uses_grade2 else ""
            dlts = "no DLT" if self.dlt_trigger == 1 else f"{sum(tally.dlt)} of {self.dlt_trigger} DLTs"
            return self.treat(tally, level + 1, 1, f"Titration: {dlts}{counted}")
        more = self.cohort_size - tally.given[level - 1]
        if max(tally.given) <= 1 and more > 0:
            why = f"{self._trigger(tally)}: {self.say(level)} is filled to {self.cohort_size}"
            return self.treat(tally, level, more, why)
        return self.design.rule(tally)

    def _going_on(self, tally: Tally) -> bool:
        """No trigger so far, one patient at most at each dose, and doses left."""
        triggered = sum(tally.dlt) >= self.dlt_trigger or (
            self.grade2_trigger is not None and sum(tally.grade2) >= self.grade2_trigger
        )
        return not triggered and max(tally.given) <= 1 and tally.current < (self.last or len(self.doses))

    def _trigger(self, tally: Tally) -> str:
        if sum(tally.dlt) >= self.dlt_trigger:
            return (
                f"DLT {self.dlt_trigger} ends the titration"
                if self.dlt_trigger > 1
                else "The first DLT ends the titration"
            )
        if self.grade2_trigger is not None and sum(tally.grade2) >= self.grade2_trigger:
            return f"Grade 2 number {self.grade2_trigger} ends the titration"
        return "The titration has reached its last dose"

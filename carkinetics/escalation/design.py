"""A dose-escalation design is a pure rule: what happened so far goes in, a decision and its reason come out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Any, Literal

import numpy as np
from scipy.special import betainc

from carkinetics.errors import ConfigError, DataError
from carkinetics.escalation.cohort import Cohorts, Tally, dose_text, tally_of

MOST_OUTCOMES = 20_000  # of patients in their window, that are all looked at
Action = Literal["start", "escalate", "stay", "de-escalate", "wait", "stop"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do next, and why.

    Parameters
    ----------
    action : str
        ``"start"``, ``"escalate"``, ``"stay"``, ``"de-escalate"``, ``"wait"`` (treat nobody until more is known of those
        in their window) or ``"stop"``.
    dose : float or None
        The next dose, by number or by size as the design was given them; None where the trial stops. While it waits, the
        dose where it stands.
    level : int
        Its number from 1; 0 where the trial stops.
    n : int
        Patients to treat next; 0 while the trial waits and where it stops.
    reason : str
        One sentence.
    mtd : float or None
        Where the trial stops, the dose it selects; 0 for none.
    mtd_level : int or None
        Its number; 0 for none.
    closed : tuple of int
        Numbers of doses that are not to be given again.
    notes : tuple of str
        What a reader should know of this decision.
    """

    action: Action
    dose: float | None
    level: int
    n: int
    reason: str
    mtd: float | None = None
    mtd_level: int | None = None
    closed: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The decision as one would say it."""
        if self.action == "stop":
            what = f"stop; MTD {dose_text(self.mtd)}" if self.mtd else "stop; no dose is selected"
        elif self.action == "wait" or self.dose is None:
            what = "wait: treat nobody until more is known"
        else:
            what = f"{self.action}: treat {self.n} at dose {dose_text(self.dose)}"
        return " ".join([f"{what}. {self.reason}.", *self.notes])


class Design(ABC):
    """What all designs share; each brings its own `rule`.

    Attributes
    ----------
    doses : tuple of float
        Numbers from 1, or sizes in increasing order.
    cohort_size : int
        Patients in a cohort.
    """

    doses: tuple[float, ...]
    cohort_size: int
    # Whether patients still in their window speak (designs for times to an event) or must be waited for.
    uses_waiting: bool = False
    # Days between two patients, for the clock of a trial; it changes no decision.
    stagger_days: float = 0.0
    # Where a rule round a design speaks, whatever the order it was written in: the higher, the later (see `in_order`).
    place: int = 0

    @property
    @abstractmethod
    def name(self) -> str:
        """What the rule is called in a table."""

    @abstractmethod
    def rule(self, tally: Tally) -> Decision:
        """The decision for given counts.

        Parameters
        ----------
        tally : Tally
            Counts of patients whose outcome is known, unless the design uses those who are waiting.

        Returns
        -------
        Decision
            What to do next, and why.
        """

    def sees_grade2(self, tally: Tally) -> bool:
        """Whether grade 2 of the patients to come can matter.

        Parameters
        ----------
        tally : Tally
            Counts so far.

        Returns
        -------
        bool
            Whether it can.
        """
        return False

    @property
    def uses_grade2(self) -> bool:
        """Whether grade 2 can ever matter."""
        return False

    @property
    def ends(self) -> bool:
        """Whether the rule itself ends every trial."""
        return False

    def select(self, tally: Tally) -> Decision:
        """The end of a trial that is stopped from outside: the dose that would be selected.

        Parameters
        ----------
        tally : Tally
            Counts at the end.

        Returns
        -------
        Decision
            A stop.

        Raises
        ------
        ConfigError
            If the design selects by its own rule only.
        """
        raise ConfigError(
            f"{self.name} selects a dose by its own rule only; it cannot be stopped at {tally.treated}"
        )

    def stage(self, tally: Tally) -> str:
        """Which part of the design decides.

        Parameters
        ----------
        tally : Tally
            Counts so far.

        Returns
        -------
        str
            ``"escalation"``, or ``"titration"`` while one patient at a time is treated.
        """
        return "escalation"

    def within(self, tally: Tally, level: int, low: float, high: float) -> float:
        """Posterior probability that the DLT probability of a dose is between two values.

        Here from the patients of that dose alone, prior Beta(1, 1); a design with a model uses it.
        """
        n, dlt = tally.at(level)
        below, above = betainc(1 + dlt, 1 + n - dlt, (low, high))
        return float(above - below)

    def decide(self, cohorts: Cohorts = ()) -> Decision:
        """Decide on the next cohort.

        Parameters
        ----------
        cohorts : iterable of Cohort, tuple or mapping, or DataFrame
            What happened so far, in the order of treatment; a tuple is ``(dose, n, dlt)`` and may go on as
            `Cohort` does. Cohorts at one dose are added up; the last one is where the trial stands.

        Returns
        -------
        Decision
            What to do next, and why.

        Raises
        ------
        DataError
            If a dose or a count cannot be, or patients are still in their window whose outcomes matter.
        """
        tally = tally_of(cohorts, self.doses)
        if tally.waiting and not self.uses_waiting:
            return self._before_the_window_ends(tally)
        return self.rule(tally)

    def _before_the_window_ends(self, tally: Tally) -> Decision:
        """The decision, if all possible outcomes of those who are waiting lead to the same."""
        waiting = [sum(1 for level, _ in tally.waiting if level == i + 1) for i in range(len(self.doses))]
        found = {}
        for known in self._outcomes(tally, waiting):
            decision = self.rule(known)
            found[decision.action, decision.level, decision.n, decision.mtd_level] = decision
            if len(found) > 3:
                break
        who = ", ".join(f"{count} at {self.say(i + 1)}" for i, count in enumerate(waiting) if count)
        if len(found) > 1:
            could = ", or ".join(dict.fromkeys(_short(decision) for decision in found.values()))
            raise DataError(
                f"still in their DLT window: {who}; by their outcomes the decision would be "
                f"{could}. Wait for the window to end, or declare a design for times to an event (TiteCrm, TiteBoin)"
            )
        decision = next(iter(found.values()))
        note = f"{who} are still in their DLT window; whatever their outcomes, the decision is the same."
        return replace(decision, notes=(*decision.notes, note))

    def _outcomes(self, tally: Tally, waiting: list[int]) -> Iterable[Tally]:
        """Everything that those who are waiting can come to: DLTs, and grade 2 where it can matter."""
        n = tuple(np.add(tally.n, waiting).tolist())
        sees = self.sees_grade2(tally)
        each = [[(x, g) for x in range(k + 1) for g in range((k - x if sees else 0) + 1)] for k in waiting]
        if prod(map(len, each)) > MOST_OUTCOMES:
            raise DataError(
                f"{sum(waiting)} patients are still in their DLT window, too many to look at every outcome; wait for the window "
                "to end, or declare a design for times to an event (TiteCrm, TiteBoin)"
            )
        for more in product(*each):
            toxic, second = zip(*more, strict=True)
            dlt = tuple(np.add(tally.dlt, toxic).tolist())
            grade2 = tuple(np.add(tally.grade2, second).tolist())
            yield Tally(n, dlt, grade2, tally.current)

    def treat(self, tally: Tally, level: int, n: int, reason: str, **more: Any) -> Decision:
        """The decision to treat ``n`` patients at a dose."""
        now = tally.current
        action: Action = (
            "start" if not now else "escalate" if level > now else "de-escalate" if level < now else "stay"
        )
        return Decision(action, self.doses[level - 1], level, n, reason, **more)

    def stop(self, level: int, reason: str, **more: Any) -> Decision:
        """The decision to stop, with the number of the dose selected, 0 for none."""
        return Decision("stop", None, 0, 0, reason, self.doses[level - 1] if level else 0, level, **more)

    def wait(self, tally: Tally, reason: str, **more: Any) -> Decision:
        """The decision to treat nobody until more is known of those in their window."""
        return Decision("wait", self.doses[tally.current - 1], tally.current, 0, reason, **more)

    def say(self, level: int) -> str:
        """A dose in a sentence."""
        return f"dose {dose_text(self.doses[level - 1])}"


def layers(design: Design) -> list[Design]:
    """A design and what is inside it, from the outside.

    Parameters
    ----------
    design : Design
        Any.

    Returns
    -------
    list of Design
        The last one is the design that the others stand round or in front of.
    """
    inner = getattr(design, "design", None)
    return [design, *(layers(inner) if isinstance(inner, Design) else ())]


def in_order(design: Design) -> Design:
    """The same rules, a titration inside rules of caution inside rules that stop.

    A cap has to hold for the doses of a titration too, and a rule that stops at the dose to be given next has to know which
    dose that is after all.

    Parameters
    ----------
    design : Design
        With rules round it.

    Returns
    -------
    Design
        Itself where it is in order.
    """
    *outer, made = layers(design)
    ordered = sorted(outer, key=lambda rule: -rule.place)  # stable
    if ordered == outer:
        return design
    for rule in reversed(ordered):
        made = replace(rule, design=made)  # type: ignore[type-var]
    return made


def _short(decision: Decision) -> str:
    where = f" ({dose_text(decision.dose)})" if decision.dose else ""
    return f"to {decision.action}{where}"

"""Escalation and expansion on a clock: who is treated when, at which dose, and what the design saw."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from carkinetics.errors import ConfigError
from carkinetics.escalation.cohort import Tally
from carkinetics.escalation.design import Decision, Design
from carkinetics.trial.plan import DAYS_PER_MONTH, TrialPlan

Floats = NDArray[np.float64]
# Toxicity of patients (trial, patient) at a dose: arrays by name, at least dlt, dlt_day, grade2 and
# counted, the number of the dose at which the patient counts.
Outcome = Callable[[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]], Mapping[str, NDArray]]
NOT_TREATED, ESCALATION, TITRATION, EXPANSION = 0, 1, 2, 3


@dataclass(frozen=True)
class Step:
    """One decision of a trial.

    Parameters
    ----------
    day : float
        Days since the trial opened.
    tally : Tally
        What the design saw.
    decision : Decision
        What it decided.
    patients : tuple of int
        Positions of those who were treated next.
    """

    day: float
    tally: Tally
    decision: Decision
    patients: tuple[int, ...] = ()


@dataclass(frozen=True)
class Escalations:
    """Trials side by side: arrays of shape (n_trials, n_patients).

    Parameters
    ----------
    level : ndarray of int
        Number of the dose given; 0 for patients who were never treated.
    phase : ndarray of int
        0 not treated, 1 escalation, 2 titration, 3 expansion.
    infused : ndarray
        Day of the infusion since the trial opened.
    counted : ndarray of int
        Number of the dose at which the design counts the patient; 0 for who does not count at any.
    evaluable : ndarray of bool
        Had a DLT or was followed to the end of the window.
    toxicity : dict of str to ndarray
        What `Toxicity.of` gives.
    selected : ndarray of int, shape (n_trials,)
        Number of the selected dose; 0 for none.
    ended : ndarray, shape (n_trials,)
        Day on which the escalation ended.
    steps : tuple of tuple of Step
        All decisions, by trial.
    """

    level: NDArray[np.intp]
    phase: NDArray[np.intp]
    infused: Floats
    counted: NDArray[np.intp]
    evaluable: NDArray[np.bool_]
    toxicity: dict[str, NDArray]
    selected: NDArray[np.intp]
    ended: Floats
    steps: tuple[tuple[Step, ...], ...]


class _Book:
    """One trial while it runs."""

    def __init__(self, plan: TrialPlan, gaps: Floats, leaves: Floats) -> None:
        self.plan, self.gaps, self.leaves = plan, gaps, leaves
        self.design = plan.ended_design
        self.stagger = max(plan.conduct.stagger, self.design.stagger_days)
        self.next = 0  # the patient who comes next
        n = len(gaps)
        self.level, self.phase, self.counted = (np.zeros(n, dtype=int) for _ in range(3))
        self.infused, self.known = np.full(n, np.nan), np.full(n, np.nan)
        self.dlt, self.grade2, self.evaluable = (np.zeros(n, dtype=bool) for _ in range(3))
        self.steps: list[Step] = []
        self.selected = -1

    def tally(self, day: float) -> Tally:
        """What is known on a day."""
        tally = Tally.empty(len(self.design.doses))
        waiting, current = [], 0
        for i in range(self.next):
            level, known = int(self.counted[i]), self.known[i] <= day + 1e-9
            if not level or (known and not self.evaluable[i]):
                continue  # replaced
            if level == self.level[i]:  # a product with too few cells does not move the trial
                current = level
            if known:
                tally = tally.after(level, 1, int(self.dlt[i]), int(self.grade2[i]))
            else:
                waiting.append((level, day - self.infused[i]))
        return Tally(tally.n, tally.dlt, tally.grade2, current, tuple(waiting))

    def decide(self, rule: Callable[[Tally], Decision]) -> list[int]:
        """Ask the design; the patients to treat now, none at the end."""
        day = self._earliest()
        tally = self.tally(day)
        decision = rule(tally)
        while decision.action == "wait":
            later = self.known[: self.next][self.known[: self.next] > day + 1e-9]
            if not len(later):
                raise ConfigError(f"{self.design.name} waits, and no window is open")
            day = float(later.min())
            tally = self.tally(day)
            decision = rule(tally)
        left = len(self.gaps) - self.next
        if decision.action != "stop" and not left:
            decision = self.design.select(tally)
        if decision.action == "stop":
            self.steps.append(Step(day, tally, decision))
            self.selected = int(decision.mtd_level or 0)
            return []
        who = list(range(self.next, self.next + min(decision.n, left)))
        self.steps.append(Step(day, tally, decision, tuple(who)))
        self._treat(who, decision, day, self.design.stage(tally))
        return who

    def _earliest(self) -> float:
        """The day of the decision: all windows have ended, or the next patient is there."""
        if not self.next:
            return 0.0
        if not self.design.uses_waiting:
            return float(self.known[: self.next].max())
        return (
            self._arrives(self.next, 0.0)
            if self.next < len(self.gaps)
            else float(self.known[: self.next].max())
        )

    def _arrives(self, i: int, day: float) -> float:
        """When patient ``i`` comes, if the trial is open from ``day`` on: nobody waits while it is closed."""
        before = float(self.infused[i - 1]) if i else 0.0
        return max(max(before, day) + float(self.gaps[i]), before + self.stagger * (i > 0))

    def _treat(self, who: list[int], decision: Decision, day: float, stage: str) -> None:
        for i in who:
            # A design that uses open windows has decided on the day on which its first patient came.
            came = self.design.uses_waiting and i == who[0] and i > 0
            self.infused[i] = day if came else self._arrives(i, day)
            self.level[i] = decision.level
            self.phase[i] = TITRATION if stage == "titration" else ESCALATION
        self.next = who[-1] + 1

    def learn(self, who: list[int], toxicity: Mapping[str, NDArray]) -> None:
        """Toxicity of patients, and when it is known."""
        window = self.plan.conduct.window
        for at, i in enumerate(who):
            self.dlt[i] = toxicity["dlt"][at]
            self.counted[i] = toxicity["counted"][at]
            self.grade2[i] = toxicity["grade2"][at]
            left = self.leaves[i]  # day after the infusion, infinite for most
            gone = left < window and not (self.dlt[i] and toxicity["dlt_day"][at] <= left)
            if gone:
                self.dlt[i] = self.grade2[i] = False
            self.evaluable[i] = not gone
            known = toxicity["dlt_day"][at] if self.dlt[i] else min(left, window)
            self.known[i] = self.infused[i] + known


def escalate(plan: TrialPlan, gaps: Floats, leaves: Floats, outcome: Outcome) -> Escalations:
    """Run trials side by side until all have selected a dose, then treat the expansions.

    Parameters
    ----------
    plan : TrialPlan
        What they intend.
    gaps : ndarray, shape (n_trials, n_patients)
        Standard exponential gaps between patients.
    leaves : ndarray, shape (n_trials, n_patients)
        Day after the infusion on which a patient leaves without a DLT; infinite for most.
    outcome : callable
        Toxicity of patients, given their trials, their positions and the numbers of their doses.

    Returns
    -------
    Escalations
        Who was treated when, and what was decided.
    """
    days = gaps * DAYS_PER_MONTH / plan.conduct.accrual_per_month
    books = [_Book(plan, days[t], leaves[t]) for t in range(len(gaps))]
    rule = _remembered(plan.ended_design)
    toxicity: dict[str, NDArray] = {}
    running = dict(enumerate(books))
    while running:
        asked = {t: book.decide(rule) for t, book in running.items()}
        running = {t: running[t] for t, who in asked.items() if who}
        if running:
            trial = np.concatenate([np.full(len(asked[t]), t) for t in running])
            patient = np.concatenate([asked[t] for t in running])
            found = outcome(
                trial, patient, np.array([books[t].level[i] for t, i in zip(trial, patient, strict=True)])
            )
            _keep(toxicity, found, trial, patient, gaps.shape)
            start = 0
            for t, book in running.items():
                end = start + len(asked[t])
                book.learn(asked[t], {name: value[start:end] for name, value in found.items()})
                start = end
    _expand(plan, books, toxicity, outcome, gaps.shape)
    return Escalations(
        level=np.stack([book.level for book in books]),
        phase=np.stack([book.phase for book in books]),
        infused=np.stack([book.infused for book in books]),
        counted=np.stack([book.counted for book in books]),
        evaluable=np.stack([book.evaluable for book in books]),
        toxicity=toxicity,
        selected=np.array([book.selected for book in books]),
        ended=np.array([book.steps[-1].day for book in books]),
        steps=tuple(tuple(book.steps) for book in books),
    )


def _remembered(design: Design) -> Callable[[Tally], Decision]:
    """The rule, asked once for equal counts."""
    if design.uses_waiting:
        return design.rule
    known: dict[Tally, Decision] = {}

    def rule(tally: Tally) -> Decision:
        if tally not in known:
            known[tally] = design.rule(tally)
        return known[tally]

    return rule


def _keep(
    toxicity: dict[str, NDArray],
    found: Mapping[str, NDArray],
    trial: NDArray[np.intp],
    patient: NDArray[np.intp],
    shape: tuple[int, ...],
) -> None:
    for name, value in found.items():
        if name not in toxicity:
            toxicity[name] = np.full(shape, np.nan if value.dtype.kind == "f" else 0, dtype=value.dtype)
        toxicity[name][trial, patient] = value


def _expand(
    plan: TrialPlan,
    books: list[_Book],
    toxicity: dict[str, NDArray],
    outcome: Outcome,
    shape: tuple[int, ...],
) -> None:
    """Everyone who is left gets a dose of the expansion, where one was selected."""
    trial, patient = [], []
    for t, book in enumerate(books):
        if not book.selected or book.next == shape[1]:
            continue
        doses = list(dict.fromkeys(max(book.selected + step, 1) for step in plan.conduct.expansion))
        who = np.arange(book.next, shape[1])
        book.level[who] = np.resize(doses, len(who))
        book.phase[who] = EXPANSION
        book.infused[who] = book.steps[-1].day + np.cumsum(book.gaps[who])
        trial.append(np.full(len(who), t))
        patient.append(who)
    if not trial:
        return
    at, who = np.concatenate(trial), np.concatenate(patient)
    found = outcome(at, who, np.array([books[t].level[i] for t, i in zip(at, who, strict=True)]))
    _keep(toxicity, found, at, who, shape)
    left = np.stack([book.leaves for book in books])[at, who]
    stayed = (left >= plan.conduct.window) | (
        found["dlt"] & (np.nan_to_num(found["dlt_day"], nan=np.inf) <= left)
    )
    for t, i, ok, counted in zip(at, who, stayed, found["counted"], strict=True):
        books[t].evaluable[i], books[t].counted[i] = ok, counted

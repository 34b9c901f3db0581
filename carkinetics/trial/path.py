"""The path of one escalation, patient by patient: who had which dose, what happened, what was decided and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from carkinetics.errors import ConfigError, DataError
from carkinetics.escalation.cohort import Cohort, Cohorts, cohorts_as_given, dose_text, tally_of
from carkinetics.escalation.design import Decision, Design
from carkinetics.escalation.patients import Counted
from carkinetics.trial.simulated import SimulatedTrial

# What can have happened to a patient, in the order in which a cohort without names is written out.
OUTCOMES = ("no DLT", "grade 2", "DLT", "pending", "not evaluable")


@dataclass(frozen=True, eq=False)
class EscalationPath:
    """What happened in one escalation.

    Parameters
    ----------
    design : str
        Name of the rule.
    doses : tuple of float
        Its doses.
    dose_unit : str
        Theirs; empty where doses are numbers.
    patients : pandas.DataFrame
        One row per patient in the order of treatment: ``patient, cohort`` (0 after the escalation), ``phase, level, dose``
        (planned), ``counted`` (number of the dose at which the patient counts: another one where less was received, 0 for none),
        ``outcome`` (one of ``"no DLT", "grade 2", "DLT", "pending", "not evaluable"``).
    decisions : pandas.DataFrame
        One row per decision: ``cohort, day`` (NaN if not known), ``action, dose, n`` (treated after it), ``dlt,
        not_evaluable, mtd, reason, subjects, notes``.
    mtd : float or None
        The selected dose, 0 for none; None while the escalation goes on.
    named : bool
        Whether patients are known one by one; otherwise their order within a cohort is not.
    """

    design: str
    doses: tuple[float, ...]
    dose_unit: str
    patients: pd.DataFrame
    decisions: pd.DataFrame
    mtd: float | None
    named: bool


def escalation_path(
    source: SimulatedTrial | Design, cohorts: Cohorts | Counted | None = None
) -> EscalationPath:
    """The path of a simulated trial, or of cohorts under a design.

    Parameters
    ----------
    source : SimulatedTrial or Design
        A simulated trial; or the rule that a real one follows.
    cohorts : iterable of cohorts or Counted, optional
        With a design: what happened so far, as in `Design.decide`, or what `cohorts_from` gives, which knows each patient.

    Returns
    -------
    EscalationPath
        Patients and decisions. Where the trial went on otherwise than the rule says, the notes say so; cohorts after the
        rule has ended are an expansion.

    Raises
    ------
    ConfigError
        If there is a design without cohorts, or something else.
    DataError
        If cohorts cannot be.

    Examples
    --------
    >>> from carkinetics.escalation.three_plus_three import ThreePlusThree
    >>> path = escalation_path(ThreePlusThree(doses=3, variant="A"), [(1, 3, 0), (2, 3, 1)])
    >>> path.decisions["action"].tolist()
    ['start', 'escalate', 'stay']
    """
    if isinstance(source, SimulatedTrial) and cohorts is None:
        return _of_simulated(source)
    if not isinstance(source, Design) or cohorts is None:
        raise ConfigError(
            f"escalation_path: found {type(source).__name__}{'' if cohorts is None else ' beside cohorts'}; expected a "
            "simulated trial, or a design and cohorts"
        )
    return _of_cohorts(source, cohorts)


def _of_simulated(trial: SimulatedTrial) -> EscalationPath:
    subjects, block = trial.subjects, trial.block
    doses = trial.plan.design.doses
    own = block.frame["trial"].to_numpy() == trial.at
    level, counted = (block.of_treated(a)[own] for a in (block.escalations.level, block.escalations.counted))
    cohort = np.zeros(len(subjects), dtype=int)
    for number, step in enumerate(block.escalations.steps[trial.at], start=1):
        cohort[list(step.patients)] = number
    outcome = np.select(
        [subjects["DLT"] == 1, subjects["EVALUABLE"] == 0, subjects["GRADE2"] == 1],
        ["DLT", "not evaluable", "grade 2"],
        "no DLT",
    )
    patients = pd.DataFrame(
        {"patient": subjects["ID"], "cohort": cohort, "phase": subjects["COHORT"], "level": level,
         "dose": np.array(doses)[level - 1], "counted": counted, "outcome": outcome}
    )  # fmt: skip
    return EscalationPath(
        trial.plan.design.name, doses, trial.plan.dose_unit, patients, trial.decisions, trial.selected, True
    )


@dataclass(frozen=True)
class _Given:
    """One cohort, the names of its patients if they are known, and what happened to each."""

    cohort: Cohort
    names: tuple[str, ...]
    outcomes: tuple[str, ...]

    @classmethod
    def of(cls, cohort: Cohort, names: tuple[str, ...] = ()) -> _Given:
        plain = cohort.n - cohort.dlt - cohort.grade2 - cohort.pending
        counts = (plain, cohort.grade2, cohort.dlt, cohort.pending, cohort.not_evaluable)
        words = tuple(word for word, count in zip(OUTCOMES, counts, strict=True) for _ in range(count))
        return cls(cohort, names, words)

    def joined(self, other: _Given) -> _Given:
        """With the patients of another one at the same dose."""
        one, more = self.cohort, other.cohort
        cohort = Cohort(
            one.dose, one.n + more.n, one.dlt + more.dlt, one.grade2 + more.grade2, one.pending + more.pending,
            one.follow_up + more.follow_up, one.not_evaluable + more.not_evaluable,
        )  # fmt: skip
        return _Given(cohort, self.names + other.names, self.outcomes + other.outcomes)


def _of_cohorts(design: Design, cohorts: Cohorts | Counted) -> EscalationPath:
    named = isinstance(cohorts, Counted)
    tally_of(
        cohorts.cohorts if isinstance(cohorts, Counted) else cohorts, design.doses
    )  # refuses what cannot be
    left = (
        _one_by_one(cohorts)
        if isinstance(cohorts, Counted)
        else [_Given.of(c) for c in cohorts_as_given(cohorts)]
    )
    before: list[Cohort] = []
    rows: list[dict[str, Any]] = []
    patients: list[dict[str, Any]] = []
    mtd: float | None = None
    while mtd is None:
        decision = _decision(design, before)
        stage = design.stage(tally_of(before, design.doses).settled())
        if decision.action == "stop":
            mtd = float(decision.mtd or 0)
        given = _next(left, decision, named) if mtd is None and left else None
        rows.append(_decision_row(len(rows) + 1, decision, given))
        if given is None:
            break
        before.append(given.cohort)
        patients += _patient_rows(given, len(rows), stage, design, len(patients))
    for given in left:  # the rule has ended
        patients += _patient_rows(given, 0, "expansion", design, len(patients))
    columns = ["patient", "cohort", "phase", "level", "dose", "counted", "outcome"]
    return EscalationPath(
        design.name, design.doses, "", pd.DataFrame(patients, columns=columns), pd.DataFrame(rows), mtd, named
    )


def _decision(design: Design, before: list[Cohort]) -> Decision:
    """The rule's; or that it waits, where patients in their window leave it open."""
    try:
        return design.decide(before)
    except DataError as problem:  # the cohorts themselves were looked at before
        return Decision("wait", None, 0, 0, str(problem))


def _next(left: list[_Given], decision: Decision, named: bool) -> _Given:
    """The next cohort, taken from what is left; patients one by one up to the number that was decided."""
    first = left.pop(0)
    if not named:
        return first
    while left and left[0].cohort.dose == first.cohort.dose and len(first.names) < max(decision.n, 1):
        first = first.joined(left.pop(0))
    return first


def _one_by_one(counted: Counted) -> list[_Given]:
    """Patients of `cohorts_from` as cohorts of one, in the order of treatment; who was not infused is none."""
    found = []
    at = iter(cohort.dose for cohort in counted.cohorts for _ in range(cohort.n + cohort.not_evaluable))
    for name, row in counted.patients.iterrows():
        if not row["dose"] > 0 or "says nothing of" in row["reason"]:
            continue
        status = row["status"]
        pending = status == "pending"
        grade2 = int(bool(row["grade2"]) and status == "no DLT")
        counts = int(status != "not counted")
        days = (float(row["days"]),) if pending else ()
        cohort = Cohort(next(at), counts, int(status == "DLT"), grade2, int(pending), days, 1 - counts)
        found.append(_Given.of(cohort, (str(name),)))
    return found


def _decision_row(number: int, decision: Decision, given: _Given | None) -> dict[str, Any]:
    treated = given.cohort.n + given.cohort.not_evaluable if given else 0
    notes = list(decision.notes)
    if given and (given.cohort.dose != decision.dose or treated != decision.n):
        rule = "to wait" if decision.dose is None else f"{decision.n} at dose {dose_text(decision.dose)}"
        notes.append(f"{treated} treated at dose {dose_text(given.cohort.dose)}; the rule said {rule}.")
    return {
        "cohort": number, "day": np.nan, "action": decision.action, "dose": decision.dose,
        "n": treated if given else decision.n, "dlt": given.cohort.dlt if given else 0,
        "not_evaluable": given.cohort.not_evaluable if given else 0, "mtd": decision.mtd, "reason": decision.reason,
        "subjects": ", ".join(given.names) if given else "", "notes": " ".join(notes),
    }  # fmt: skip


def _patient_rows(
    given: _Given, number: int, stage: str, design: Design, so_far: int
) -> Iterator[dict[str, Any]]:
    level = int(np.argmin(np.abs(np.array(design.doses) - given.cohort.dose))) + 1
    names = given.names or tuple(str(so_far + k + 1) for k in range(len(given.outcomes)))
    for name, outcome in zip(names, given.outcomes, strict=True):
        yield {
            "patient": name, "cohort": number, "phase": stage, "level": level, "dose": design.doses[level - 1],
            "counted": level, "outcome": outcome,
        }  # fmt: skip

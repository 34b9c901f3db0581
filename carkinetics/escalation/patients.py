"""From a list of patients to cohorts: who counts, at which dose, and why."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from carkinetics.errors import DataError, did_you_mean
from carkinetics.escalation.arguments import dose_levels, number
from carkinetics.escalation.cohort import Cohort

COLUMNS = ("patient", "planned", "dose", "dlt", "grade2", "evaluable", "days")
REQUIRED = ("patient", "dose", "dlt")
DECISIVE = (
    "days",
    "evaluable",
    "planned",
)  # without them everybody is followed, evaluable and dosed as planned


class Counted(NamedTuple):
    """Cohorts, and how each patient was counted.

    Parameters
    ----------
    cohorts : list of Cohort
        In the order of the table; patients who follow each other at one dose are one cohort.
    patients : pandas.DataFrame
        Indexed by ``patient``: ``planned, dose`` (received), ``counted_at`` (NaN if not counted), ``status``
        (``"DLT"``, ``"no DLT"``, ``"pending"``, ``"not counted"``), ``grade2, days, reason``.
    """

    cohorts: list[Cohort]
    patients: pd.DataFrame


def cohorts_from(
    table: pd.DataFrame, doses: int | Iterable[float], *, window: float = 28.0, tolerance: float = 0.0
) -> Counted:
    """Count patients by the dose they received, whatever was planned.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per patient in the order of treatment: ``patient``, ``dose`` received (missing or 0: not infused) and ``dlt``
        (within the window); where they are known ``planned``, ``grade2``, ``evaluable`` (True if there is no such column)
        and ``days`` followed (to the end of the window if there is no such column).
    doses : int or iterable of float
        Doses of the design: a count, or sizes in the unit of ``dose``.
    window : float
        Length of the DLT window in days.
    tolerance : float
        A dose received within this share of one of the design's counts as that one, as the protocol allows (0.2: ± 20 %); of
        two such doses as the one planned, else as the nearest.

    Returns
    -------
    Counted
        Cohorts for `Design.decide`, and a table with every patient, how it was counted and why.

    Raises
    ------
    DataError
        If a column is missing, a patient occurs twice, or a value cannot be; with row and patient.
    ConfigError
        If doses, window or tolerance make no sense.

    Notes
    -----
    A dose between two of the design counts as the lower one. Without a DLT that is sound, since who tolerates more would
    have tolerated less; a DLT counts against a dose that might not have caused it, which is cautious. Below the lowest dose a
    patient without a DLT says nothing of any dose and does not count, and a DLT counts against the lowest. A DLT makes a
    patient evaluable; without one, who is not evaluable is replaced, and who is still in the window is pending. The trial
    stands at the last dose at which a patient counts as planned: those who count elsewhere come first among the cohorts, so
    that a product with too few cells does not move the trial.

    Examples
    --------
    >>> table = pd.DataFrame({"patient": ["a", "b"], "dose": [0.3, 0.7], "dlt": [False, True]})
    >>> counted = cohorts_from(table, doses=[0.1, 0.3, 1.0])
    >>> [(cohort.dose, cohort.n, cohort.dlt) for cohort in counted.cohorts]
    [(0.3, 2, 1)]
    """
    sizes = dose_levels(doses, "cohorts_from")
    number(window, "window", "cohorts_from", above=0)
    number(tolerance, "tolerance", "cohorts_from", least=0, below=1)
    rows = [_row(values, number, window) for number, values in enumerate(_records(table), start=1)]
    cohorts: list[Cohort] = []
    elsewhere: list[Cohort] = []
    patients = []
    for row in rows:
        level, where = _level(row, sizes, tolerance)
        status, why = _status(row, level, window)
        counted = status != "not counted"
        patients.append(
            {
                "patient": row["patient"],
                "planned": row["planned"],
                "dose": row["dose"],
                "counted_at": sizes[level - 1] if counted else np.nan,
                "status": status,
                "grade2": row["grade2"],
                "days": row["days"],
                "reason": "; ".join(part for part in (where, why) if part) or "as planned",
            }
        )
        if counted or (level and row["dose"] > 0):
            moved = row["planned"] == row["planned"] and _planned_level(row, sizes, tolerance) != level
            _add(elsewhere if moved else cohorts, sizes[max(level, 1) - 1], status, row)
    columns = ["patient", "planned", "dose", "counted_at", "status", "grade2", "days", "reason"]
    return Counted(elsewhere + cohorts, pd.DataFrame(patients, columns=columns).set_index("patient"))


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    if not isinstance(table, pd.DataFrame):
        raise DataError(
            f"cohorts_from: expected a table with one row per patient; found {type(table).__name__}"
        )
    for name in REQUIRED:
        if name not in table.columns:
            raise DataError(
                f"cohorts_from: column {name!r} is missing{did_you_mean(name, [str(c) for c in table.columns])}"
            )
    for name in COLUMNS:
        if list(table.columns).count(name) > 1:
            raise DataError(f"cohorts_from: column {name!r} occurs more than once")
        near = get_close_matches(
            name, [str(column) for column in table.columns if column not in COLUMNS], 1, 0.8
        )
        if name in DECISIVE and name not in table.columns and near:
            raise DataError(f"cohorts_from: column {near[0]!r} is not read; did you mean {name!r}?")
    twice = table["patient"][table["patient"].duplicated()]
    if len(twice):
        raise DataError(
            f"cohorts_from: patient {twice.iloc[0]!r} occurs more than once; expected one row per patient"
        )
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def _row(values: dict[str, Any], number: int, window: float) -> dict[str, Any]:
    """Values of one patient, each looked at."""
    where = f"cohorts_from: row {number}, patient {values['patient']!r}"
    if pd.isna(values["patient"]):
        raise DataError(f"cohorts_from: row {number}: the patient is missing; expected a name or a number")
    dlt = _yes(values["dlt"], "dlt", where)
    dose = _number(values["dose"], "dose", where, 0.0)
    if dlt and not dose > 0:
        raise DataError(f"{where}: a DLT without a dose received; expected the dose, above 0")
    evaluable = _yes(values.get("evaluable", True), "evaluable", where)
    # Without a DLT the days say whether the window is over; with one, or where they are out of the count, nothing.
    days = _number(values.get("days", window), "days", where, np.nan)
    if np.isnan(days) and not dlt and evaluable and dose > 0:
        raise DataError(f"{where}: days is missing; expected the days followed, as there was no DLT")
    planned = _number(values.get("planned", np.nan), "planned", where, np.nan)
    grade2 = _yes(values.get("grade2", False), "grade2", where)
    return {
        "patient": values["patient"],
        "planned": planned,
        "dose": dose,
        "dlt": dlt,
        "grade2": grade2,
        "evaluable": evaluable,
        "days": days,
    }


def _yes(value: Any, name: str, where: str) -> bool:
    if isinstance(value, (bool, np.bool_)) or (
        isinstance(value, numbers.Real) and float(value) in (0.0, 1.0)
    ):
        return bool(value)
    raise DataError(f"{where}: {name} is {value!r}; expected True or False (1 or 0)")


def _number(value: Any, name: str, where: str, missing: float) -> float:
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return missing
    if (
        isinstance(value, (bool, np.bool_))
        or not isinstance(value, numbers.Real)
        or not 0 <= float(value) < np.inf
    ):
        raise DataError(f"{where}: {name} is {value!r}; expected a number, 0 or more")
    return float(value)


def _level(row: dict[str, Any], sizes: Sequence[float], tolerance: float) -> tuple[int, str]:
    """Number of the dose that a patient's dose stands for, 0 for none, and why where it is not the one planned."""
    dose, planned = row["dose"], row["planned"]
    if not dose:
        return 0, ""
    elsewhere = planned == planned and not np.isclose(planned, dose, rtol=1e-9)  # NaN: nothing was planned
    given = f"received {dose:g}" + (f", planned {planned:g}" if elsewhere else "")
    away = [abs(dose / size - 1) for size in sizes]
    nearest = away.index(min(away))
    for level, size in enumerate(sizes):  # what was planned comes before a neighbour that is as near
        if elsewhere and np.isclose(planned, size, rtol=1e-9) and away[level] <= tolerance:
            nearest = level
    if away[nearest] <= max(tolerance, 1e-9):
        exact = not elsewhere and away[nearest] <= 1e-9
        return nearest + 1, "" if exact else f"{given}: counts as {sizes[nearest]:g}"
    lower = [level for level, size in enumerate(sizes, start=1) if size < dose]
    if lower:
        return lower[-1], f"{given}: counts as {sizes[lower[-1] - 1]:g}, the highest dose not above it"
    if row["dlt"]:
        return 1, f"{given}, below the lowest dose: the DLT counts against {sizes[0]:g}"
    return 0, f"{given}, below the lowest dose: without a DLT it says nothing of {sizes[0]:g}"


def _planned_level(row: dict[str, Any], sizes: Sequence[float], tolerance: float) -> int:
    """Number of the dose that was planned for a patient; 0 where it is none of the design's."""
    return _level(row | {"dose": row["planned"], "dlt": False}, sizes, tolerance)[0]


def _status(row: dict[str, Any], level: int, window: float) -> tuple[str, str]:
    if not row["dose"]:
        return "not counted", "not infused: replaced"
    if row["dlt"]:
        return "DLT", "" if row["evaluable"] else "a DLT makes the patient evaluable"
    if not row["evaluable"]:
        return "not counted", "not evaluable, without a DLT: replaced"
    if not level:
        return "not counted", ""
    if row["days"] < window:
        grade2 = "; the grade 2 counts from then on" if row["grade2"] else ""
        return "pending", f"day {row['days']:g} of {window:g}, without a DLT so far{grade2}"
    return "no DLT", ""


def _add(cohorts: list[Cohort], dose: float, status: str, row: dict[str, Any]) -> None:
    """Count one more patient, in the last cohort if that had the same dose."""
    old = cohorts.pop() if cohorts and cohorts[-1].dose == dose else Cohort(dose, 0, 0)
    waits = (row["days"],) if status == "pending" else ()
    cohorts.append(
        Cohort(
            dose,
            old.n + (status != "not counted"),
            old.dlt + (status == "DLT"),
            old.grade2 + (status == "no DLT" and row["grade2"]),
            old.pending + len(waits),
            old.follow_up + waits,
            old.not_evaluable + (status == "not counted"),
        )
    )

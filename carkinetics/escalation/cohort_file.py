"""Cohorts and patients as people write them: ``dose:n:dlt`` on a command line, or a table in a file."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd

from carkinetics.dataset.cell import read_cell
from carkinetics.dataset.source import RawTable, read_table
from carkinetics.errors import DataError, did_you_mean
from carkinetics.escalation.cohort import Cohort
from carkinetics.escalation.patients import COLUMNS, REQUIRED

EXPECTED = "dose:n:dlt, and where they are known grade2 and pending, such as 0.1e6:3:0 or 0.3e6:3:1:1"
_WORDS = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}
_COHORT = [field.name for field in fields(Cohort) if field.name != "follow_up"]


def cohort_from_text(text: str) -> Cohort:
    """A cohort of ``dose:n:dlt[:grade2[:pending]]``.

    Parameters
    ----------
    text : str
        Such as ``"0.1e6:3:0"``.

    Returns
    -------
    Cohort
        That cohort.

    Raises
    ------
    DataError
        If it is written otherwise.

    Examples
    --------
    >>> cohort_from_text("0.3e6:3:1")
    Cohort(dose=300000.0, n=3, dlt=1, grade2=0, pending=0, follow_up=(), not_evaluable=0)
    """
    parts = text.split(":")
    try:
        dose, counts = float(parts[0]), [int(part) for part in parts[1:]]
    except ValueError:
        raise DataError(f"cohort {text!r}: expected {EXPECTED}") from None
    if not 2 <= len(counts) <= 4:
        raise DataError(f"cohort {text!r} has {len(parts)} numbers; expected {EXPECTED}")
    more: dict[str, Any] = dict(zip(_COHORT[1:], counts, strict=False))
    return Cohort(dose, **more)


def read_cohorts(path: str | Path) -> list[Cohort]:
    """Cohorts from a table with one row each, in the order of treatment.

    Parameters
    ----------
    path : str or pathlib.Path
        CSV, Excel or Parquet: columns ``dose, n, dlt``, and where they are known ``grade2, pending, not_evaluable``.

    Returns
    -------
    list of Cohort
        Those cohorts.

    Raises
    ------
    DataError
        If the file cannot be read, a column is missing or unknown, or a cell is no number.
    """
    table = read_table(path)
    names = _names(table, _COHORT, _COHORT[:3])
    found = []
    for line, cells in table.lines:
        row = {name: _number(table, line, name, cell) for name, cell in zip(names, cells, strict=True)}
        given: dict[str, Any] = {name: _whole(value, name) for name, value in row.items() if pd.notna(value)}
        found.append(Cohort(**given))
    return found


def read_patients(path: str | Path) -> pd.DataFrame:
    """Patients from a table with one row each, for `cohorts_from`.

    Parameters
    ----------
    path : str or pathlib.Path
        CSV, Excel or Parquet: columns ``patient, dose, dlt``, and where they are known ``planned, grade2, evaluable, days``;
        yes and no are 1 and 0, or the words.

    Returns
    -------
    pandas.DataFrame
        Numbers, with the patient as text.

    Raises
    ------
    DataError
        If the file cannot be read, a column is missing or unknown, or a cell is no number.
    """
    table = read_table(path)
    names = _names(table, COLUMNS, REQUIRED)
    rows = [
        {name: cell if name == "patient" else _number(table, line, name, cell)
         for name, cell in zip(names, cells, strict=True)}
        for line, cells in table.lines
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _names(table: RawTable, known: Any, required: Any) -> list[str]:
    """Columns, whatever their case."""
    if table.broken:
        line, what = table.broken[0]
        raise DataError(f"{table.name}, line {line}: {what}")
    names = [name.strip().lower() for name in table.header]
    for name in names:
        if name not in known:
            raise DataError(f"{table.name}: column {name!r} is not known{did_you_mean(name, known)}")
    for name in required:
        if name not in names:
            raise DataError(f"{table.name}: column {name!r} is missing; expected {', '.join(required)}")
    return names


def _number(table: RawTable, line: int, name: str, text: str) -> float:
    cell = read_cell(text)
    if cell.kind == "missing":
        if name in ("n", "dlt"):
            raise DataError(f"{table.name}, line {line}: {name} is missing; expected a number")
        return float("nan")
    word = _WORDS.get(text.strip().lower())
    if word is None and cell.kind != "number":
        raise DataError(f"{table.name}, line {line}: {name} is {text!r}; expected a number")
    return cell.number if word is None else word


def _whole(value: float, name: str) -> float | int:
    return int(value) if name != "dose" and value % 1 == 0 else value

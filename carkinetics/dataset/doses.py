"""What was given, and when: infusions, comedication, and the clock that starts at the first infusion."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from carkinetics.dataset.cell import is_missing, natural_order, number_in, read_cell
from carkinetics.dataset.record import Record, Row
from carkinetics.dataset.subjects import dose_levels
from carkinetics.dataset.table import DOSE_COLUMNS, typed_table
from carkinetics.errors import UnitError
from carkinetics.units import canonical_unit, time_in_days

DOSE_UNITS = ("cells/kg", "cells")


def known_dose_unit(unit: str) -> str:
    """Canonical dose unit.

    Parameters
    ----------
    unit : str
        As the caller wrote it.

    Returns
    -------
    {"cells/kg", "cells"}
        Canonical spelling.

    Raises
    ------
    UnitError
        If it is neither.
    """
    name = canonical_unit(unit)
    if name not in DOSE_UNITS:
        raise UnitError(f"dose_unit is {unit!r}; expected 'cells/kg' or 'cells' (CAR-positive cells)")
    return name


def valid_doses(rows: Sequence[Row], record: Record) -> list[Row]:
    """Dose rows with an amount above 0.

    Parameters
    ----------
    rows : sequence of Row
        Dose rows.
    record : Record
        Receives the others.

    Returns
    -------
    list of Row
        Doses that were given.
    """
    kept = []
    for row in rows:
        amount = number_in(row["AMT"])
        if np.isnan(amount):
            record.exclude(row, "dose-amount", row["AMT"], "AMT is not a number")
        elif amount <= 0:
            record.exclude(
                row, "dose-positive", row["AMT"], "expected a number of CAR-positive cells above 0"
            )
        else:
            kept.append(row)
    return kept


def shift_to_first_infusion(rows: Sequence[Row], doses: Sequence[Row], record: Record) -> dict[str, float]:
    """Make the first infusion of each subject its day 0.

    Parameters
    ----------
    rows : sequence of Row
        All rows; their time is changed.
    doses : sequence of Row
        Dose rows, part of ``rows``.
    record : Record
        Receives a remark for each shifted subject.

    Returns
    -------
    dict
        Subject → day of the first infusion on the clock of the table.
    """
    zero: dict[str, float] = {}
    for row in doses:
        zero[row.subject] = min(row.time, zero.get(row.subject, np.inf))
    for subject, start in zero.items():
        if start != 0:
            record.remark(
                "note", "time-shifted", f"subject {subject}",
                f"the first infusion was at day {start:g} of the table; it is day 0 here, all times are {-start:+g} d",
                subject=subject,
            )  # fmt: skip
    for row in rows:
        if zero.get(row.subject, 0.0) != 0:
            row.time = round(row.time - zero[row.subject], 9)
    return zero


def dose_table(rows: Sequence[Row], dose_unit: str, weight: pd.Series) -> pd.DataFrame:
    """Doses in the unit of the table and, where the weight is known, in both units.

    Parameters
    ----------
    rows : sequence of Row
        Dose rows.
    dose_unit : {"cells/kg", "cells"}
        Unit where the row does not say.
    weight : pandas.Series
        Body weight in kg by subject.

    Returns
    -------
    pandas.DataFrame
        The ``doses`` table with ``cells`` and ``cells_per_kg``.
    """
    found = []
    for row in rows:
        amount, kg = number_in(row["AMT"]), float(weight.get(row.subject, np.nan))
        written = canonical_unit(row["UNIT"])
        unit = written if written in DOSE_UNITS else dose_unit
        found.append(
            {"subject": row.subject, "time": row.time, "amount": amount, "unit": unit, "row": row.line,
             "cells": amount if unit == "cells" else amount * kg,
             "cells_per_kg": amount if unit == "cells/kg" else amount / kg, "file": row.file}
        )  # fmt: skip
    return sorted_table(
        typed_table(found, (*DOSE_COLUMNS, "cells", "cells_per_kg", "file")), ["unit", "amount"]
    )


def with_dose_level(subjects: pd.DataFrame, doses: pd.DataFrame) -> pd.DataFrame:
    """Subject table with a dose level, from the first dose where the table has none.

    Parameters
    ----------
    subjects : pandas.DataFrame
        Subject table.
    doses : pandas.DataFrame
        Dose table, sorted by time.

    Returns
    -------
    pandas.DataFrame
        With a column ``dose_level``, unless there is no dose at all.
    """
    if "dose_level" in subjects or doses.empty:
        return subjects
    first = doses.drop_duplicates("subject").set_index("subject")
    ids = subjects["subject"].tolist()
    labels = dose_levels(first["amount"].reindex(ids), first["unit"].reindex(ids))
    return subjects.assign(dose_level=labels.to_numpy()).astype({"dose_level": "str"})


def event_rows(rows: Sequence[Row], record: Record) -> list[dict[str, object]]:
    """Events of rows with EVID 2.

    Parameters
    ----------
    rows : sequence of Row
        Event rows.
    record : Record
        Receives rows without a name.

    Returns
    -------
    list of dict
        Rows of the ``events`` table.
    """
    found: list[dict[str, object]] = []
    for row in rows:
        name = row["EVENT"]
        if is_missing(name) and read_cell(row["CMT"]).kind == "text":
            name = row["CMT"]
        if is_missing(name):
            record.exclude(
                row, "event-named", row["CMT"], "EVID 2 without a name; expected one in column EVENT"
            )
            continue
        given = [number for number in (number_in(row["AMT"]), number_in(row["DV"])) if np.isfinite(number)]
        value = next((number for number in given if number != 0), 1.0)
        found.append(
            {
                "subject": row.subject,
                "time": row.time,
                "event": name,
                "value": value,
                "row": row.line,
                "file": row.file,
            }
        )
    return found


def events_by_subject(
    days: Mapping[str, Mapping[str, tuple[str, Row]]],
    time_unit: str,
    zero: Mapping[str, float],
    record: Record,
) -> list[dict[str, object]]:
    """Events whose day is a column of the subject.

    Parameters
    ----------
    days : mapping
        Event → subject → (text, row).
    time_unit : str
        Unit of the days.
    zero : mapping
        Subject → day of the first infusion on the same clock.
    record : Record
        Receives days that are not numbers.

    Returns
    -------
    list of dict
        Rows of the ``events`` table.
    """
    found: list[dict[str, object]] = []
    for event, cells in days.items():
        for subject, (text, row) in cells.items():
            day = number_in(text)
            if np.isnan(day):
                record.remark(
                    "warning", "event-time", row.place,
                    f"day of {event} is {text!r}; expected a number of {canonical_unit(time_unit)}s; event not read",
                    subject=subject,
                )  # fmt: skip
                continue
            time = round(float(time_in_days(day, time_unit)) - zero.get(subject, 0.0), 9)
            found.append(
                {
                    "subject": subject,
                    "time": time,
                    "event": event,
                    "value": 1.0,
                    "row": row.line,
                    "file": row.file,
                }
            )
    return found


def sorted_table(table: pd.DataFrame, then: list[str]) -> pd.DataFrame:
    """By subject in natural order, then time, then content; the line of the file decides last.

    Parameters
    ----------
    table : pandas.DataFrame
        With ``subject, time, file, row``.
    then : list of str
        Columns that decide between rows of one subject and time.

    Returns
    -------
    pandas.DataFrame
        Sorted, with a new index.
    """
    rank = {s: i for i, s in enumerate(sorted(set(table["subject"]), key=natural_order))}
    keys = ["_rank", "time", *then, "file", "row"]
    ranked = table.assign(_rank=table["subject"].map(rank).astype("float64"))
    return ranked.sort_values(keys, kind="stable")[list(table.columns)].reset_index(drop=True)

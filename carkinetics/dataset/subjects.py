"""One row per subject: covariates, outcomes, dose level, and the days of comedication.

A column of the long table belongs to the subject if it does not change within subjects. Where it
changes in a few of them, the first value is kept and a remark names them; a column that changes in
most of them (a visit name, a white cell count) belongs to the samples and is left out with a remark.
"""

import keyword
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from carkinetics.dataset.cell import identifier, is_missing, natural_order, number_in, read_cell
from carkinetics.dataset.columns import NONMEM_COLUMNS, ColumnMap, rename_columns
from carkinetics.dataset.record import Record, Row
from carkinetics.dataset.source import Source, read_table
from carkinetics.errors import DataError, did_you_mean

WEIGHTS = ("wt", "weight", "weight_kg", "body_weight")


@dataclass(slots=True)
class SubjectCells:
    """Subject-level cells before they become columns.

    Parameters
    ----------
    cells : dict
        Column as written → subject → (text, row it stood in).
    ids : list of str
        Every subject seen.
    """

    cells: dict[str, dict[str, tuple[str, Row]]] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)


def subject_cells(rows: Sequence[Row], record: Record, *, wanted: Sequence[str] = ()) -> SubjectCells:
    """Subject-level columns of the long table.

    Parameters
    ----------
    rows : sequence of Row
        All rows with a subject.
    record : Record
        Receives remarks.
    wanted : sequence of str
        Columns that are subject-level whatever they hold.

    Returns
    -------
    SubjectCells
        First value of each column and subject, in order of time.
    """
    found = SubjectCells(ids=list(dict.fromkeys(row.subject for row in rows)))
    ordered = sorted(rows, key=lambda row: (np.nan_to_num(row.time, nan=np.inf), row.file, row.line))
    always = {"WT", *(name.upper() for name in wanted)}
    ignored = []
    for column in dict.fromkeys(name for row in rows for name in row.cells if name not in NONMEM_COLUMNS):
        values: dict[str, dict[str | float, Row]] = {}
        for row in ordered:
            if not is_missing(row[column]):
                values.setdefault(row.subject, {}).setdefault(_comparable(row[column]), row)
        several = [subject for subject, seen in values.items() if len(seen) > 1]
        repeated = {s for s, n in _filled(rows, column).items() if n > 1}
        if column.upper() not in always and len(several) > 0.5 * max(len(repeated), 1):
            ignored.append(column)
            continue
        found.cells[column] = {
            s: (r[column], r) for s, seen in values.items() for r in [next(iter(seen.values()))]
        }
        for subject in several:
            _say_varies(record, column, subject, list(values[subject].values()))
    if ignored:
        record.remark(
            "note", "column-ignored", "columns " + ", ".join(ignored),
            "changes from row to row within subjects, so it is neither a covariate nor a NONMEM column; not read",
        )  # fmt: skip
    return found


def _comparable(text: str) -> str | float:
    """``64`` and ``64.0`` are the same value."""
    number = number_in(text)
    return text if np.isnan(number) else number


def _filled(rows: Sequence[Row], column: str) -> dict[str, int]:
    """How often each subject has a value in the column."""
    counts: dict[str, int] = {}
    for row in rows:
        if not is_missing(row[column]):
            counts[row.subject] = counts.get(row.subject, 0) + 1
    return counts


def _say_varies(record: Record, column: str, subject: str, rows: list[Row]) -> None:
    """Remark on a covariate with several values in one subject."""
    found = ", ".join(f"{row[column]!r} (row {row.line})" for row in rows[:4])
    record.remark(
        "warning", "covariate-constant", rows[0].place,
        f"{column} is {found}; expected one value per subject; the first in time, {rows[0][column]!r}, is kept",
        subject=subject,
    )  # fmt: skip


def add_subject_table(found: SubjectCells, source: Source, columns: ColumnMap | None, record: Record) -> None:
    """Add the columns of a table with one row per subject.

    Parameters
    ----------
    found : SubjectCells
        What the long table gave; changed in place.
    source : str, pathlib.Path or pandas.DataFrame
        The subject table.
    columns : mapping, optional
        Role → column, as for the long table.
    record : Record
        Receives remarks.
    """
    table = read_table(source)
    names, _ = rename_columns(table, columns, required=("ID",), partial=True)
    for line, what in table.broken:
        record.exclude(Row({}, line, table.name), "cell-count", what, "cells cannot be told apart")
    first: dict[str, Row] = {}
    for line, cells in table.lines:
        by_name = dict(zip(table.header, cells, strict=True))
        row = Row({names[name]: text for name, text in by_name.items() if name in names}, line, table.name)
        row.subject = identifier(row["ID"])
        if is_missing(row.subject):
            record.exclude(row, "id-given", row["ID"], "no subject identifier")
        elif row.subject in first:
            record.exclude(
                row, "subject-once", row.subject, f"row {first[row.subject].line} has this subject already"
            )
        else:
            first[row.subject] = row
    known = set(found.ids)
    found.ids.extend(subject for subject in first if subject not in known)
    roles = {name.upper(): name for name in found.cells}
    for column in [name for name in names.values() if name != "ID"]:
        own = found.cells.setdefault(roles.get(column.upper(), column), {})
        for subject, row in first.items():
            if is_missing(row[column]):
                continue
            if subject in own and _comparable(own[subject][0]) != _comparable(row[column]):
                record.remark(
                    "warning", "covariate-constant", row.place,
                    f"{column} is {row[column]!r} here and {own[subject][0]!r} in the long table "
                    f"(row {own[subject][1].line}); expected one value per subject; this one is kept",
                    subject=subject,
                )  # fmt: skip
            own[subject] = (row[column], row)


def take_columns(found: SubjectCells, wanted: Mapping[str, str]) -> dict[str, dict[str, tuple[str, Row]]]:
    """Take columns out by name, in any case.

    Parameters
    ----------
    found : SubjectCells
        Changed in place: the columns are gone afterwards.
    wanted : mapping
        Key of the answer → column.

    Returns
    -------
    dict
        Key → subject → (text, row).

    Raises
    ------
    DataError
        If a column does not exist.
    """
    by_upper = {name.upper(): name for name in found.cells}
    for key, column in wanted.items():
        if column.upper() not in by_upper:
            raise DataError(
                f"event_columns[{key!r}]: no subject-level column {column!r}{did_you_mean(column, found.cells)}"
            )
    taken = {key: found.cells[by_upper[column.upper()]] for key, column in wanted.items()}
    for column in wanted.values():
        found.cells.pop(by_upper[column.upper()], None)
    return taken


def subject_frame(found: SubjectCells) -> pd.DataFrame:
    """Subject table with clean names, numbers where every value is one.

    Parameters
    ----------
    found : SubjectCells
        Subject-level cells.

    Returns
    -------
    pandas.DataFrame
        ``subject`` first, then the columns by name.

    Raises
    ------
    DataError
        If two columns would get the same name.
    """
    ids = sorted(found.ids, key=natural_order)
    columns: dict[str, pd.Series] = {}
    written: dict[str, str] = {}
    for column, cells in found.cells.items():
        name = column_name(column)
        if name in written:
            raise DataError(
                f"columns {written[name]!r} and {column!r} would both be called {name!r}; rename one"
            )
        written[name] = column
        columns[name] = _column([cells[subject][0] if subject in cells else "" for subject in ids])
    return pd.DataFrame(
        {"subject": pd.Series(ids, dtype="str"), **{name: columns[name] for name in sorted(columns)}}
    )


def column_name(text: str) -> str:
    """Name that can be used in a formula.

    Parameters
    ----------
    text : str
        Column as written.

    Returns
    -------
    str
        Lower case, a valid identifier.

    Examples
    --------
    >>> column_name("CRS grade (max)"), column_name("6MWT"), column_name("class")
    ('crs_grade_max', 'x6mwt', 'class_')
    """
    name = re.sub(r"\W+", "_", text.strip().lower()).strip("_") or "x"
    name = f"x{name}" if not name.isidentifier() else name
    return f"{name}_" if keyword.iskeyword(name) or name == "subject" else name


def _column(texts: list[str]) -> pd.Series:
    """Whole numbers, numbers or text, whichever holds all of them."""
    cells = [read_cell(text) for text in texts]
    if all(cell.kind in ("number", "missing") for cell in cells) and any(
        cell.kind == "number" for cell in cells
    ):
        numbers = np.array([cell.number for cell in cells])
        whole = (
            np.isfinite(numbers).all()
            and (numbers == np.round(numbers)).all()
            and (abs(numbers) < 2**53).all()
        )
        return pd.Series(numbers.astype("int64") if whole else numbers)
    return pd.Series(
        [np.nan if cell.kind == "missing" else t for t, cell in zip(texts, cells, strict=True)], dtype="str"
    )


def weight_column(subjects: pd.DataFrame) -> str | None:
    """Column that holds the body weight.

    Parameters
    ----------
    subjects : pandas.DataFrame
        Subject table.

    Returns
    -------
    str or None
        Its name; None if there is none.
    """
    return next((name for name in WEIGHTS if name in subjects), None)


def weights(subjects: pd.DataFrame) -> pd.Series:
    """Body weight in kg by subject, NaN where none is known.

    Parameters
    ----------
    subjects : pandas.DataFrame
        Subject table.

    Returns
    -------
    pandas.Series
        Indexed by subject.
    """
    column = weight_column(subjects)
    values = (
        np.nan if column is None else pd.to_numeric(subjects[column], errors="coerce").to_numpy(dtype=float)
    )
    weight = pd.Series(values, index=subjects["subject"].tolist(), dtype=float)
    return weight.where(weight > 0)


def dose_levels(first_dose: pd.Series, units: pd.Series) -> pd.Series:
    """Label of each subject's dose level, from the distinct first doses.

    Parameters
    ----------
    first_dose : pandas.Series
        Amount of the first infusion by subject, NaN where unknown.
    units : pandas.Series
        Its unit by subject.

    Returns
    -------
    pandas.Series
        For instance ``"1.0e6"``, with its unit where the data have two; missing without a dose.
    """
    amounts = sorted(set(first_dose.dropna()))
    for digits in range(1, 7):
        label = {amount: _scientific(amount, digits) for amount in amounts}
        if len(set(label.values())) == len(amounts):
            break
    mixed = len(set(units.dropna())) > 1
    texts = [
        np.nan if np.isnan(amount) else label[amount] + (f" {unit}" if mixed else "")
        for amount, unit in zip(first_dose, units, strict=True)
    ]
    return pd.Series(texts, index=first_dose.index, dtype="str")


def _scientific(amount: float, digits: int) -> str:
    """``1.0e6`` rather than Python's ``1.0e+06``."""
    mantissa, exponent = f"{amount:.{digits}e}".split("e")
    return f"{mantissa}e{int(exponent)}"

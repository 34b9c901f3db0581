"""Which row is what: a dose, a sample, an event, or nothing that can be used.

Rows come from one file or several, with their cells by column role, and leave with a subject, a
time, a kind and an assay. A row that contradicts itself is excluded with a rule and a reason.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from carkinetics.dataset.cell import identifier, is_missing, number_in, read_cell
from carkinetics.dataset.columns import ColumnMap, find_column, rename_columns, value_columns
from carkinetics.dataset.place import numbers_in_words
from carkinetics.dataset.record import Record, Row
from carkinetics.dataset.source import RawTable, Source, read_table
from carkinetics.errors import DataError
from carkinetics.units import canonical_unit, time_in_days


def read_rows(
    sources: Sequence[Source], columns: ColumnMap | None, record: Record, sheet: str | int | None
) -> tuple[list[Row], list[str]]:
    """Rows of all files with cells by role, and the names of the files.

    Parameters
    ----------
    sources : sequence of str, pathlib.Path or pandas.DataFrame
        Files, put under each other.
    columns : mapping, optional
        Role → column.
    record : Record
        Receives broken rows and displaced columns.
    sheet : str or int, optional
        Sheet of an Excel file.

    Returns
    -------
    rows : list of Row
        Rows in the order of the files.
    names : list of str
        One name per file, each different.

    Raises
    ------
    DataError
        If a file cannot be read, a required column is missing, or no file was given.
    """
    if not sources:
        raise DataError("no file was given; expected a path, a DataFrame, or a list of these")
    tables = [read_table(one, sheet=sheet) for one in sources]
    names = [table.name for table in tables]
    if len(set(names)) < len(names):
        names = [f"{name} ({i})" for i, name in enumerate(names, start=1)]
    rows: list[Row] = []
    for table, name in zip(tables, names, strict=True):
        file = name if len(tables) > 1 else ""
        roles, displaced = rename_columns(table, columns)
        for column in displaced:
            record.remark(
                "note", "column-ignored", f"column {column}", "another column was given its role; not read"
            )
        for line, what in table.broken:
            record.exclude(
                Row({}, line, file), "cell-count", what, "cells cannot be told apart; a shifted row?"
            )
        for line, cells in table.lines:
            by_role = {roles[c]: text for c, text in zip(table.header, cells, strict=True) if c in roles}
            rows.extend(_one_row_per_assay(Row(by_role, line, file), columns))
        _say_blank_values(table, columns, record)
    return rows, names


def _say_blank_values(table: RawTable, columns: ColumnMap | None, record: Record) -> None:
    """Remark on rows of a wide table that have a value of one assay and not of another."""
    positions = {
        assay: table.header.index(find_column(table.header, column, table.name))
        for assay, column in value_columns(columns).items()
    }
    for assay, position in positions.items():
        blank = [
            line
            for line, cells in table.lines
            if is_missing(cells[position])
            and not all(is_missing(cells[other]) for other in positions.values())
        ]
        if blank:
            record.remark(
                "note",
                "value-missing",
                f"assay {assay}, {numbers_in_words(blank)}",
                f"{len(blank)} rows have no {table.header[position]} but a value of another assay",
            )


def _one_row_per_assay(row: Row, columns: ColumnMap | None) -> list[Row]:
    """A wide row with several value columns as one row per filled value."""
    assays = value_columns(columns)
    if not assays:
        return [row]
    found = {
        assay: find_column(list(row.cells), column, f"row {row.line}") for assay, column in assays.items()
    }
    rest = {name: text for name, text in row.cells.items() if name not in found.values()}
    filled = [assay for assay in assays if not is_missing(row[found[assay]])]
    if not filled or not is_missing(row["AMT"]) or row["EVID"] not in ("", ".", "0"):
        filled = (filled or list(assays))[:1]  # a dose, or nothing measured: the row must not multiply
    return [Row({**rest, "DV": row[found[assay]], "DVID": assay}, row.line, row.file) for assay in filled]


def with_subject_and_time(rows: Sequence[Row], time_unit: str, record: Record) -> list[Row]:
    """Rows that say who and when.

    Parameters
    ----------
    rows : sequence of Row
        All rows; subject and time are filled in.
    time_unit : str
        Unit of TIME.
    record : Record
        Receives excluded rows and remarks.

    Returns
    -------
    list of Row
        Rows with a subject and a time in days.

    Raises
    ------
    UnitError
        If ``time_unit`` is not a unit of time.
    """
    factor = float(time_in_days(1.0, time_unit))
    kept = []
    for row in rows:
        row.subject = "" if is_missing(row["ID"]) else identifier(row["ID"])
        time = number_in(row["TIME"])
        # Day files stay as written; from another unit 1e-9 day is far below any clock and hides rounding.
        row.time = time if factor == 1 else round(time * factor, 9) if np.isfinite(time) else np.nan
        if not row.subject:
            record.exclude(row, "id-given", row["ID"], "no subject identifier")
        elif np.isnan(row.time):
            record.exclude(
                row, "time-given", row["TIME"], f"TIME is not a number of {canonical_unit(time_unit)}s"
            )
        else:
            kept.append(row)
    files: dict[str, set[str]] = {}
    for row in kept:
        files.setdefault(row.subject, set()).add(row.file)
    for subject, where in files.items():
        if len(where) > 1:
            record.remark(
                "warning", "subject-in-two-files", f"subject {subject}",
                f"occurs in {', '.join(sorted(where))}; read as one person; if they are two, make the identifiers differ",
                subject=subject,
            )  # fmt: skip
    return kept


def kind_of(row: Row, record: Record) -> str:
    """Dose, event, observation, or nothing (then the row is excluded).

    Parameters
    ----------
    row : Row
        A row with subject and time.
    record : Record
        Receives the row if it contradicts itself.

    Returns
    -------
    {"dose", "event", "observation", ""}
        What the row is.
    """
    evid, amount, mdv = read_cell(row["EVID"]), read_cell(row["AMT"]), read_cell(row["MDV"])
    has_amount = amount.kind != "missing" and amount.number != 0
    has_value = read_cell(row["DV"]).kind != "missing"
    if mdv.kind != "missing" and mdv.number not in (0, 1):
        record.exclude(row, "evid-known", f"MDV {row['MDV']}", "expected MDV 0 or 1")
    elif evid.kind != "missing" and evid.number not in (0, 1, 2):
        record.exclude(
            row, "evid-known", f"EVID {row['EVID']}", "expected EVID 0 (sample), 1 (dose) or 2 (event)"
        )
    elif evid.number == 0 and has_amount:
        record.exclude(
            row, "evid-amt", f"EVID 0, AMT {row['AMT']}", "a sample has no dose; a dose has EVID 1"
        )
    elif evid.number == 1 or (evid.kind == "missing" and (has_amount or _is_zero_dose(row))):
        _say_dose_conflicts(row, record)
        return "dose"
    elif evid.number == 2 or (evid.kind == "missing" and not is_missing(row["EVENT"])):
        return "event"
    elif mdv.number == 1 and not has_value:
        record.exclude(row, "value-not-taken", row["DV"], "no value, as MDV 1 says")
    elif mdv.number == 1:
        record.exclude(
            row, "evid-mdv", f"MDV 1, DV {row['DV']}", "MDV 1 says that there is no value, but there is one"
        )
    else:
        return "observation"
    return ""


def _is_zero_dose(row: Row) -> bool:
    """AMT 0 on a row that cannot be a sample."""
    return number_in(row["AMT"]) == 0 and (is_missing(row["DV"]) or number_in(row["MDV"]) == 1)


def _say_dose_conflicts(row: Row, record: Record) -> None:
    """Remarks on a dose row that also claims to be a sample, or hides further doses."""
    if read_cell(row["DV"]).kind != "missing" and number_in(row["DV"]) != 0:
        record.remark(
            "warning", "evid-mdv", row.place,
            f"a dose row has DV {row['DV']!r}; it is not read: give the sample a row of its own",
            subject=row.subject,
        )  # fmt: skip
    if number_in(row["MDV"]) == 0:
        record.remark(
            "warning", "evid-mdv", row.place, "a dose row has MDV 0; expected MDV 1; read as a dose",
            subject=row.subject,
        )  # fmt: skip
    if number_in(row["ADDL"]) > 0:
        record.remark(
            "error", "dose-additional", row.place,
            f"ADDL is {row['ADDL']}: additional doses are not read; expected one row per infusion",
            subject=row.subject,
        )  # fmt: skip


def with_assay(rows: Sequence[Row], names: Mapping[str, str], default: str, record: Record) -> list[Row]:
    """Observation rows with their assay.

    Parameters
    ----------
    rows : sequence of Row
        Observation rows; the assay is filled in.
    names : mapping
        DVID → assay name.
    default : str
        Assay when there is no DVID.
    record : Record
        Receives excluded rows and remarks.

    Returns
    -------
    list of Row
        Rows with an assay.
    """
    by_dvid = any(not is_missing(row["DVID"]) for row in rows)
    kept = []
    for row in rows:
        dvid = identifier(row["DVID"])
        row.assay = names.get(dvid, dvid) if by_dvid else default
        if by_dvid and is_missing(dvid):
            row.assay = ""
            record.exclude(row, "assay-given", row["DV"], "DVID is empty; other rows have one")
        else:
            kept.append(row)
    compartments = sorted({row["CMT"] for row in kept if not is_missing(row["CMT"])})
    if not by_dvid and len(compartments) > 1:
        record.remark(
            "warning", "one-assay", "column CMT",
            f"samples have CMT {', '.join(compartments)} but no DVID; all were read as assay {default!r}; "
            'if CMT tells the assays apart, say columns={"DVID": "CMT"}',
        )  # fmt: skip
    return kept

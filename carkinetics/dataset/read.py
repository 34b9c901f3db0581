"""A NONMEM-style table → Dataset.

Every row of the table ends in ``observations``, ``doses``, ``events`` or ``excluded``; nothing is
dropped in silence. Reading raises only where going on would lie: no such column, no unit, two units
in one assay. All other problems are kept for `carkinetics.check`, which reports them at once.

Conventions
-----------
EVID 0 is an observation, 1 a dose, 2 another event; without EVID a row with AMT is a dose and a row
with EVENT an event. CENS and LIMIT are Monolix's: at CENS 1 the value is the upper limit and LIMIT
the lower one; at CENS -1 the value is the upper limit of quantification. Tables are sorted by subject and time, so the order of rows and columns in the file
does not matter.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from carkinetics.dataset.cell import identifier, is_missing, natural_order, number_in, read_cell
from carkinetics.dataset.columns import ColumnMap
from carkinetics.dataset.doses import (
    dose_table,
    event_rows,
    events_by_subject,
    known_dose_unit,
    shift_to_first_infusion,
    sorted_table,
    valid_doses,
    with_dose_level,
)
from carkinetics.dataset.limits import (
    assay_kinds,
    assay_units,
    by_assay,
    lower_limit,
    positive_limits,
    read_level,
    refusal,
    unread_limits,
    usual_limit,
)
from carkinetics.dataset.place import numbers_in_words
from carkinetics.dataset.record import Record, Row
from carkinetics.dataset.rows import kind_of, read_rows, with_assay, with_subject_and_time
from carkinetics.dataset.source import Source
from carkinetics.dataset.subjects import (
    add_subject_table,
    subject_cells,
    subject_frame,
    take_columns,
    weights,
)
from carkinetics.dataset.table import (
    ASSAY_COLUMNS,
    EVENT_COLUMNS,
    OBSERVATION_COLUMNS,
    Dataset,
    typed_table,
)
from carkinetics.errors import DataError


def read_nonmem(
    source: Source | Sequence[Source],
    *,
    value_unit: str | Mapping[object, str] | None = None,
    lloq: float | Mapping[object, float] | None = None,
    lod: float | Mapping[object, float] | None = None,
    uloq: float | Mapping[object, float] | None = None,
    time_unit: str = "day",
    dose_unit: str = "cells/kg",
    columns: ColumnMap | None = None,
    subjects: Source | None = None,
    event_columns: Mapping[str, str] | None = None,
    assay_names: Mapping[object, str] | None = None,
    default_assay: str = "car",
    markers: Iterable[object] | None = None,
    sheet: str | int | None = None,
) -> Dataset:
    """Read a long table with NONMEM-style columns.

    Parameters
    ----------
    source : str, pathlib.Path, pandas.DataFrame or a sequence of these
        CSV, TSV, Excel, Parquet or a frame; several are put under each other. Columns ID, TIME and
        DV, and where they exist AMT, EVID, MDV, CMT, DVID, CENS, LIMIT, LLOQ, LOD, ULOQ, UNIT, EVENT, WT,
        in any order and case. Other columns that are constant within subjects are covariates.
    value_unit : str or mapping, optional
        Unit of DV, or units by assay. May be left out if there is a UNIT column.
    lloq, lod : float or mapping, optional
        Limits of quantification and of detection in the assay's unit, or limits by assay. A limit
        on the row (columns LLOQ and LOD, or a cell such as ``<25``) goes before them.
    uloq : float or mapping, optional
        Upper limit of quantification, or one by assay. A higher value, a cell such as ``>1e6`` and a row with
        CENS -1 are known to lie above; the limit in the cell, or a column ULOQ, goes before this one.
    time_unit : {"day", "hour", "week", "minute", "month", "year"}
        Unit of TIME and of ``event_columns``.
    dose_unit : {"cells/kg", "cells"}
        Unit of AMT. A dose row whose UNIT is one of the two goes before it.
    columns : mapping, optional
        Role → column, such as ``{"ID": "USUBJID", "DV": "AVAL"}``. ``"DV"`` may name several columns
        of a wide table by assay: ``{"DV": {"qpcr": "COPIES", "flow": "CELLS"}}``.
    subjects : str, pathlib.Path or pandas.DataFrame, optional
        Table with one row per subject and an ID column.
    event_columns : mapping, optional
        Event → subject-level column with its day, on the clock of TIME: ``{"tocilizumab": "TOCI_DAY"}``.
    assay_names : mapping, optional
        DVID → assay name: ``{1: "qpcr", 2: "flow"}``.
    default_assay : str
        Name of the assay when there is no DVID.
    markers : iterable, optional
        Assays that exist without CAR-T cells, such as cytokines, tumour size or lymphocyte counts: they
        are not zero before the infusion. If not given, the unit decides: copies, cells and % are
        CAR-T levels, all else is a marker.
    sheet : str or int, optional
        Sheet of an Excel file; the first one if not given.

    Returns
    -------
    Dataset
        Times in days since each subject's first infusion.

    Raises
    ------
    DataError
        If a file cannot be read or is empty, a required column is missing, an assay has no unit, a
        limit is not a number above 0, or no observation is left.
    UnitError
        If an assay has two units, or a unit of time or dose is not known.

    Notes
    -----
    How BLQ rows are understood is written in `carkinetics.dataset.table`. Rows at or before the
    first infusion that are not quantified are structural zeros, not BLQ, unless the assay is a marker.

    Examples
    --------
    >>> frame = pd.DataFrame({"ID": [1, 1, 1], "TIME": [0, 7, 28], "DV": ["BLQ", 2400, "<50"]})
    >>> read_nonmem(frame, value_unit="copies/ug").observations["status"].tolist()
    ['predose', 'quantified', 'below_lloq']
    """
    record = Record()
    dose_unit = known_dose_unit(dose_unit)
    sources = [source] if isinstance(source, str | Path | pd.DataFrame) else list(source)
    everything, names = read_rows(sources, columns, record, sheet)
    rows = with_subject_and_time(everything, time_unit, record)
    by_kind: dict[str, list[Row]] = {"dose": [], "event": [], "observation": [], "": []}
    for row in rows:
        by_kind[kind_of(row, record)].append(row)
    dose_rows = valid_doses(by_kind["dose"], record)
    zero = shift_to_first_infusion(rows, dose_rows, record)
    named = {identifier(str(key)): name for key, name in (assay_names or {}).items()}
    observed = with_assay(by_kind["observation"], named, default_assay, record)
    observations, assays = _observations(observed, named, value_unit, (lloq, lod, uloq), markers, record)

    with_subject = [row for row in everything if row.subject]
    cells = subject_cells(with_subject, record, wanted=list((event_columns or {}).values()))
    if subjects is not None:
        add_subject_table(cells, subjects, columns, record)
    days = take_columns(cells, event_columns or {})
    events = event_rows(by_kind["event"], record)
    events += events_by_subject(days, time_unit, zero, record)
    subject_table = subject_frame(cells)
    doses = dose_table(dose_rows, dose_unit, weights(subject_table))
    return Dataset(
        observations=observations,
        subjects=with_dose_level(subject_table, doses),
        doses=doses,
        events=sorted_table(typed_table(events, (*EVENT_COLUMNS, "file")), ["event", "value"]),
        assays=assays,
        excluded=record.excluded_table(),
        remarks=record.remarks_table(),
        source=", ".join(names),
    )


def _observations(
    rows: list[Row],
    names: Mapping[str, str],
    value_unit: str | Mapping[object, str] | None,
    limits: tuple[float | Mapping[object, float] | None, ...],
    markers: Iterable[object] | None,
    record: Record,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables of observations and of assays."""
    assays = sorted({row.assay for row in rows}, key=natural_order)
    units = assay_units(rows, by_assay(value_unit, assays, names, "value_unit"))
    kinds = assay_kinds(units, markers, names)
    lloqs, lods, uloqs = (
        positive_limits(by_assay(given, assays, names, what), what)
        for given, what in zip(limits, ("lloq", "lod", "uloq"), strict=True)
    )
    _say_unread_limits(rows, kinds, record)
    found = []
    for row in rows:
        cell, cens = read_cell(row["DV"]), number_in(row["CENS"])
        if np.isnan(cens) and not is_missing(row["CENS"]):
            # Read as a number, a censored value would count as measured.
            record.exclude(
                row,
                "cens-known",
                f"CENS {row['CENS']}",
                "expected CENS 0 (quantified), 1 (below LLOQ) or -1 (above ULOQ)",
            )
            continue
        upper = _row_limit(row, "ULOQ", uloqs)
        if refused := refusal(cell, cens, kinds[row.assay], upper):
            record.exclude(row, refused[0], row["DV"], refused[1])
            continue
        reading = read_level(
            cell,
            row.time,
            lloq=_row_limit(row, "LLOQ", lloqs),
            lod=_row_limit(row, "LOD", lods),
            cens=cens,
            limit=lower_limit(row, kinds[row.assay]),
            kind=kinds[row.assay],
            uloq=upper,
        )
        found.append(
            {"subject": row.subject, "assay": row.assay, "time": row.time, "value": reading.value,
             "status": reading.status, "lower": reading.lower, "upper": reading.upper, "lod": reading.lod,
             "lloq": reading.lloq, "unit": units[row.assay], "row": row.line, "reported": row["DV"], "file": row.file}
        )  # fmt: skip
    if not found:
        raise DataError(_nothing_left(record))
    usual = {
        assay: {
            name: usual_limit([row for row in rows if row.assay == assay], name.upper(), given.get(assay))
            for name, given in (("lloq", lloqs), ("lod", lods), ("uloq", uloqs))
        }
        for assay in assays
    }
    extra = ("kind", "uloq") if any(usual[assay]["uloq"] > 0 for assay in assays) else ("kind",)
    assay_table = typed_table(
        ({"assay": assay, "unit": units[assay], **usual[assay], "kind": kinds[assay]} for assay in assays),
        (*ASSAY_COLUMNS, *extra),
    )
    table = typed_table(found, (*OBSERVATION_COLUMNS, "reported", "file"))
    return sorted_table(table, ["assay", "status", "value", "upper", "reported"]), assay_table


def _say_unread_limits(rows: list[Row], kinds: Mapping[str, str], record: Record) -> None:
    """Remarks on limits that are not numbers."""
    for (column, text), at in unread_limits(rows, kinds).items():
        expected = "from 0" if column == "LIMIT" else "above 0"
        record.remark(
            "error", "limit-is-number", f"column {column}, {numbers_in_words(row.line for row in at)}",
            f"{column} is {text!r}; expected a number {expected} or an empty cell; not read, so the assay's usual limit "
            "holds here",
        )  # fmt: skip


def _row_limit(row: Row, column: str, usual: Mapping[str, float]) -> float:
    """Limit on the row, else of its assay."""
    own = number_in(row[column])
    return own if own > 0 else usual.get(row.assay, np.nan)


def _nothing_left(record: Record) -> str:
    """Error message: why no observation is left."""
    lines: dict[str, list[tuple[Row, str]]] = {}
    for row, rule, found, reason in record.excluded:
        lines.setdefault(f"{rule}: {reason}", []).append((row, found))
    why = "; ".join(
        f"{numbers_in_words(row.line for row, _ in rows)}, {text}; found {rows[0][1]!r}"
        for text, rows in lines.items()
    )
    return f"no observation is left; {why or 'the table has only doses and events'}"

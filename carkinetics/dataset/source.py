"""What stands in the file: text cells with the line they came from.

CSV, TSV, Excel, Parquet and DataFrames all become the same thing, a `RawTable` of texts, so that
``<50``, ``001`` and an empty cell look the same wherever they were written.

Conventions
-----------
The header is line 1. A DataFrame and a Parquet file are numbered as if they had been written to
CSV: their first row is line 2. Blank lines count, but hold no row.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from carkinetics.dataset.cell import cell_text
from carkinetics.errors import DataError

type Source = str | Path | pd.DataFrame
_TEXT, _EXCEL, _PARQUET = (".csv", ".tsv", ".txt", ".dat"), (".xlsx", ".xlsm"), (".parquet", ".pq")


@dataclass(frozen=True, slots=True)
class RawTable:
    """Cells as text.

    Parameters
    ----------
    name : str
        File name, or ``"table"`` for a DataFrame.
    header : tuple of str
        Column names as written.
    lines : tuple of (int, tuple of str)
        Line number and cells, as many cells as the header has.
    broken : tuple of (int, str)
        Line number and description of rows with more or fewer cells than the header.
    """

    name: str
    header: tuple[str, ...]
    lines: tuple[tuple[int, tuple[str, ...]], ...]
    broken: tuple[tuple[int, str], ...] = ()


def read_table(source: Source, *, sheet: str | int | None = None) -> RawTable:
    """Read one file or frame as text.

    Parameters
    ----------
    source : str, pathlib.Path or pandas.DataFrame
        A frame, or a path ending in ``.csv``, ``.tsv``, ``.txt``, ``.dat``, ``.xlsx``, ``.xlsm``,
        ``.parquet`` or ``.pq``.
    sheet : str or int, optional
        Sheet of an Excel file; the first one if not given.

    Returns
    -------
    RawTable
        The cells.

    Raises
    ------
    DataError
        If the file cannot be read, is empty, has no rows or names a column twice.
    """
    if isinstance(source, pd.DataFrame):
        return _table("table", _frame_rows(source))
    path = Path(source)
    ending = path.suffix.lower()
    if ending not in (*_TEXT, *_EXCEL, *_PARQUET):
        known = ", ".join((*_TEXT, *_EXCEL, *_PARQUET))
        raise DataError(f"{path}: file ending {ending!r} is not known; expected one of {known}")
    try:
        if ending in _TEXT:
            rows = _text_rows(path)
        elif ending in _EXCEL:
            sheet_frame = pd.read_excel(
                path, sheet_name=0 if sheet is None else sheet, header=None, dtype=object
            )
            rows = list(enumerate(_texts(sheet_frame), start=1))
        else:
            rows = _frame_rows(pd.read_parquet(path))
    except DataError:
        raise
    except OSError as problem:
        raise DataError(f"{path}: cannot be read: {problem.strerror or problem}") from problem
    except Exception as problem:  # every reader has its own errors for a damaged file
        raise DataError(f"{path}: cannot be read: {problem}") from problem
    return _table(path.name, rows)


def _texts(frame: pd.DataFrame) -> list[tuple[str, ...]]:
    """Cells of a frame as text."""
    columns = [[cell_text(value) for value in frame.iloc[:, i]] for i in range(frame.shape[1])]
    return list(zip(*columns, strict=True))


def _frame_rows(frame: pd.DataFrame) -> list[tuple[int, tuple[str, ...]]]:
    """Header and rows of a frame, numbered as in a CSV file."""
    header = tuple(str(name).strip() for name in frame.columns)
    return list(enumerate([header, *_texts(frame)], start=1))


def _text_rows(path: Path) -> list[tuple[int, tuple[str, ...]]]:
    """Rows of a text file; the separator is the one that the first line uses most."""
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252")  # what Excel on Windows writes: µ is a single byte there
    if "\0" in text:
        raise DataError(f"{path}: holds binary content, not a table in text form")
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max("\t,;", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows, line = [], 1
    for cells in reader:
        rows.append((line, tuple(cell.strip() for cell in cells)))
        line = reader.line_num + 1
    return rows


def _table(name: str, rows: Iterable[tuple[int, tuple[str, ...]]]) -> RawTable:
    """Header apart from rows, each row as long as the header."""
    filled = [(line, cells) for line, cells in rows if any(cells)]
    if not filled:
        raise DataError(f"{name}: the table is empty; expected a header with ID, TIME and DV, and rows")
    header = _header(name, filled[0][1])
    lines: list[tuple[int, tuple[str, ...]]] = []
    broken: list[tuple[int, str]] = []
    for line, cells in filled[1:]:
        used = len(cells)
        while used > len(header) and not cells[used - 1]:
            used -= 1
        if used == len(header):
            lines.append((line, cells[:used]))
        else:
            broken.append((line, f"{used} cells where the header has {len(header)}"))
    if not lines:
        found = f"; line {broken[0][0]} has {broken[0][1]}" if broken else ""
        raise DataError(f"{name}: the table has a header but no rows{found}")
    return RawTable(name, header, tuple(lines), tuple(broken))


def _header(name: str, cells: Sequence[str]) -> tuple[str, ...]:
    """Column names, each once; a column without a name is called by its position."""
    last = max(i for i, cell in enumerate(cells) if cell)
    header = [cell or f"column {i + 1}" for i, cell in enumerate(cells[: last + 1])]
    seen: dict[str, int] = {}
    for i, column in enumerate(header):
        first = seen.setdefault(column.upper(), i)
        if first != i:
            raise DataError(
                f"{name}: column {column!r} occurs twice, as columns {first + 1} and {i + 1}; "
                "upper and lower case are the same here; expected each name once"
            )
    return tuple(header)

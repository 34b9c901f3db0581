"""One row of the table on its way in, and the record of everything that was not simply taken over.

Every row ends in a table of the Dataset or in ``excluded`` with a rule and a reason; whatever else a
reader would want to know and the tables no longer show becomes a remark.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from carkinetics.dataset.cell import natural_order
from carkinetics.dataset.table import EXCLUDED_COLUMNS, REMARK_COLUMNS, typed_table
from carkinetics.findings import Severity

EXCLUSIONS: dict[str, Severity] = {
    "cell-count": "error",
    "id-given": "error",
    "time-given": "error",
    "evid-known": "error",
    "evid-amt": "error",
    "evid-mdv": "warning",
    "dose-amount": "error",
    "dose-positive": "error",
    "event-named": "warning",
    "subject-once": "warning",
    "assay-given": "error",
    "cens-known": "error",
    "value-missing": "warning",
    "value-not-taken": "note",
    "value-is-number": "error",
    "value-not-negative": "error",
    "right-censored": "warning",
}


@dataclass(slots=True, eq=False)
class Row:
    """One row: its cells by column role, where it stood, and what is known of it so far.

    Parameters
    ----------
    cells : mapping of str to str
        Text by column name.
    line : int
        Line of the file.
    file : str
        File name; empty when only one file was read.
    subject : str
        Subject identifier.
    time : float
        Day; since the first infusion once the reader has shifted it.
    assay : str
        Assay of an observation.
    """

    cells: Mapping[str, str]
    line: int
    file: str = ""
    subject: str = ""
    time: float = np.nan
    assay: str = ""

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")

    @property
    def place(self) -> str:
        """Place in words."""
        return f"subject {self.subject}, {self.file + ' ' if self.file else ''}row {self.line}"


@dataclass(slots=True)
class Record:
    """What was left out, and what is worth saying.

    Parameters
    ----------
    excluded : list
        Rows with found text, rule and reason.
    remarks : list of dict
        Rows of the ``remarks`` table.
    """

    excluded: list[tuple[Row, str, str, str]] = field(default_factory=list)
    remarks: list[dict[str, object]] = field(default_factory=list)

    def exclude(self, row: Row, rule: str, found: str, reason: str) -> None:
        """Leave a row out; the rule is a key of `EXCLUSIONS`."""
        self.excluded.append((row, rule, found, reason))

    def remark(self, severity: Severity, rule: str, where: str, message: str, *, subject: str = "") -> None:
        """Add a remark, about one subject or about the whole table."""
        values = (severity, rule, subject, where, message)
        self.remarks.append(dict(zip(REMARK_COLUMNS, values, strict=True)))

    def excluded_table(self) -> pd.DataFrame:
        """Excluded rows, sorted by what they say and not by where they stood."""
        rows = sorted(
            self.excluded,
            key=lambda entry: (natural_order(entry[0].subject), np.nan_to_num(entry[0].time, nan=-1e300),
                               entry[1], entry[2], entry[0].file, entry[0].line),
        )  # fmt: skip
        return typed_table(
            (
                {"row": row.line, "subject": row.subject, "time": row.time, "assay": row.assay,
                 "found": found, "rule": rule, "reason": reason, "file": row.file}
                for row, rule, found, reason in rows
            ),
            (*EXCLUDED_COLUMNS, "file"),
        )  # fmt: skip

    def remarks_table(self) -> pd.DataFrame:
        """Remarks as a table."""
        return typed_table(self.remarks, REMARK_COLUMNS)

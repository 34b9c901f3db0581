"""Remarks on a dataset or a fit, to be read by a person, and their table."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

import pandas as pd

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Finding:
    """One remark: how bad, which rule, where, and a sentence.

    Parameters
    ----------
    severity : {"error", "warning", "note"}
        An error makes a result wrong, a warning may, a note informs.
    rule : str
        Stable name such as ``"time-increases"``, to be searched for and switched off.
    where : str
        Place in words: ``"subject 101-004, row 17"``.
    message : str
        A sentence with what was found and what would be right.
    """

    severity: Severity
    rule: str
    where: str
    message: str


def findings_table(findings: Iterable[Finding]) -> pd.DataFrame:
    """Findings as a table, worst first and otherwise in the order they were made.

    Parameters
    ----------
    findings : iterable of Finding
        The remarks.

    Returns
    -------
    pandas.DataFrame
        Columns ``severity, rule, where, message``; no rows when nothing was found.
    """
    rows = sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))
    return pd.DataFrame([asdict(row) for row in rows], columns=["severity", "rule", "where", "message"])

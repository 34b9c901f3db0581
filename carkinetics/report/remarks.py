"""All remarks of all steps, worst first."""

from __future__ import annotations

import pandas as pd

from carkinetics.dataset import check
from carkinetics.exposure import nca_findings
from carkinetics.findings import SEVERITIES
from carkinetics.report.blocks import Block, Section, Table, Text, listing
from carkinetics.report.parts import Parts
from carkinetics.response import exposure_response_findings

# A rule that speaks of more places than this is one line with its first places.
MOST_PLACES = 3


def all_findings(parts: Parts) -> pd.DataFrame:
    """Remarks from everywhere, worst first.

    Parameters
    ----------
    parts : Parts
        What the report shows.

    Returns
    -------
    pandas.DataFrame
        Columns ``about, severity, rule, where, message``.
    """
    tables = [("run", parts.findings)] if parts.findings is not None else []
    if parts.data is not None:
        tables.append(("data", check(parts.data)))
    tables += [(f"fit of {fit.name}", found) for fit, found in parts.fits]
    tables += [("NCA", nca_findings(one)) for one in parts.observed]
    tables += [("exposure-response", exposure_response_findings(model)) for model in parts.outcomes]
    columns = ["about", "severity", "rule", "where", "message"]
    rows = [{"about": about, **row} for about, table in tables for row in table.to_dict("records")]
    found = pd.DataFrame(rows, columns=columns)
    return found.sort_values("severity", key=lambda s: s.map(SEVERITIES.index), kind="stable").reset_index(
        drop=True
    )


def grouped(found: pd.DataFrame) -> list[tuple[str, str, str, str, str]]:
    """Join the remarks of one rule on many places.

    Parameters
    ----------
    found : pandas.DataFrame
        From `all_findings`.

    Returns
    -------
    list of (str, str, str, str, str)
        Severity, what it is about, rule, where, sentence; worst first.
    """
    short: list[tuple[str, str, str, str, str]] = []
    for (severity, about, rule), rows in found.groupby(["severity", "about", "rule"], sort=False):
        keys = (str(severity), str(about), str(rule))
        if len(rows) <= MOST_PLACES:
            short += [(*keys, str(row["where"]), str(row["message"])) for row in rows.to_dict("records")]
        else:
            where = f"{len(rows)} places: {listing(rows['where'], MOST_PLACES)}"
            short.append((*keys, where, f"First of them: {rows['message'].iloc[0]}"))
    return short


def warning_section(parts: Parts) -> Section:
    """All remarks, worst first; a rule with many places is one line, and the full list can be opened."""
    found = all_findings(parts)
    if found.empty:
        return Section("warnings", "Warnings", (Text("Nothing was found.", "good"),))
    heads = ("Severity", "About", "Rule", "Where", "What")
    short = grouped(found)
    blocks: list[Block] = [Table("Remarks, worst first", heads, tuple(short), align="l")]
    if len(short) < len(found):
        full = tuple(
            tuple(str(value) for value in row)
            for row in found[["severity", "about", "rule", "where", "message"]].to_numpy()
        )
        blocks.append(Table(f"All {len(found)} remarks", heads, full, align="l", folded=True))
    return Section("warnings", "Warnings", tuple(blocks))

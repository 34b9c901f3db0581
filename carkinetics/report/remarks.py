"""What a reader must know before the numbers, and all remarks of all steps, worst first."""

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


def verdict(parts: Parts) -> tuple[Text, ...]:
    """What a hurried reader must know: converged or not, because of what, and how much to distrust.

    Parameters
    ----------
    parts : Parts
        What the report shows.

    Returns
    -------
    tuple of Text
        Coloured boxes.
    """
    boxes = []
    for fit, found in parts.fits:
        converged = bool(found.attrs["converged"])
        name = f"{fit.name}: " if len(parts.fits) > 1 else ""
        sentence = str(found.attrs["verdict"])
        text = name + sentence[:1].upper() + sentence[1:] + "."
        if not converged:
            text += " Every number below that rests on this fit is marked."
        boxes.append(Text(text, "good" if converged else "bad"))
    boxes += [
        Text(
            f"Two engines disagree on this posterior: |z| up to {one.attrs['largest_z']:.1f}, see Convergence.",
            "bad",
        )
        for one in parts.checks
        if not one.attrs["agree"]
    ]
    if not parts.fits and (parts.data is not None or parts.observed):
        boxes.append(
            Text("No population fit in this report: numbers come from the observations alone.", "caution")
        )
    counts = all_findings(parts)["severity"].value_counts()
    said = [f"{counts[s]} {s}{'s' if counts[s] > 1 else ''}" for s in SEVERITIES if s in counts]
    if said:
        tone = "bad" if "error" in counts else "caution" if "warning" in counts else ""
        boxes.append(Text(f"Remarks: {', '.join(said)}; listed worst first under Warnings.", tone))
    return tuple(boxes)


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


def warning_section(parts: Parts) -> Section:
    """All remarks, worst first; a rule with many places is one line, and the full list can be opened."""
    found = all_findings(parts)
    if found.empty:
        return Section("warnings", "Warnings", (Text("Nothing was found.", "good"),))
    heads = ("Severity", "About", "Rule", "Where", "What")
    short = []
    for (severity, about, rule), rows in found.groupby(["severity", "about", "rule"], sort=False):
        keys = (str(severity), str(about), str(rule))
        if len(rows) <= MOST_PLACES:
            short += [(*keys, str(row["where"]), str(row["message"])) for row in rows.to_dict("records")]
        else:
            where = f"{len(rows)} places: {listing(rows['where'], MOST_PLACES)}"
            short.append((*keys, where, f"First of them: {rows['message'].iloc[0]}"))
    blocks: list[Block] = [Table("Remarks, worst first", heads, tuple(short), align="l")]
    if len(short) < len(found):
        full = tuple(
            tuple(str(value) for value in row)
            for row in found[["severity", "about", "rule", "where", "message"]].to_numpy()
        )
        blocks.append(Table(f"All {len(found)} remarks", heads, full, align="l", folded=True))
    return Section("warnings", "Warnings", tuple(blocks))

"""All remarks of all steps, worst first."""

from __future__ import annotations

import pandas as pd

from carkinetics.report.blocks import Block, Section, Table, Text
from carkinetics.report.parts import Parts
from carkinetics.report.written import listing

# A rule that speaks of more places than this is one line with its first places.
MOST_PLACES = 3
ON_PAPER = 30  # rows of the full list; the short one has every rule


def grouped(found: pd.DataFrame) -> list[tuple[str, str, str, str, str]]:
    """Join the remarks of one rule on many places.

    Parameters
    ----------
    found : pandas.DataFrame
        ``Parts.remarks``.

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


def merged(found: pd.DataFrame) -> list[tuple[str, ...]]:
    """Join remarks that say the same of several places.

    Parameters
    ----------
    found : pandas.DataFrame
        ``Parts.remarks``.

    Returns
    -------
    list of (str, str, str, str, str)
        As from `grouped`, with all places; in the order of the first of each.
    """
    places: dict[tuple[str, ...], list[str]] = {}
    for row in found[["severity", "about", "rule", "message", "where"]].astype(str).itertuples(index=False):
        places.setdefault(tuple(row[:4]), []).append(row[4])
    return [(*key[:3], _places(where), key[3]) for key, where in places.items()]


def _places(where: list[str]) -> str:
    """Places in a row; "subject" once where all are subjects and nothing more."""
    prefix = "subject "
    names = [one.removeprefix(prefix) for one in where]
    if len(where) > 1 and all(one.startswith(prefix) and "," not in one for one in where):
        return f"{prefix}{', '.join(names)}"
    return "; ".join(where)


def warning_section(parts: Parts) -> Section:
    """All remarks, worst first; a rule with many places is one line, and the full list can be opened."""
    found = parts.remarks
    if found.empty:
        return Section("warnings", "Warnings", (Text("Nothing was found.", "good"),))
    heads = ("Severity", "About", "Rule", "Where", "What")
    short = grouped(found)
    blocks: list[Block] = [Table("Remarks, worst first", heads, tuple(short), align="l")]
    if len(short) < len(found):
        full = merged(found)
        caption = f"All {len(found)} remarks"
        blocks.append(Table(caption, heads, tuple(full), align="l", folded=True, on_paper=ON_PAPER))
    return Section("warnings", "Warnings", tuple(blocks))

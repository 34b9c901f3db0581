"""What was measured: assays, BLQ by time, infusions, rows that were left out."""

from __future__ import annotations

import numpy as np

from carkinetics.dataset import Dataset, blq_table
from carkinetics.dataset.table import CENSORED, PREDOSE
from carkinetics.report import figures
from carkinetics.report.blocks import Block, Section, Table, Text
from carkinetics.report.parts import Parts
from carkinetics.report.written import amount, listing, number, percent

MOST_EXCLUDED = 30
ON_PAPER = 40  # rows of the shares BLQ


def data_section(parts: Parts) -> Section | None:
    """Subjects, samples, BLQ by time, findings, excluded rows."""
    data = parts.data
    if data is None:
        return None
    blocks: list[Block] = [_assay_table(data, parts.assays), *figures.profiles(data, parts.assays)]
    blocks += _blq(data, parts.assays)
    if len(data.doses):
        blocks.append(_dose_table(data))
    if len(data.excluded):
        blocks.append(_excluded(data))
    else:
        blocks.append(Text("No row of the source was excluded."))
    return Section("data", "Data", tuple(blocks))


def _assay_table(data: Dataset, first: list[str]) -> Table:
    """One row per assay; those analysed come first."""
    rows = []
    after = data.observations[(data.observations["status"] != PREDOSE) & (data.observations["time"] > 0)]
    for assay in sorted(data.assays.itertuples(), key=lambda one: one.assay not in first):
        observed = after[after["assay"] == assay.assay]
        below = int(observed["status"].isin(CENSORED).sum())
        never = observed.groupby("subject")["status"].agg(lambda s: "quantified" not in set(s)).sum()
        rows.append(
            (
                str(assay.assay), str(assay.unit), str(observed["subject"].nunique()), str(len(observed)), str(below),
                percent(below / len(observed) if len(observed) else np.nan), number(assay.lloq), number(assay.lod),
                str(int(never)),
            )
        )  # fmt: skip
    heads = (
        "Assay",
        "Unit",
        "Subjects",
        "Samples",
        "BLQ",
        "Share BLQ",
        "LLOQ",
        "LOD",
        "Subjects never quantified",
    )
    note = f"{len(data.subjects)} subjects in all. Samples taken after the first infusion; earlier ones are not counted."
    return Table("What was measured", heads, tuple(rows), note=note, align="llr")


def _blq(data: Dataset, first: list[str]) -> list[Block]:
    """Shares BLQ by time, of assays that have a limit; those analysed come first."""
    last = data.observations.groupby("assay")["time"].max()
    table = blq_table(data).rename(columns={"from": "start", "to": "end"})
    below = table.groupby("assay")["n_blq"].sum()
    limits = data.assays.set_index("assay")["lloq"]
    able = [name for name in below.index if below[name] or limits.get(name, np.nan) > 0]
    able.sort(key=lambda name: name not in first)  # stable: otherwise as they are
    rows = tuple(
        (
            str(row.assay), f"{row.start:g} to {min(row.end, last[row.assay]):g}", str(row.n), str(row.n_blq), percent(row.n_blq / row.n),
        )
        for name in able
        for row in table[table["assay"] == name].itertuples()
    )  # fmt: skip
    if not rows:
        return []
    without = [str(name) for name in table["assay"].unique() if name not in able]
    note = f"No limit of quantification: {listing(without)}." if without else ""
    heads = ("Assay", "Days since infusion", "Samples", "BLQ", "Share BLQ")
    return [
        Table("Below the limit of quantification, by time", heads, rows, note, align="llr", folded=True, on_paper=ON_PAPER)
    ]  # fmt: skip


def _dose_table(data: Dataset) -> Table:
    first = data.doses.sort_values("time", kind="stable").drop_duplicates("subject")
    rows = []
    for unit, block in first.groupby("unit", sort=False):
        for dose, group in block.groupby("amount"):
            rows.append((amount(float(dose)), str(unit), str(len(group)), listing(group["subject"], 12)))
    note = ""
    more = data.doses["subject"].value_counts()
    if (more > 1).any():
        note = f"Infused more than once: {listing(more[more > 1].index)}."
    return Table(
        "First infusion",
        ("Dose", "Unit", "Subjects", "Who"),
        tuple(rows),
        note=note,
        align="llrl",
        folded=len(rows) > 12,
    )


def _excluded(data: Dataset) -> Table:
    rows = tuple(
        (str(row.row), str(row.subject), number(row.time), str(row.assay), str(row.found), str(row.reason))
        for row in data.excluded.itertuples()
    )
    heads = ("Row", "Subject", "Time", "Assay", "Found", "Why it was left out")
    caption = f"Rows of the source that were left out ({len(rows)})"
    return Table(caption, heads, rows, folded=len(rows) > MOST_EXCLUDED, align="l")

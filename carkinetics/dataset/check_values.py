"""Data rules about values: limits, substituted constants, impossible sizes, two assays that disagree."""

import re
from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd

from carkinetics.dataset.place import place, rows_in_words
from carkinetics.dataset.table import (
    BELOW_LLOQ,
    NOT_DETECTED,
    PREDOSE,
    QUANTIFIED,
    Dataset,
    car_observations,
    is_above,
    is_censored,
)
from carkinetics.findings import Finding
from carkinetics.units import DIPLOID_GENOME_PG, genomes_per_microgram

_COPIES_PER_CELLS = re.compile(r"copies/(\d*)\s*(?:cells?|genomes?)")
RATIO_OFF = 0.2
# Neighbouring measurements of a qPCR or flow assay differ by 10 % and more (acceptance CV 25-30 % at
# the LLOQ); a curve read from a figure follows its neighbours within 1-2 %.
SMOOTH, SMOOTH_TRIPLES = 0.02, 20


def check_lloq_given(data: Dataset) -> Iterator[Finding]:
    """A BLQ value says nothing unless the limit is known."""
    unknown = data.observations[is_censored(data.observations) & data.observations["upper"].isna().to_numpy()]
    for assay, rows in unknown.groupby("assay", sort=False):
        zeros = int((rows["status"] == NOT_DETECTED).sum())
        unit = rows["unit"].iloc[0]
        yield Finding(
            "error", "lloq-given", f"assay {assay}, {rows_in_words(rows)}",
            f"{len(rows)} values are BLQ ({zeros} of them zero or not detected) and no limit is known; a zero is a result "
            f"below a limit, not a level of 0: read again with lod={{{assay!r}: ...}} or lloq={{{assay!r}: ...}} in {unit}",
        )  # fmt: skip


def check_lloq_respected(data: Dataset) -> Iterator[Finding]:
    """No value below its own LLOQ is called quantified."""
    table = data.observations
    for row in table[(table["status"] == QUANTIFIED) & (table["value"] < table["lloq"])].itertuples():
        yield Finding(
            "error", "lloq-respected", place(row),
            f"{row.assay} {row.value:g} {row.unit} is called quantified below its LLOQ of {row.lloq:g}",
        )  # fmt: skip


def check_limits_ordered(data: Dataset) -> Iterator[Finding]:
    """LOD ≤ LLOQ, and the interval of a BLQ value is not empty."""
    table = data.observations
    above = table[table["lod"] > table["lloq"]]
    for (assay, lod, lloq), rows in above.groupby(["assay", "lod", "lloq"], sort=False):
        yield Finding(
            "error", "limits-ordered", f"assay {assay}, {rows_in_words(rows)}",
            f"LOD {lod:g} is above LLOQ {lloq:g}; expected LOD at or below LLOQ",
        )  # fmt: skip
    empty = table[is_censored(table) & (table["lower"] >= table["upper"]).to_numpy()]
    for row in empty.itertuples():
        yield Finding(
            "error", "limits-ordered", place(row),
            f"the {row.assay} value would lie between {row.lower:g} and {row.upper:g}; expected the lower limit below "
            "the upper one (LIMIT below DV where CENS is 1)",
        )  # fmt: skip


def check_limit_differs(data: Dataset) -> Iterator[Finding]:
    """BLQ values with another limit than the assay's usual one."""
    usual = data.observations["assay"].map(data.assays.set_index("assay")["lloq"].astype(float))
    table = data.observations
    other = table[
        (table["status"] == BELOW_LLOQ) & (table["upper"] != usual) & table["upper"].notna() & usual.notna()
    ]
    for assay, rows in other.groupby("assay", sort=False):
        limits = ", ".join(f"{limit:g}" for limit in sorted(set(rows["upper"]))[:6])
        yield Finding(
            "note", "limit-differs", f"assay {assay}, {rows_in_words(rows)}",
            f"{len(rows)} BLQ values have a limit of their own ({limits}; usual {usual[rows.index[0]]:g}); right where the "
            "DNA input was low, wrong where a measured number stands with CENS 1",
        )  # fmt: skip


def check_blq_share(data: Dataset) -> Iterator[Finding]:
    """How much of each assay is BLQ."""
    after = data.observations[(data.observations["status"] != PREDOSE) & (data.observations["time"] > 0)]
    for assay, rows in after.groupby("assay", sort=False):
        n = int(is_censored(rows).sum())
        if n:
            yield Finding(
                "note", "blq-share", f"assay {assay}",
                f"{n} of {len(rows)} samples after the infusion are BLQ ({100 * n / len(rows):.1f} %)",
            )  # fmt: skip


def check_above_uloq(data: Dataset) -> Iterator[Finding]:
    """Values above the upper limit: the peak is known to be at least that high, and no more."""
    above = data.observations[is_above(data.observations)]
    for assay, rows in above.groupby("assay", sort=False):
        yield Finding(
            "warning" if len(rows) > 0.05 * (data.observations["assay"] == assay).sum() else "note", "above-uloq",
            f"assay {assay}, {rows_in_words(rows)}",
            f"{len(rows)} values in {rows['subject'].nunique()} subjects are above the upper limit of quantification "
            f"(from {rows['lower'].min():g} {rows['unit'].iloc[0]}); a fit takes them as censored, nca as the limit: "
            "dilute and measure again where that is possible",
        )  # fmt: skip


def check_substituted_limit(data: Dataset) -> Iterator[Finding]:
    """The smallest value, if it comes again and again, was put in place of BLQ."""
    quantified = data.observations[
        (data.observations["status"] == QUANTIFIED) & (data.observations["value"] > 0)
    ]
    # The smallest titre of a dilution series and the smallest lesion in whole mm repeat by themselves.
    quantified = quantified[quantified["unit"].str.contains(r"/|%")]
    for assay, rows in quantified.groupby("assay", sort=False):
        smallest = rows["value"].min()
        same = rows[rows["value"] == smallest]
        if len(same) >= 3 and same["subject"].nunique() >= 2 and len(rows) > len(same):
            yield Finding(
                "warning", "limit-substituted", f"assay {assay}, {rows_in_words(same)}",
                f"{len(same)} values in {same['subject'].nunique()} subjects are exactly {smallest:g}, the smallest of the "
                "assay; it looks like a number put in place of BLQ (LLOQ, LLOQ/2, LLOQ/√2): mark these rows as BLQ",
            )  # fmt: skip


def check_ceiling(data: Dataset) -> Iterator[Finding]:
    """One microgram of DNA holds 1.5e5 genomes, so copies/µg cannot exceed 1.5e5 × vector copy number."""
    genomes = genomes_per_microgram()
    levels = data.observations[
        (data.observations["unit"] == "copies/ug") & (data.observations["value"] > genomes)
    ]
    for row in levels.itertuples():
        vcn = float(row.value) / genomes
        yield Finding(
            "warning" if float(row.value) > 1e6 else "note", "value-ceiling", place(row),
            f"{row.value:.3g} copies/ug needs at least {vcn:.2g} vector copies in every cell of the sample "
            f"({genomes:.3g} genomes per µg at {DIPLOID_GENOME_PG} pg)",
        )  # fmt: skip


def check_percent(data: Dataset) -> Iterator[Finding]:
    """A percentage is at most 100."""
    levels = car_observations(data)
    for row in levels[(levels["unit"] == "%") & (levels["value"] > 100)].itertuples():
        yield Finding(
            "error", "percent-range", place(row), f"{row.assay} is {row.value:g} %; expected at most 100"
        )


def check_carry_over(data: Dataset) -> Iterator[Finding]:
    """The largest value within a day of the infusion is the infusion itself."""
    levels = car_observations(data)
    quantified = levels[(levels["status"] == QUANTIFIED) & (levels["time"] >= 0)]
    last = data.observations.groupby(["subject", "assay"])["time"].max()
    for key, rows in quantified.groupby(["subject", "assay"], sort=False):
        peak = rows.loc[rows["value"].idxmax()]
        if peak["time"] <= 1 < last[key]:
            yield Finding(
                "warning", "carry-over-peak", f"subject {key[0]}, {rows_in_words(peak.to_frame().T)}",
                f"the largest {key[1]} value ({peak['value']:g}) is at day {peak['time']:g}; it may be infused cells or "
                "line contamination and not expansion: Cmax and Tmax would describe the infusion",
            )  # fmt: skip


def check_ratio(data: Dataset) -> Iterator[Finding]:
    """Copies per µg and copies per cell of one sample are the same number in two units."""
    units = {str(a): str(u) for a, u in zip(data.assays["assay"], data.assays["unit"], strict=True)}
    quantified = data.observations[data.observations["status"] == QUANTIFIED]
    for first, second in combinations(units, 2):
        per_ug, per_cell = (first, second) if units[first] == "copies/ug" else (second, first)
        match = _COPIES_PER_CELLS.fullmatch(units[per_cell])
        if units[per_ug] != "copies/ug" or not match:
            continue
        one, two = (quantified[quantified["assay"] == assay] for assay in (per_ug, per_cell))
        pairs = one.merge(two, on=["subject", "time"], suffixes=("", "_cell"))
        pairs = pairs[(pairs["value"] > 0) & (pairs["value_cell"] > 0)]
        if len(pairs) >= 3:
            yield from _ratio_findings(pairs, per_ug, per_cell, float(match[1] or 1))


def _ratio_findings(pairs: pd.DataFrame, per_ug: str, per_cell: str, cells: float) -> Iterator[Finding]:
    """Rows off the usual ratio, and the genome mass that the ratio means."""
    log_ratio = np.log(pairs["value_cell"] / cells) - np.log(pairs["value"])
    usual = float(np.median(log_ratio))
    for row, off in zip(pairs.itertuples(), np.exp(log_ratio - usual), strict=True):
        if not 1 / (1 + RATIO_OFF) <= off <= 1 + RATIO_OFF:
            yield Finding(
                "warning", "ratio-breaks", place(row),
                f"{per_cell} {row.value_cell:g} and {per_ug} {row.value:g} are off the usual ratio of the two by a "
                f"factor of {off:.3g}; expected within {1 + RATIO_OFF:g}: a shifted row or a value in the wrong unit",
            )  # fmt: skip
    yield Finding(
        "note", "genome-mass", f"assays {per_ug}, {per_cell}",
        f"their ratio means {np.exp(usual) * 1e6:.3g} pg DNA per cell; 6.6 pg is a diploid genome, 3.3 pg a haploid one, "
        "which moves every number per cell by two",
    )  # fmt: skip


def check_smooth(data: Dataset) -> Iterator[Finding]:
    """Measured values scatter; a digitised or fitted curve does not."""
    levels = car_observations(data)
    quantified = levels[(levels["status"] == QUANTIFIED) & (levels["value"] > 0)]
    for assay, of_assay in quantified.groupby("assay", sort=False):
        off: list[float] = []
        for _, rows in of_assay.drop_duplicates(["subject", "time"]).groupby("subject", sort=False):
            t, y = rows["time"].to_numpy(), np.log(rows["value"].to_numpy(dtype=float))
            if len(t) > 2:
                weight = (t[1:-1] - t[:-2]) / (t[2:] - t[:-2])
                off.extend(np.abs(y[1:-1] - (y[:-2] * (1 - weight) + y[2:] * weight)))
        if len(off) >= SMOOTH_TRIPLES and np.median(off) < SMOOTH:
            yield Finding(
                "note", "values-smooth", f"assay {assay}",
                f"values lie within {100 * np.median(off):.2g} % of the line through their neighbours (median of "
                f"{len(off)}); measured levels scatter more: digitised or fitted curves give too small a residual error",
            )  # fmt: skip


VALUE_RULES = (
    check_lloq_given,
    check_lloq_respected,
    check_limits_ordered,
    check_limit_differs,
    check_blq_share,
    check_above_uloq,
    check_substituted_limit,
    check_ceiling,
    check_percent,
    check_carry_over,
    check_ratio,
    check_smooth,
)

"""What a hurried reader must know: converged or not, the numbers that matter, and the worst warnings."""

from __future__ import annotations

from textwrap import shorten

import numpy as np
import pandas as pd

from carkinetics.dataset.table import CENSORED, PREDOSE
from carkinetics.exposure import Exposure
from carkinetics.exposure.by_dose import described
from carkinetics.exposure.posterior import interval_of
from carkinetics.exposure.typical import ASKED_FIRST, typical_exposure
from carkinetics.findings import SEVERITIES
from carkinetics.fit.result import INTERVAL
from carkinetics.plot.style import metric_label
from carkinetics.report.blocks import Block, Facts, Section, Table, Text
from carkinetics.report.escalations import escalation_names
from carkinetics.report.parts import Parts
from carkinetics.report.remarks import grouped
from carkinetics.report.written import listing, number, percent, span

MOST_NUMBERS, MOST_WARNINGS = 5, 3
PLACE_WIDTH = 70  # characters; the whole place stands under Warnings
TONES = {"error": "bad", "warning": "caution"}
QUARTILE = 0.25
FIXED = 1e-9  # relative width of an interval that is only rounding


def verdict_section(parts: Parts) -> Section:
    """Verdict, numbers, worst warnings and what the report is about, before everything else."""
    table = typical_numbers(parts) or observed_numbers(parts)
    blocks: list[Block] = [
        *convergence(parts),
        *([table] if table else []),
        *worst_warnings(parts),
        facts(parts),
    ]
    return Section("verdict", "Verdict", tuple(blocks))


def convergence(parts: Parts) -> tuple[Text, ...]:
    """Whether each population fit converged, and because of what.

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
        tone = "bad" if not converged else "good" if found.attrs["adequate"] else "caution"
        boxes.append(Text(text, tone))
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
    return tuple(boxes)


def typical_numbers(parts: Parts) -> Table | None:
    """What the fit that is shown in full says of the typical subject.

    Parameters
    ----------
    parts : Parts
        What the report shows.

    Returns
    -------
    Table or None
        None without a population fit.
    """
    if parts.fit is None:
        return None
    found = typical_exposure(parts.fit, MOST_NUMBERS)
    rows = tuple(
        (metric_label(row.metric, row.unit), number(row.value), interval(row.lower, row.upper))
        for row in found.itertuples()
    )
    warning = parts.shown_warning
    note = (
        "Curve of a subject without random effects, at the centre of the covariates and the median dose: median over "
        f"the posterior draws, and {INTERVAL:.0%} equal-tailed credible interval."
    )
    heads = ("Typical subject", "Estimate", f"{INTERVAL:.0%} interval")
    return Table("The numbers that matter", heads, rows, note, warning) if rows else None


def interval(lower: float, upper: float) -> str:
    """An interval in words; one that has no width is that of a parameter that was fixed, and no finding.

    Parameters
    ----------
    lower, upper : float
        Its ends.

    Returns
    -------
    str
        ``fixed``, or as `span` writes it.
    """
    return "fixed" if upper - lower <= FIXED * abs(upper) else span(lower, upper)


def observed_numbers(parts: Parts) -> Table | None:
    """What the observations say of the subjects, where no population was fitted.

    Parameters
    ----------
    parts : Parts
        What the report shows.

    Returns
    -------
    Table or None
        None without NCA.
    """
    if not parts.observed:
        return None
    rows = [
        _of_subjects(parts.observed[0], metric)
        for metric in ASKED_FIRST
        if metric in parts.observed[0].metrics
    ]
    kept = tuple(row for row in rows if row)[:MOST_NUMBERS]
    note = (
        "By NCA: of the samples, with their noise and only at sampling days. A subject whose metric could not be "
        "computed is not counted; Exposure says why."
    )
    heads = ("Subjects", "Median", "Quartiles", "n")
    return Table("The numbers that matter", heads, kept, note) if kept else None


def _of_subjects(exposure: Exposure, metric: str) -> tuple[str, ...] | None:
    values = described(exposure, metric)["value"].to_numpy(float)
    if np.isnan(values).all():
        return None
    low, middle, high = interval_of(values, QUARTILE)
    known = int((~np.isnan(values)).sum())
    return metric_label(metric, exposure.unit(metric)), number(middle), span(low, high), str(known)


def worst_warnings(parts: Parts) -> tuple[Text, ...]:
    """The worst remarks in full, and how many there are.

    Parameters
    ----------
    parts : Parts
        What the report shows.

    Returns
    -------
    tuple of Text
        Coloured boxes; none without remarks.
    """
    found = parts.remarks
    said = " ".join(box.text for box in convergence(parts))  # what the verdict says is not said again
    serious = [one for one in grouped(found) if one[0] in TONES and one[-1] not in said]
    first: dict[tuple[str, str], tuple[str, str, str, str, str]] = {}
    for one in serious:
        first.setdefault(one[1:3], one)
    boxes = [_box(one, serious) for one in list(first.values())[:MOST_WARNINGS]]
    return (*boxes, *_counted(found))


def _box(remark: tuple[str, str, str, str, str], all_of_them: list[tuple[str, str, str, str, str]]) -> Text:
    """One remark, and how many more there are of its rule."""
    severity, about, rule, where, message = remark
    place = f", {shorten(where, PLACE_WIDTH, placeholder=' …')}" if where else ""
    more = sum(one[1:3] == (about, rule) for one in all_of_them) - 1
    like = f" (and {more} more of this kind)" if more else ""
    return Text(f"{severity.capitalize()}, {about}{place}: {message}{like}", TONES[severity])


def _counted(found: pd.DataFrame) -> tuple[Text, ...]:
    """How many remarks of each severity, and of how many kinds: one rule speaks of many subjects."""
    said = []
    for severity in SEVERITIES:
        rows = found[found["severity"] == severity]
        many, kinds = len(rows), len(rows.drop_duplicates(["about", "rule"]))
        if many:
            of = f" of {kinds} kind{'s' if kinds > 1 else ''}" if kinds < many else ""
            said.append(f"{many} {severity}{'s' if many > 1 else ''}{of}")
    if not said:
        return ()
    return (Text(f"Remarks: {', '.join(said)}; all are listed worst first under Warnings."),)


def facts(parts: Parts) -> Facts:
    """A few numbers on what the report is about.

    Parameters
    ----------
    parts : Parts
        What the report shows.

    Returns
    -------
    Facts
        Subjects, samples, BLQ, model, draws.
    """
    pairs = []
    if parts.data is not None:
        observed = parts.data.observations
        after = observed[(observed["status"] != PREDOSE) & (observed["time"] > 0)]
        status = after.loc[after["assay"].isin(parts.assays), "status"]
        samples, below = len(status), int(status.isin(CENSORED).sum())
        pairs += [
            ("Subjects", str(len(parts.data.subjects))),
            (f"Samples ({listing(parts.assays)})", str(samples)),
            ("Below the LLOQ", percent(below / samples if samples else float("nan"))),
        ]
    if parts.fit is not None:
        draws = parts.fit.tree["posterior"].sizes
        pairs += [("Model", parts.fit.model.name), ("Draws", f"{draws['chain']} × {draws['draw']}")]
    if parts.escalations or parts.simulations:
        pairs.append(("Dose escalation", escalation_names(parts)))
    return Facts(tuple(pairs))

"""The section on dose: exposure of a typical subject by covariate, and the power model."""

from __future__ import annotations

from carkinetics.exposure.metric_name import metric_name
from carkinetics.report import outcome_figures
from carkinetics.report.blocks import Block, Section, Table, marked
from carkinetics.report.parts import Parts
from carkinetics.report.written import number, span
from carkinetics.response import DoseExposure


def dose_section(parts: Parts) -> Section | None:
    """How exposure rises with dose."""
    blocks: list[Block] = []
    for one in parts.forests:
        blocks += outcome_figures.forest(one, parts.warning)
    for result in parts.doses:
        warning = parts.warning_if_drawn(result.settings["method"].endswith("per posterior draw"))
        blocks += [
            marked(result.statement, warning),
            *outcome_figures.dose_exposure(result, (*parts.modelled, *parts.observed), warning),
            _dose_numbers(result, warning),
        ]
    return Section("dose", "Dose and exposure", tuple(blocks)) if blocks else None


def _dose_numbers(result: DoseExposure, warning: str) -> Table:
    rows = tuple(
        (str(row.quantity).replace("_", " "), number(row.value), span(row.lower, row.upper))
        for row in result.table.itertuples()
    )
    settings = result.settings
    note = (
        f"{settings['model']}; {settings['method']}; interval {settings['interval']}; n = {result.n}. Doses in "
        f"{settings['dose_unit']}, {metric_name(result.metric)} in {settings['unit']}."
    )
    return Table(
        f"Power model of {metric_name(result.metric)} on dose",
        ("Quantity", "Value", "Interval"),
        rows,
        note,
        warning,
    )

"""The section on cytokines and antibodies."""

from __future__ import annotations

import numpy as np

from carkinetics.report import outcome_figures
from carkinetics.report.blocks import Block, Section, Table, Text, marked
from carkinetics.report.parts import Parts
from carkinetics.report.written import number, span
from carkinetics.response import AntibodyEffect, MarkerModel
from carkinetics.response.analysis_words import counted


def marker_section(parts: Parts) -> Section | None:
    """How cytokines follow the expansion, and persistence the antibodies."""
    blocks: list[Block] = []
    for model in parts.markers:
        blocks += [
            marked(model.statement, parts.warning),
            *outcome_figures.marker(model, parts.warning),
            _turnover(model, parts.warning),
        ]
    for effect in parts.antibodies:
        blocks += [Text(effect.statement), _loss(effect)]
    return Section("markers", "Cytokines and antibodies", tuple(blocks)) if blocks else None


def _turnover(model: MarkerModel, warning: str) -> Table:
    rows = tuple(
        (
            str(name).replace("_", " "),
            number(row["value"]),
            span(row["lower"], row["upper"]),
            str(row["unit"]),
            f"{100 * row['missing']:.0f} %" if np.isfinite(row["missing"]) else "",
        )
        for name, row in model.table.iterrows()
    )
    lost = f", {len(model.excluded)} left out" if len(model.excluded) else ""
    note = f"{model.settings['joined']}. Driver: {model.settings['driver']}. {counted(len(model.subjects), 'subject')}{lost}."
    head = ("Parameter", "Median", "Interval", "Unit", "Variance from kinetics")
    return Table(f"Turnover of {model.settings['assay']}", head, rows, note, warning, "lrrlr")


def _loss(effect: AntibodyEffect) -> Table:
    rows = tuple(
        (
            str(name),
            number(row["elpd"]),
            f"{number(row['difference'])} (SE {number(row['difference_se'])})",
            str(row["verdict"]),
            f"{number(row['loss'])} ({span(row['loss_lower'], row['loss_upper'])})"
            if np.isfinite(row["loss"])
            else "",
            "yes" if row["converged"] else "NO",
        )
        for name, row in effect.table.iterrows()
    )
    note = f"elpd of subjects that are left out. {effect.informative} subjects have a quantified level after their onset."
    head = ("Loss", "elpd", "Difference to none", "Verdict", "Additional loss (1/day)", "Converged")
    return Table("Antibodies and the loss of CAR-T cells", head, rows, note, "", "lrrlrl")

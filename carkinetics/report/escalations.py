"""The section on dose escalation: what was decided and why, and what a trial of this kind does and learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from carkinetics import plot
from carkinetics.report.blocks import Block, Section, Table, Text
from carkinetics.report.images import picture
from carkinetics.report.parts import Parts
from carkinetics.report.written import amount, listing, number, percent, span
from carkinetics.response import binomial_interval
from carkinetics.trial import EscalationPath, SimulatedTrial, TrialCharacteristics, escalation_path

SIMULATED = "Simulated: no patient was measured."


def escalation_section(parts: Parts) -> Section | None:
    """The paths of escalations, and characteristics of simulated trials."""
    blocks: list[Block] = []
    for one in parts.escalations:
        if isinstance(one, SimulatedTrial):
            blocks.append(Text(f"{SIMULATED} Seed {one.block.seed}.", "caution"))
        path = escalation_path(one) if isinstance(one, SimulatedTrial) else one
        blocks += [
            Text(_sentence(path)),
            _path_figure(path),
            _decisions(path),
            _by_dose(path),
            _patients(path),
        ]
    for found in parts.simulations:
        blocks += [
            Text(f"{SIMULATED} {_how(found)}", "caution"), _characteristics(found), _summary(found), _power_figure(found), _power(found)
        ]  # fmt: skip
    return Section("escalation", "Dose escalation", tuple(blocks)) if blocks else None


def _sentence(path: EscalationPath) -> str:
    early = path.patients[path.patients["cohort"] > 0]
    later = len(path.patients) - len(early)
    if path.mtd is None:
        last = path.decisions.iloc[-1]
        end = f"No dose is selected so far. {_what(path, last.to_dict())}: {last['reason']}."
    else:
        end = f"Selected: {_dose(path, path.mtd)}." if path.mtd else "No dose is selected."
    expansion = f" {later} more patients in the expansion." if later else ""
    return f"{path.design}: {len(early)} patients in {early['cohort'].nunique()} cohorts.{expansion} {end}"


def _path_figure(path: EscalationPath) -> Block:
    rows = path.decisions.to_dict("records")
    steps = "; ".join(f"{row['cohort']}: {_what(path, row)}" for row in rows)
    alt = f"Path of the escalation, decision by decision. {steps}. {_sentence(path)}"
    caption = (
        "Patients in the order of treatment against their dose; a box per cohort, dashed in the titration; the expansion, if any, "
        "drawn small. Below: each decision and its reason."
    )
    return picture(plot.escalation(path), alt, caption)


def _decisions(path: EscalationPath) -> Table:
    rows = []
    for row in path.decisions.to_dict("records"):
        why = f"{row['reason'].rstrip('.')}. {row['notes']}".strip()
        treated = row["subjects"] or (str(row["n"]) if row["dlt"] or _treated(path, row["cohort"]) else "")
        dlt = str(row["dlt"]) if _treated(path, row["cohort"]) else ""
        rows.append((str(row["cohort"]), number(row["day"]), _what(path, row), why, treated, dlt))
    head = ("Decision", "Day", "What", "Why", "Patients", "DLTs among them")
    note = "DLTs of the patients who were treated after the decision." if rows else ""
    return Table(f"Decisions of {path.design}", head, tuple(rows), note, align="lrlllr")


def _treated(path: EscalationPath, cohort: int) -> bool:
    return bool((path.patients["cohort"] == cohort).any())


def _what(path: EscalationPath, row: dict[str, Any]) -> str:
    if row["action"] == "stop":
        return f"stop, {_dose(path, row['mtd'])} selected" if row["mtd"] else "stop, no dose selected"
    if row["dose"] is None or pd.isna(row["dose"]):
        return "wait"
    return f"{row['action']}: {row['n']} at {_dose(path, row['dose'])}"


def _dose(path: EscalationPath, dose: float) -> str:
    unit = f" {path.dose_unit}" if path.dose_unit else ""
    return f"dose {amount(dose)}{unit}"


def _by_dose(path: EscalationPath) -> Table:
    rows = []
    for level, dose in enumerate(path.doses, start=1):
        own = path.patients[path.patients["level"] == level]
        counted = path.patients[path.patients["counted"] == level]
        known = counted[~counted["outcome"].isin(["pending", "not evaluable"])]
        n, dlt = len(known), int((known["outcome"] == "DLT").sum())
        low, high = binomial_interval(dlt, n) if n else (np.nan, np.nan)
        escalated = int((own["cohort"] > 0).sum())
        rate = percent(dlt / n) if n else percent(np.nan)
        rows.append(
            (
                amount(dose),
                str(len(own)),
                str(escalated),
                str(n),
                str(dlt),
                rate,
                span(100 * low, 100 * high, 2),
            )
        )
    unit = f" ({path.dose_unit})" if path.dose_unit else ""
    head = (f"Dose{unit}", "Planned", "In the escalation", "Evaluable", "DLTs", "Rate", "95 % interval (%)")
    note = "A patient who received less than planned is evaluable at the dose received. Exact (Clopper-Pearson) intervals, for each dose alone; doses were not given at random, and an escalation stops where there were DLTs."
    return Table("DLTs by dose", head, tuple(rows), note, align="lr")


def _patients(path: EscalationPath) -> Table:
    rows = tuple(
        (
            str(row.patient),
            str(row.cohort or "–"),
            str(row.phase),
            amount(float(str(row.dose))),
            str(row.outcome),
        )
        for row in path.patients.itertuples()
    )
    note = (
        ""
        if path.named
        else "The order within a cohort is not known; patients are numbered as they were counted."
    )
    head = ("Patient", "Cohort", "Phase", "Dose", "Outcome")
    return Table(f"All {len(rows)} patients", head, rows, note, align="lrlrl", folded=True)


def _how(found: TrialCharacteristics) -> str:
    return f"{found.settings['trials']:,} trials of {found.plan.name} ({found.plan.design.name}), seed {found.settings['seed']}."


def _characteristics(found: TrialCharacteristics) -> Table:
    n = found.settings["trials"]
    rows = []
    for dose, row in found.doses.iterrows():
        none = float(str(dose)) == 0
        p = float(row["p_select"])
        selected = f"{percent(p)} (SE {100 * np.sqrt(p * (1 - p) / n):.1f})"
        counts = () if none else (row["n_escalation"], row["dlt_escalation"], row["n"], row["dlt"])
        true = () if none else (row["true_dlt"], row["true_response"])
        cells = (*(number(value) for value in counts), *(percent(value) for value in true))
        rows.append(("none" if none else amount(float(str(dose))), selected, *(cells or ("",) * 6)))
    head = (
        f"Dose ({found.plan.dose_unit})", "Selected", "Patients, escalation", "DLTs, escalation", "Patients, all", "DLTs, all",
        "True DLT rate", "True response rate",
    )  # fmt: skip
    note = "Means per trial. True rates are those of the plan's own kinetics and links, from 4,000 virtual patients at each dose."
    return Table("What the trial does, by dose", head, tuple(rows), note, align="lr")


def _summary(found: TrialCharacteristics) -> Table:
    rows = tuple(
        (str(question), number(row["mean"]), number(row["se"], 2), span(row["p5"], row["p95"]))
        for question, row in found.summary.iterrows()
    )
    head = ("Question", "Mean", "Monte-Carlo SE", "5 % to 95 % of trials")
    return Table("What the trial does", head, rows, "", align="lrrr")


def _power_figure(found: TrialCharacteristics) -> Block:
    said = "; ".join(f"{question}: {number(row['value'])}" for question, row in found.power.iterrows())
    caption = (
        "What the kinetic analyses of such a trial would say: shares of trials, 90 % intervals of two slopes over trials, and observed "
        "over true Cmax."
    )
    return picture(plot.trial_power(found)[0, 0], f"Power of the kinetic analyses. {said}.", caption)


def _power(found: TrialCharacteristics) -> Table:
    rows = tuple(
        (str(question), number(row["value"]), number(row["se"], 2), f"{row['trials']:.0f}")
        for question, row in found.power.iterrows()
    )
    note = f"Of {found.settings['trials']:,} trials. One without a slope counts as one that did not find it."
    head = ("Question", "Value", "Monte-Carlo SE", "Trials that could ask")
    return Table("What the kinetic analyses would say", head, rows, note, align="lrrr")


def escalation_names(parts: Parts) -> str:
    """Designs of the section, for the head of the page.

    Parameters
    ----------
    parts : Parts
        What the report shows.

    Returns
    -------
    str
        Their names; empty without an escalation.
    """
    paths = [
        one.plan.design.name if isinstance(one, SimulatedTrial) else one.design for one in parts.escalations
    ]
    return listing(dict.fromkeys([*paths, *(found.plan.design.name for found in parts.simulations)]))

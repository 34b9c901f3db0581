"""The section on tumours: best responses and their rates, sizes, each patient's course, times to events."""

from __future__ import annotations

import numpy as np
import pandas as pd

from carkinetics.dataset import Dataset
from carkinetics.exposure.by_dose import dose_grouping, dose_unit
from carkinetics.report import tumour_figures
from carkinetics.report.blocks import Block, Section, Table, Text
from carkinetics.report.exposures import LISTED, dose_name
from carkinetics.report.parts import Parts
from carkinetics.report.tumour_figures import ENDPOINTS, day, signed
from carkinetics.report.written import MISSING, listing
from carkinetics.response.analysis_words import counted
from carkinetics.response.best import NON
from carkinetics.response.recist import NAMES
from carkinetics.response.tumour_check import differing
from carkinetics.response.tumour_outcome import (
    ALL_GROUPS,
    BEST,
    EVALUABLE,
    EVERYBODY,
    RATES,
    best_responses,
    median_times,
    response_rates,
    tumour_groups,
    tumour_times,
)

LEVEL = 0.95  # of exact intervals and of Kaplan-Meier medians, as trials report them
POPULATIONS = {
    EVERYBODY: "All patients; NE counts as no response and no control",
    EVALUABLE: "Evaluable patients",
}
COUNTED = {
    "dor": "responders, from the first {confirmed}CR or PR to progression or death",
    "pfs": "from the infusion to progression or death",
    "os": "from the infusion to death",
}


def tumour_section(parts: Parts) -> Section | None:
    """How the tumours responded; rests on no fit."""
    if parts.data is None or not parts.responses:
        return None
    blocks = [block for one in parts.responses for block in _blocks(one, parts.data)]
    return Section("tumour", "Tumour response", tuple(blocks))


def _blocks(responses: pd.DataFrame, data: Dataset) -> list[Block]:
    best, groups = best_responses(responses, data), tumour_groups(data)
    times = tumour_times(responses, data)
    rates = response_rates(best["best"], groups, level=LEVEL)
    blocks: list[Block] = [Text(_statement(rates, responses)), *_disagreement(best)]
    blocks.append(_rate_table(rates, responses, data))
    blocks += tumour_figures.sizes(responses, data, best)
    blocks += tumour_figures.courses(responses, data, times)
    if times:
        blocks.append(_time_table(median_times(times, level=LEVEL), responses))
        blocks += tumour_figures.survival(times, LEVEL)
    blocks.append(_listing(best, times, groups, data))
    return blocks


def criteria_of(responses: pd.DataFrame) -> str:
    """By what responses were derived, in words.

    Parameters
    ----------
    responses : pandas.DataFrame
        With the settings in ``.attrs``.

    Returns
    -------
    str
        Such as ``"RECIST 1.1, CR and PR not confirmed"``.
    """
    asked = responses.attrs
    said = f"confirmed after {asked['confirm_days']:g} days" if asked["confirm"] else "not confirmed"
    return f"{NAMES[asked['criteria']]}, CR and PR {said}"


def _statement(rates: pd.DataFrame, responses: pd.DataFrame) -> str:
    row = rates[(rates["population"] == EVERYBODY) & (rates["group"] == ALL_GROUPS)].iloc[0]
    counts = ", ".join(f"{row[name]} {name}" for name in BEST if row[name] or name != NON)
    said = [f"{round(row['n'] * row[rate])} of {row['n']}, {_rate(row, rate)}" for rate in RATES]
    return (
        f"Best overall response of {counted(row['n'], 'patient')} by {criteria_of(responses)}: {counts}. Objective response in {said[0]}; disease "
        f"control in {said[1]} ({LEVEL:.0%} exact intervals)."
    )


def _rate(row: pd.Series, name: str) -> str:
    """A share in percent with its exact interval."""
    if np.isnan(row[name]):
        return MISSING
    value, low, high = (f"{100 * row[f'{name}{end}']:.1f}" for end in ("", "_lower", "_upper"))
    return f"{value} % ({low} to {high})"


def _disagreement(best: pd.DataFrame) -> tuple[Text, ...]:
    other = differing(best)
    if other.empty:
        return ()
    said = [f"{subject} ({row['best']}, recorded {row['recorded']})" for subject, row in other.iterrows()]
    return (
        Text(
            f"The derived best response is not the recorded one in {counted(len(other), 'patient')}: {listing(said)}. Figures and rates are those of the "
            "derived ones; all are named under Warnings.",
            "caution",
        ),
    )


def _rate_table(rates: pd.DataFrame, responses: pd.DataFrame, data: Dataset) -> Table:
    unit = dose_unit(data, dose_grouping(data))
    shown = [name for name in BEST if name != NON or rates[NON].any()]
    rows: list[tuple[str, ...]] = []
    for population, part in rates.groupby("population", sort=False):
        rows.append((POPULATIONS[str(population)],))
        for _, row in part.iterrows():
            name = "All doses" if row["group"] == ALL_GROUPS else dose_name(row["group"], unit)
            counts = [str(row[best]) for best in shown]
            rows.append((name, str(row["n"]), *counts, *(_rate(row, rate) for rate in RATES)))
    asked = responses.attrs
    note = (
        "CR, PR: complete, partial response; SD: stable disease, from day "
        f"{asked['minimum_sd_days']:g} after the baseline on; PD: progressive disease; NE: not evaluable. ORR: objective response rate, "
        "(CR + PR) / n; DCR: disease control rate, (CR + PR + SD) / n"
        f"{' with non-CR/non-PD among the SD' if NON in shown else ''}. {LEVEL:.0%} intervals of Clopper and Pearson. "
        f"Evaluable: a best response other than NE. {criteria_of(responses)}."
    )
    heads = ("Dose", "n", *shown, *(f"{rate.upper()} ({LEVEL:.0%} CI)" for rate in RATES))
    return Table("Best overall response by dose", heads, tuple(rows), note=note)


def _time_table(medians: pd.DataFrame, responses: pd.DataFrame) -> Table:
    rows = tuple(
        (
            f"{ENDPOINTS[row.endpoint]} ({row.endpoint.upper()})", str(row.n), str(row.events), day(row.median),
            f"{day(row.lower)} to {day(row.upper)}",
        )
        for row in medians.itertuples()
    )  # fmt: skip
    confirmed = "confirmed " if responses.attrs["confirm"] else ""
    said = [
        f"{row.endpoint.upper()}: {COUNTED[row.endpoint].format(confirmed=confirmed)}, as {row.source}"
        for row in medians.itertuples()
    ]
    note = (
        f"Kaplan-Meier medians with {LEVEL:.0%} intervals of Brookmeyer and Crowley on the log-log scale. {'; '.join(said)}. Derived: from the "
        "visits; censored at the last adequate assessment."
    )
    heads = ("Time to", "n", "Events", "Median (day)", f"{LEVEL:.0%} CI (day)")
    return Table("Times to events", heads, rows, note=note)


def _listing(
    best: pd.DataFrame, times: dict[str, pd.DataFrame], groups: pd.Series | None, data: Dataset
) -> Table:
    unit = dose_unit(data, dose_grouping(data))
    recorded = bool((best["recorded"] != "").any())
    doses = {} if groups is None else {"Dose": groups.map(lambda one: dose_name(one, unit))}
    columns = {
        **doses,
        "Best change (%)": best["change_pct"].map(lambda one: signed(one, 1)),
        "On day": best["change_day"].map(day),
        "Best response": best["best"],
        **({"Recorded": best["recorded"].replace("", MISSING)} if recorded else {}),
        "Progression on day": best["progression_day"].map(day),
        **{f"{name.upper()} (day)": _until(table, best.index) for name, table in times.items()},
    }
    rows = tuple(
        (str(subject), *(str(column[subject]) for column in columns.values())) for subject in best.index
    )
    note = (
        "Best change: of the targets from the baseline, up to and including progression; +: censored on that day. Progression on day: of the "
        "visits."
    )
    words = "l" * (1 + len(doses))
    align = words + "rr" + "l" * (1 + recorded) + "r"
    return Table(
        "Tumours: each patient",
        ("Subject", *columns),
        rows,
        note=note,
        align=align,
        folded=True,
        on_paper=LISTED,
    )


def _until(times: pd.DataFrame, subjects: pd.Index) -> pd.Series:
    shown = times["time"].map(day) + times["event"].map({0: "+", 1: ""})
    return shown.reindex(subjects).fillna(MISSING)

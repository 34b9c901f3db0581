"""Tables of exposure: by dose group as in a study report, and one subject at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from carkinetics.dataset import Dataset
from carkinetics.diagnostics.binning import stratum_order
from carkinetics.exposure import Exposure, nca_by, nca_findings
from carkinetics.exposure.by_dose import dose_grouping, dose_unit
from carkinetics.exposure.follow_up import UNTIL_LOST, beyond, times_until_lost
from carkinetics.exposure.quality import R2_FAIR
from carkinetics.exposure.table import window_end
from carkinetics.plot.style import metric_label
from carkinetics.report.blocks import Table
from carkinetics.report.written import MISSING, amount, number, span

# What a study report lists; windows such as auc_0_28 are always shown.
SHOWN = ("cmax", "tmax", "auc_last", "half_life", "tlast", "clast", "persistence")
FLAGS = "Flags"
SIGNS = {
    "†": "†: extrapolated beyond the subject's last sample.",
    ">": ">: above the LLOQ to the last sample, on that day.",
}
EVERYONE = "All subjects"
MOST_GROUPS = 8
LISTED = 20  # reasons on paper
SAME_FOR_ALL = 1e-6  # geometric CV in %, and relative width of an interval: rounding
NOTE = (
    "Geometric mean (geometric CV %) of levels, areas and half-lives; median (smallest to largest) of times. "
    "n: subjects in the group; where fewer have a value, or are left out, the number described stands behind it. "
    "Geometric CV % = 100 × √(exp(s²) − 1), s the SD of the logs."
)
SLOPES = f" Half-lives by NCA whose line has an adjusted R² below {R2_FAIR:g} are left out of the group and listed by subject."
UNTIL = (
    " Persistence: Kaplan-Meier median; of samples the day of the first BLQ sample after the last quantified one; who was above "
    "the LLOQ to the last sample is censored there."
)
BEYOND = " Extrapolated: the model's curve after a subject's last sample."


def group_table(sources: list[tuple[str, Exposure]], data: Dataset, *, warning: str = "") -> Table:
    """Metrics by dose group; several sources stand under each other, metric by metric.

    Parameters
    ----------
    sources : list of (str, Exposure)
        Name of the method, and its metrics.
    data : Dataset
        Whose dose groups.
    warning : str
        Stands above the table; it is about the sources with draws.

    Returns
    -------
    Table
        One column per dose group and one for all subjects.
    """
    by = dose_grouping(data)
    summaries = {name: _summary(exposure, data, by) for name, exposure in sources}
    found = {str(group): group for table in summaries.values() for group, _ in table.index}
    groups = [found[name] for name in stratum_order(list(found)) if name != EVERYONE] + [EVERYONE]
    rows: list[tuple[str, ...]] = []
    warned: set[int] = set()
    unusable = {name for name, exposure in sources if exposure.draws is not None}
    for metric, label in _metrics([exposure for _, exposure in sources]):
        rows.append((label,))
        for name, summary in summaries.items():
            cells = [_cell(summary, group, metric) for group in groups]
            if any(cell != MISSING for cell in cells):
                if name in unusable:
                    warned.add(len(rows))
                rows.append((name, *cells))
    sizes = [max(_size(summary, group) for summary in summaries.values()) for group in groups]
    unit = dose_unit(data, by)
    heads = [f"{dose_name(group, unit)} (n = {n})" for group, n in zip(groups, sizes, strict=True)]
    said = pd.concat(list(summaries.values())).reset_index()
    until = said["metric"].isin(UNTIL_LOST)
    note = NOTE + SLOPES * bool(said["n_left_out"].any()) + UNTIL * bool(until.any())
    note += BEYOND * bool(said.loc[~until, "n_beyond"].any())
    return Table(
        "Exposure by dose group", ("Method", *heads), tuple(rows), note=note, warning=warning,
        align="lr", warned=frozenset(warned),
    )  # fmt: skip


def _size(summary: pd.DataFrame, group: object) -> int:
    """Subjects in a group, with or without a value."""
    if group not in summary.index:
        return 0
    first = summary.loc[[group]].iloc[0]
    return int(first["n"] + first["n_missing"] + first["n_left_out"])


def _metrics(exposures: list[Exposure]) -> Iterator[tuple[str, str]]:
    """Metrics to list and their labels, in the order of a study report."""
    known = {metric: exposure.unit(metric) for exposure in exposures for metric in exposure.metrics}
    windows = sorted((m for m in known if window_end(m) is not None), key=lambda m: window_end(m) or 0.0)
    for metric in ("cmax", "tmax", *windows, *SHOWN[2:]):
        if metric in known:
            yield metric, metric_label(metric, known[metric])


def _summary(exposure: Exposure, data: Dataset, by: str) -> pd.DataFrame:
    """`nca_by` for the dose groups and for everyone, indexed by group and metric."""
    subjects = data.subjects.assign(**{EVERYONE: EVERYONE})
    everyone = nca_by(exposure, replace(data, subjects=subjects), by=EVERYONE).rename(
        columns={EVERYONE: "group"}
    )
    known = by in data.subjects or len(data.doses)
    tables = [nca_by(exposure, data, by=by).rename(columns={by: "group"})] if known else []
    if tables and not 1 < tables[0]["group"].nunique() <= MOST_GROUPS:
        tables = []
    table = pd.concat([*tables, everyone], ignore_index=True)
    return table[table["group"].notna()].set_index(["group", "metric"])


def _cell(summary: pd.DataFrame, group: object, metric: str) -> str:
    if (group, metric) not in summary.index:
        return MISSING
    row = summary.loc[(group, metric)]
    n = "" if not row["n_missing"] + row["n_left_out"] else f", n = {int(row['n'])}"
    if not row["n"]:
        return "none"
    if metric in UNTIL_LOST:
        median = "not reached" if np.isinf(row["median"]) else number(row["median"])
        return f"{median}, {int(row['n_beyond'])} of {int(row['n'])} censored"
    n += f", {int(row['n_beyond'])} extrapolated" if row["n_beyond"] else ""
    if not np.isnan(row["geometric_mean"]):
        cv = row["geometric_cv_percent"]
        # A parameter without random effects is the same for everybody, up to rounding.
        spread = "" if np.isnan(cv) else " (same for all)" if cv < SAME_FOR_ALL else f" ({number(cv)} %)"
        return f"{number(row['geometric_mean'])}{spread}{n}"
    several = f" ({span(row['min'], row['max'])})" if row["n"] > 1 else ""
    return f"{number(row['median'])}{several}{n}"


def dose_name(group: object, unit: str) -> str:
    """A dose group in words: an amount with its unit, a number that is none as the code it is, or the name of the group.

    Parameters
    ----------
    group : object
        As of `carkinetics.exposure.by_dose.dose_groups`.
    unit : str
        Of `dose_unit`.

    Returns
    -------
    str
        Such as ``"1 × 10⁶ cells/kg"``.
    """
    try:
        value = float(str(group))
    except ValueError:
        return str(group)
    return f"{amount(value)} {unit}" if unit else f"Dose level {amount(value)}"


def subject_table(name: str, exposure: Exposure, *, warning: str = "") -> Table:
    """One row per subject.

    Parameters
    ----------
    name : str
        Name of the method.
    exposure : Exposure
        Its metrics.
    warning : str
        Stands above the table.

    Returns
    -------
    Table
        Values, with their interval where the metric has draws; `missing_table` has the reasons where there is none.
    """
    heads = _heads(exposure)
    listed = _listed(exposure)
    columns = [*(_shown(exposure, metric) for metric in heads), *listed.values()]
    rows = tuple((str(subject), *(column[subject] for column in columns)) for subject in exposure.subject_ids)
    note = [] if exposure.draws is None else ["Posterior median, and 90 % equal-tailed interval."]
    note += ["Flags: rules of NCA, said in full under Warnings."] if FLAGS in listed else []
    note += [
        words for sign, words in SIGNS.items() if any(column.str.contains(sign).any() for column in columns)
    ]
    return Table(
        f"{name}: each subject",
        ("Subject", *heads.values(), *listed),
        rows,
        note=" ".join(note),
        warning=warning,
        folded=True,
    )


def missing_table(name: str, exposure: Exposure) -> Table | None:
    """Why values of `subject_table` are missing.

    Parameters
    ----------
    name : str
        Name of the method.
    exposure : Exposure
        Its metrics.

    Returns
    -------
    Table or None
        A row for every reason, with the metrics and subjects that share it, the most frequent first; None if nothing is missing.
    """
    found: dict[tuple[str, str], list[str]] = {}
    heads = _heads(exposure)
    columns = {head.partition(" (")[0]: exposure.rows(metric) for metric, head in heads.items()}
    for subject in exposure.subject_ids:
        reasons: dict[str, list[str]] = {}
        for head, column in columns.items():
            row = column.loc[subject]
            if np.isnan(row["value"]):
                reasons.setdefault(str(row["excluded"]) or MISSING, []).append(head)
        for reason, names in reasons.items():
            found.setdefault((", ".join(names), reason), []).append(str(subject))
    rows = tuple(
        (names, reason, str(len(subjects)), ", ".join(subjects))
        for (names, reason), subjects in sorted(found.items(), key=lambda one: -len(one[1]))
    )
    values = sum((names.count(", ") + 1) * len(subjects) for (names, _), subjects in found.items())
    title = f"{name}: why {values} values are missing"
    heads_shown = ("Metrics", "Reason", "Subjects", "Who")
    return Table(title, heads_shown, rows, align="llrl", folded=True, on_paper=LISTED) if rows else None


def _heads(exposure: Exposure) -> dict[str, str]:
    """Metrics of the table of subjects, and their heads."""
    return dict(_metrics([exposure])) | {
        metric: head for metric, head in _QUALITY.items() if metric in exposure.metrics
    }


_QUALITY = {
    "lambda_z_n": "Points in the terminal slope",
    "lambda_z_r2_adjusted": "Its adjusted R²",
    "auc_extrapolated_percent": "Extrapolated area (%)",
}


def _listed(exposure: Exposure) -> dict[str, pd.Series]:
    """What a listing of NCA has beside its numbers: days of the terminal line, and the rules that warn of a subject."""
    if exposure.settings.get("engine") != "nca":
        return {}
    found: dict[str, pd.Series] = {}
    if {"lambda_z_start", "lambda_z_end"} <= set(exposure.metrics):
        start, end = exposure.metric("lambda_z_start"), exposure.metric("lambda_z_end")
        days = start.map(number) + " to " + end.map(number)
        found["Days of the terminal slope"] = days.where(start.notna(), MISSING)
    flags = nca_findings(exposure)
    whose = flags["where"].str.removeprefix("subject ").where(flags["where"].str.startswith("subject "))
    rules = flags.groupby(whose)["rule"].agg(lambda rule: ", ".join(dict.fromkeys(rule)))
    return found | {FLAGS: rules.reindex(exposure.subject_ids).fillna(MISSING)}


def _shown(exposure: Exposure, metric: str) -> pd.Series:
    """Cells of a metric by subject; a day that was not seen is later than the last sample."""
    rows, late, drawn = exposure.rows(metric), beyond(exposure, metric), exposure.draws is not None
    cells = pd.Series([_value(row, drawn) for _, row in rows.iterrows()], index=rows.index, dtype=object)
    if metric in UNTIL_LOST:
        return cells.where(~late, "> " + times_until_lost(exposure, metric)["time"].map(number))
    return cells.where(~late, cells + " †")


def _value(row: pd.Series, drawn: bool) -> str:
    if np.isnan(row["value"]):
        return MISSING
    if not drawn or np.isnan(row["lower"]):
        return number(row["value"])
    fixed = row["upper"] - row["lower"] <= SAME_FOR_ALL * abs(row["upper"])
    return f"{number(row['value'])} ({'fixed' if fixed else span(row['lower'], row['upper'])})"

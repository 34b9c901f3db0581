"""Data rules about rows: what was left out, times, doses, events and subjects."""

from collections.abc import Iterator
from typing import cast

import numpy as np
import pandas as pd

from carkinetics.dataset.place import place, rows_in_words
from carkinetics.dataset.record import EXCLUSIONS
from carkinetics.dataset.subjects import weight_column, weights
from carkinetics.dataset.table import PREDOSE, QUANTIFIED, Dataset, car_observations, is_censored
from carkinetics.findings import Finding, Severity

# Given on purpose before the infusion.
BEFORE_INFUSION = ("lympho", "conditioning", "bridging", "apheresis")
FEW_SUBJECTS = 6


def _names(subjects: list[str], most: int = 12) -> str:
    """Subjects in words, cut where the list gets long."""
    shown = ", ".join(subjects[:most])
    return shown if len(subjects) <= most else f"{shown} and {len(subjects) - most} more"


def check_remarks(data: Dataset) -> Iterator[Finding]:
    """What the reader saw and the tables no longer show."""
    for row in data.remarks.itertuples():
        yield Finding(cast(Severity, row.severity), str(row.rule), str(row.where), str(row.message))


def check_excluded(data: Dataset) -> Iterator[Finding]:
    """Every row that was left out, grouped by reason."""
    excluded = data.excluded.fillna({"found": "", "subject": ""})
    for (rule, reason), rows in excluded.groupby(["rule", "reason"], sort=False):
        subjects = list(dict.fromkeys(str(subject) for subject in rows["subject"] if subject))
        who = f"subject {_names(subjects)}, " if subjects else ""
        found = ", ".join(repr(text) for text in dict.fromkeys(rows["found"].astype(str).tolist()[:5]))
        yield Finding(
            EXCLUSIONS.get(str(rule), "warning"),
            str(rule),
            who + rows_in_words(rows),
            f"{len(rows)} {'row' if len(rows) == 1 else 'rows'} left out: {reason}; found {found}",
        )


def check_time_increases(data: Dataset) -> Iterator[Finding]:
    """Rows of a subject stand in order of time in the source."""
    columns = ["subject", "time", "row"]
    tables = [data.observations, data.doses, data.excluded]
    rows = pd.concat([t.assign(file=t.get("file", ""))[[*columns, "file"]] for t in tables])
    rows = rows.dropna(subset=["time"]).sort_values("row", kind="stable")
    for (subject, _), group in rows.groupby(["subject", "file"], sort=False):
        backwards = group[(group["time"].diff() < 0).to_numpy()]
        if len(backwards):
            earliest = backwards.iloc[0]
            yield Finding(
                "warning",
                "time-increases",
                f"subject {subject}, {rows_in_words(backwards)}",
                f"time {earliest['time']:g} d comes after a later time; the dataset is sorted by time, "
                "but a wrong date looks the same: compare with the source",
            )


def check_time_duplicated(data: Dataset) -> Iterator[Finding]:
    """One value per subject, assay and time."""
    keys = ["subject", "assay", "time"]
    double = data.observations[data.observations.duplicated(keys, keep=False)]
    for (subject, assay, time), rows in double.groupby(keys, sort=False):
        values = ", ".join(
            f"{v:g}" if np.isfinite(v) else str(s) for v, s in zip(rows["value"], rows["status"], strict=True)
        )
        yield Finding(
            "warning",
            "time-duplicated",
            f"subject {subject}, {rows_in_words(rows)}",
            f"{assay} has {len(rows)} values at day {time:g} ({values}); expected one: average replicates or fix the date",
        )


def check_time_negative(data: Dataset) -> Iterator[Finding]:
    """Nothing can be quantified before the infusion."""
    levels = car_observations(data)
    before = levels[(levels["time"] < 0) & (levels["status"] == QUANTIFIED)]
    for row in before.itertuples():
        yield Finding(
            "error", "time-negative", place(row),
            f"{row.assay} is quantified ({row.value:g} {row.unit}) {-row.time:g} d before the infusion; "
            "expected no transgene there: a wrong date, a contamination or an earlier product",
        )  # fmt: skip


def check_predose_quantified(data: Dataset) -> Iterator[Finding]:
    """A quantified value at time 0 is a sample after the infusion with a rounded time, or a fault."""
    levels = car_observations(data)
    at_zero = levels[(levels["time"] == 0) & (levels["status"] == QUANTIFIED)]
    for row in at_zero.itertuples():
        yield Finding(
            "warning", "predose-quantified", place(row),
            f"{row.assay} is {row.value:g} {row.unit} at day 0; expected none before the infusion; "
            "if the sample was taken after it, give its time as a fraction of a day",
        )  # fmt: skip


def check_time_unit(data: Dataset) -> Iterator[Finding]:
    """Times look like days."""
    latest = data.observations["time"].max()
    if latest > 3000:
        yield Finding(
            "warning", "time-unit", rows_in_words(data.observations[data.observations["time"] == latest]),
            f"the latest time is {latest:g} d ({latest / 365.25:.3g} years); is TIME in hours? then time_unit='hour'",
        )  # fmt: skip


def check_dose_missing(data: Dataset) -> Iterator[Finding]:
    """Every subject was infused."""
    dosed = set(data.doses["subject"])
    without = [subject for subject in data.subject_ids if subject not in dosed]
    if without:
        where = "all subjects" if not dosed else f"subject {_names(without)}"
        yield Finding(
            "warning", "dose-missing", where,
            f"{len(without)} of {len(data.subjects)} subjects have no dose row (EVID 1 with AMT); "
            "models with a dose and the dose-exposure analysis need one",
        )  # fmt: skip


def check_dose_several(data: Dataset) -> Iterator[Finding]:
    """Subjects with more than one infusion."""
    for subject, rows in data.doses.groupby("subject", sort=False):
        if len(rows) > 1:
            days = ", ".join(f"{time:g}" for time in rows["time"])
            yield Finding(
                "note", "dose-several", f"subject {subject}, {rows_in_words(rows)}",
                f"{len(rows)} infusions, at days {days}; time 0 is the first of them",
            )  # fmt: skip


def check_dose_plausible(data: Dataset) -> Iterator[Finding]:
    """Doses have the size of CAR-T doses in their unit."""
    # Trials of CAR-T cells give about 1e4 to 1e8 cells/kg, or 1e6 to 1e10 cells in total.
    ranges = {"cells/kg": (1e3, 1e9, "a total?"), "cells": (1e5, 1e12, "per kg?")}
    for row in data.doses.itertuples():
        low, high, guess = ranges.get(str(row.unit), (0.0, np.inf, ""))
        if not low <= float(row.amount) <= high:
            yield Finding(
                "warning", "dose-plausible", place(row),
                f"dose is {row.amount:g} {row.unit}; expected {low:g} to {high:g}; is it {guess}",
            )  # fmt: skip


def check_dose_unit(data: Dataset) -> Iterator[Finding]:
    """All doses have one unit."""
    counts = data.doses["unit"].value_counts()
    if len(counts) > 1:
        each = ", ".join(f"{n} in {unit}" for unit, n in counts.items())
        rare = data.doses[data.doses["unit"] == counts.index[-1]]
        yield Finding(
            "error", "dose-unit", rows_in_words(rare),
            f"doses have {len(counts)} units ({each}); a first dose in cells cannot be compared with one per kg",
        )  # fmt: skip


def check_weight_plausible(data: Dataset) -> Iterator[Finding]:
    """Body weights are numbers, in kg."""
    column = weight_column(data.subjects)
    if column is not None and not pd.api.types.is_numeric_dtype(data.subjects[column]):
        texts = data.subjects[column].dropna()
        unread = texts[pd.to_numeric(texts, errors="coerce").isna()]
        yield Finding(
            "warning", "weight-plausible", f"subject {_names(data.subjects.loc[unread.index, 'subject'].tolist())}",
            f"{column} is {unread.iloc[0]!r}; expected a number of kg: without it a dose is known in one unit only",
        )  # fmt: skip
    for subject, weight in weights(data.subjects).items():
        if weight < 2 or weight > 300:
            yield Finding(
                "warning", "weight-plausible", f"subject {subject}",
                f"body weight is {weight:g}; expected kg between 2 and 300",
            )  # fmt: skip


def check_event_before_infusion(data: Dataset) -> Iterator[Finding]:
    """Comedication against the effects of CAR-T cells starts after the infusion."""
    for row in data.events[data.events["time"] < 0].itertuples():
        if not any(word in str(row.event).lower() for word in BEFORE_INFUSION):
            yield Finding(
                "warning", "event-before-infusion", place(row),
                f"{row.event} is {-row.time:g} d before the infusion; expected after it: check the date",
            )  # fmt: skip


def check_subject_samples(data: Dataset) -> Iterator[Finding]:
    """Subjects with no sample of CAR-T cells, or one, or nothing but BLQ."""
    levels = car_observations(data)
    samples = levels[levels["status"] != PREDOSE]
    counts = samples["subject"].value_counts()
    none = [subject for subject in data.subject_ids if subject not in counts.index]
    if none:
        yield Finding(
            "note", "subject-without-samples", f"subject {_names(none)}",
            f"{len(none)} of {len(data.subjects)} subjects have no CAR-T sample after the infusion",
        )  # fmt: skip
    for (subject, assay), rows in samples.groupby(["subject", "assay"], sort=False):
        if is_censored(rows).all():
            yield Finding(
                "note", "subject-all-blq", f"subject {subject}, {rows_in_words(rows)}",
                f"all {len(rows)} {assay} samples are BLQ; kept: leaving out who did not expand biases Cmax upwards",
            )  # fmt: skip
        if len(rows) == 1:
            yield Finding(
                "note", "subject-single-sample", f"subject {subject}, {rows_in_words(rows)}",
                f"one {assay} sample after the infusion; kept, but it says little about the course",
            )  # fmt: skip


def check_subject_similar(data: Dataset) -> Iterator[Finding]:
    """Identifiers that differ only in case, leading zeros or separators may be one person."""
    alike: dict[str, list[str]] = {}
    for subject in data.subject_ids:
        plain = "".join(part for part in subject.lower() if part.isalnum()).lstrip("0")
        alike.setdefault(plain, []).append(subject)
    for plain, subjects in alike.items():
        if plain and len(subjects) > 1:
            yield Finding(
                "warning", "subject-similar", f"subject {', '.join(subjects)}",
                "identifiers differ only in case, leading zeros or separators; one person, or several?",
            )  # fmt: skip


def check_subjects_few(data: Dataset) -> Iterator[Finding]:
    """A spread between subjects needs subjects."""
    n = data.observations["subject"].nunique()
    if n < FEW_SUBJECTS:
        yield Finding(
            "note", "subjects-few", "all subjects",
            f"{n} {'subject' if n == 1 else 'subjects'} with samples: the spread between subjects will come from its prior",
        )  # fmt: skip


def check_covariate_missing(data: Dataset) -> Iterator[Finding]:
    """Covariates and outcomes are known for everyone."""
    for column in data.subjects.columns.drop(["subject", "dose_level"], errors="ignore"):
        absent = data.subjects.loc[data.subjects[column].isna(), "subject"].tolist()
        if absent:
            yield Finding(
                "warning", "covariate-missing", f"subject {_names(absent)}",
                f"{column} is missing in {len(absent)} of {len(data.subjects)} subjects; a covariate model needs a value "
                "or a stated method for it",
            )  # fmt: skip


ROW_RULES = (
    check_excluded,
    check_remarks,
    check_time_increases,
    check_time_duplicated,
    check_time_negative,
    check_predose_quantified,
    check_time_unit,
    check_dose_missing,
    check_dose_several,
    check_dose_plausible,
    check_dose_unit,
    check_weight_plausible,
    check_event_before_infusion,
    check_subject_samples,
    check_subject_similar,
    check_subjects_few,
    check_covariate_missing,
)

"""Data rules about the design: what these sampling times and this dose escalation can tell at all.

References
----------
.. [1] Bergsma W. A bias-correction for Cramér's V and Tschuprow's T. J Korean Stat Soc 2013;42:323-328.
.. [2] Cohen J. Statistical Power Analysis for the Behavioral Sciences, 2nd ed, 1988, chapter 7.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from carkinetics.dataset.table import PREDOSE, QUANTIFIED, Dataset, car_observations
from carkinetics.findings import Finding

PERSISTENCE_FROM = 35.0
# An association of 0.5 is called large [2]_; with few subjects the uncorrected V is large by chance.
CONFOUNDED, CONFOUNDED_SUBJECTS, FEW_LEVELS = 0.5, 10, 8
# Days after the infusion that protocols name besides the weekly ones.
VISIT_DAYS = {0, 1, 2, 3, 4, 5, 10, 30, 60, 90, 120, 150, 180, 270, 360, 365, 540, 720, 730}


def check_expansion_informed(data: Dataset) -> Iterator[Finding]:
    """The expansion rate needs two quantified samples before the peak."""
    levels = car_observations(data)
    quantified = levels[(levels["status"] == QUANTIFIED) & (levels["time"] > 0)]
    for assay, of_assay in quantified.groupby("assay", sort=False):
        few, near, n = 0, 0, 0
        for _, rows in of_assay.sort_values("time", kind="stable").groupby("subject", sort=False):
            levels = rows["value"].to_numpy(dtype=float)
            n += 1
            few += int(np.argmax(levels) < 2)
            near += bool(levels[0] >= levels.max() / 3)
        if few > n / 2:
            yield Finding(
                "note", "late-first-sample", f"assay {assay}",
                f"in {few} of {n} subjects fewer than two quantified samples stand before the peak (in {near} the first "
                "one is within a factor 3 of it): the expansion rate is weakly informed and cannot be told from the "
                "initial level without priors",
            )  # fmt: skip


def check_sampling_sparse(data: Dataset) -> Iterator[Finding]:
    """Weekly samples leave Tmax open by half a week."""
    levels = car_observations(data)
    after = levels[(levels["time"] > 0) & (levels["time"] <= PERSISTENCE_FROM)]
    gaps = [
        gap
        for _, rows in after.groupby("subject", sort=False)
        for gap in np.diff(np.unique(rows["time"].to_numpy(dtype=float)))
    ]
    if gaps and np.median(gaps) >= 6:
        yield Finding(
            "note", "sampling-sparse", "all subjects",
            f"samples of the first {PERSISTENCE_FROM:g} days are {np.median(gaps):g} d apart (median): Cmax and the fast "
            "decline are informed; Tmax only within half an interval, lag and initial level not",
        )  # fmt: skip


def check_follow_up(data: Dataset) -> Iterator[Finding]:
    """The slow phase needs late samples."""
    latest = car_observations(data)["time"].max()
    if latest <= PERSISTENCE_FROM:
        yield Finding(
            "note", "follow-up-short", "all subjects",
            f"the last sample of all is at day {latest:g}: no information on persistence; a terminal half-life from "
            "these data describes the contraction",
        )  # fmt: skip


def check_days_nominal(data: Dataset) -> Iterator[Finding]:
    """Times that all lie on visit days are planned days, not actual ones."""
    levels = car_observations(data)
    times = levels.loc[levels["status"] != PREDOSE, "time"].to_numpy(dtype=float)
    days = np.unique(times)
    on_visits = all(day == round(day) and (day % 7 == 0 or day in VISIT_DAYS) for day in days)
    if on_visits and len(days) > 2 and len(times) >= 10:
        shown = ", ".join(f"{day:g}" for day in days[:8])
        yield Finding(
            "note", "days-nominal", "column TIME",
            f"all {len(times)} samples stand on visit days ({shown}{', ...' if len(days) > 8 else ''}); if actual "
            "sampling days are known, use them",
        )  # fmt: skip


def check_dose_confounded(data: Dataset) -> Iterator[Finding]:
    """Dose level and another property of the subjects went up together."""
    if "dose_level" not in data.subjects:
        return
    for column in data.subjects.columns.drop(["subject", "dose_level"]):
        pairs = data.subjects[["dose_level", column]].dropna()
        if len(pairs) < CONFOUNDED_SUBJECTS or not 2 <= pairs[column].nunique() <= FEW_LEVELS:
            continue
        counts = pd.crosstab(pairs["dose_level"], pairs[column])
        if not 2 <= len(counts) <= FEW_LEVELS:
            continue
        strength = cramers_v(counts.to_numpy())
        if strength >= CONFOUNDED:
            each = "; ".join(
                f"level {level}: " + ", ".join(f"{n} with {value}" for value, n in row.items() if n)
                for level, row in counts.iterrows()
            )
            yield Finding(
                "warning", "covariate-confounded", f"dose_level, {column}",
                f"they go together (bias-corrected Cramér's V {strength:.2f}; {each}); an effect of one cannot be told "
                "from an effect of the other, unless this one is an outcome of the dose",
            )  # fmt: skip


def cramers_v(counts: np.ndarray) -> float:
    """Strength of association of two classifications, corrected for chance.

    Parameters
    ----------
    counts : ndarray, shape (n_rows, n_columns)
        Subjects in each pair of classes; no row or column of zeros.

    Returns
    -------
    float
        0 (none) to 1 (one determines the other).

    Examples
    --------
    >>> cramers_v(np.array([[20, 0], [0, 20]])), cramers_v(np.array([[10, 10], [10, 10]]))
    (1.0, 0.0)
    """
    table = np.asarray(counts, dtype=float)
    n, (rows, columns) = table.sum(), table.shape
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / n
    phi2 = float(((table - expected) ** 2 / expected).sum() / n)
    corrected = max(0.0, phi2 - (rows - 1) * (columns - 1) / (n - 1))
    fewest = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1))
    return round(float(np.sqrt(corrected / (fewest - 1))), 12)


DESIGN_RULES = (
    check_expansion_informed,
    check_sampling_sparse,
    check_follow_up,
    check_days_nominal,
    check_dose_confounded,
)

"""Response of a tumour by RECIST 1.1: from sizes of lesions to a response at every visit and the best one.

Rules and their numbers: Eisenhauer EA et al. Eur J Cancer 2009;45:228-247, tables 1 to 3. Pleural mesothelioma grows as a rind; by the
modified criteria of Byrne MJ, Nowak AK. Ann Oncol 2004;15:257-260 its thickness perpendicular to the chest wall, in two positions at
three levels, is measured and added to the other targets; growth by 20 % over the nadir is progression, however small in mm.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from carkinetics.errors import ConfigError, DataError, did_you_mean
from carkinetics.response.best import CONFIRM_DAYS, CR, NE, NON, PD, PR, SD, best_so_far

TARGET, NODE, PLEURAL, NONTARGET, NEW = "target", "node", "pleural", "nontarget", "new"
KINDS = (TARGET, NODE, PLEURAL, NONTARGET, NEW)
MEASURED = (TARGET, NODE, PLEURAL)
RECIST, MODIFIED = "recist 1.1", "mesothelioma"
NAMES = {RECIST: "RECIST 1.1", MODIFIED: "modified RECIST for pleural mesothelioma"}
CRITERIA = tuple(NAMES)
PRESENT, ABSENT, PROGRESSED, NOT_ASSESSED = "present", "absent", "progressed", "not assessed"
TOO_SMALL, EQUIVOCAL = "too small to measure", "equivocal"
STATUSES = {
    **dict.fromkeys(MEASURED, ("measured", TOO_SMALL, ABSENT, NOT_ASSESSED)),
    NONTARGET: (PRESENT, ABSENT, PROGRESSED, NOT_ASSESSED), NEW: (PRESENT, EQUIVOCAL, ABSENT),
}  # fmt: skip
COLUMNS = ("subject", "day", "lesion", "kind", "size_mm", "status")

PARTIAL, GROWTH, NORMAL_NODE_MM, SMALL_MM = 0.7, 1.2, 10.0, 5.0
GROWTH_MM = {RECIST: 5.0, MODIFIED: 0.0}
MOST_PLEURAL = 6
EXACT = 1e-9  # -30 % exactly counts, whatever a sum of decimals is


def derive_response(
    lesions: pd.DataFrame, *, criteria: str = RECIST, confirm: bool = False, confirm_days: float = CONFIRM_DAYS,
    minimum_sd_days: float = 42.0,
) -> pd.DataFrame:  # fmt: skip
    """Response at every visit, and the best overall response, by RECIST 1.1.

    Parameters
    ----------
    lesions : pandas.DataFrame
        One row per subject, visit and lesion: ``subject``; ``day`` of the visit since the infusion; ``lesion``, its name;
        ``kind``: ``target`` (longest diameter), ``node`` (a target node, short axis), ``nontarget``, ``new``; ``size_mm``;
        ``status``: of a target ``measured`` (or nothing), ``too small to measure`` (counts 5 mm), ``absent`` or ``not
        assessed``; of a non-target ``present``, ``absent``, ``progressed`` (unequivocally) or ``not assessed``; of a new lesion
        ``present`` (or nothing) or ``equivocal``, which is not yet progression. The last visit at or before day 0 is the
        baseline; the first visit where there is none. A ``pleural`` lesion is one measurement of thickness, up to six of a
        subject, and is known to the modified criteria only.
    criteria : {"recist 1.1", "mesothelioma"}
        RECIST 1.1, or its modification for pleural mesothelioma: pleural thickness counts as a target, and no least growth in mm is
        asked for. These criteria want a partial response confirmed after 4 weeks: ``confirm=True``.
    confirm : bool
        Whether CR and PR count only if the next evaluable visit, ``confirm_days`` or more later, confirms them (table 3).
    confirm_days : float
        4 weeks by RECIST.
    minimum_sd_days : float
        Stable disease counts from this day after the baseline on; 6 weeks by RECIST.

    Returns
    -------
    pandas.DataFrame
        One row per subject and visit after the baseline (one at the baseline for who has none): ``subject, day, sum_mm`` (NaN
        unless all targets were assessed), ``nadir_mm`` (before the visit), ``change_pct`` from baseline, ``target, nontarget,
        new_lesion, response`` and ``best``: the best overall response up to this visit, the last being the subject's. In ``.attrs``:
        ``criteria, confirm, confirm_days, minimum_sd_days``. `carkinetics.write_report` takes the table as a part.

    Raises
    ------
    ConfigError
        If the criteria are others.
    DataError
        If columns are missing, or a lesion makes no sense: says which row.
    """
    if criteria not in CRITERIA:
        raise ConfigError(f"criteria is {criteria!r}{did_you_mean(str(criteria), CRITERIA)}")
    rows = _checked(lesions)
    _check_pleural(rows, criteria)
    visits = [
        _one_subject(str(subject), part, GROWTH_MM[criteria])
        for subject, part in rows.groupby("subject", sort=False)
    ]
    table = pd.concat(visits, ignore_index=True)
    best = [
        best_so_far(part["day"].to_numpy() - part.attrs["baseline"], part["response"].tolist(), confirm=confirm,
                    confirm_days=confirm_days, minimum_sd_days=minimum_sd_days)
        for part in visits
    ]  # fmt: skip
    table = table.assign(best=[one for several in best for one in several])
    table.attrs = {
        "criteria": criteria, "confirm": confirm, "confirm_days": float(confirm_days), "minimum_sd_days": float(minimum_sd_days),
    }  # fmt: skip
    return table


def _checked(lesions: pd.DataFrame) -> pd.DataFrame:
    for column in COLUMNS:
        if column not in lesions.columns:
            raise DataError(f"lesions: column {column!r} is missing; expected {', '.join(COLUMNS)}")
    rows = lesions[list(COLUMNS)].copy()
    rows["subject"] = rows["subject"].astype(str)
    for column in ("day", "size_mm"):
        numbers = pd.to_numeric(rows[column], errors="coerce")
        _refuse(rows, numbers.isna() & rows[column].notna(), column, "a number")
        rows[column] = numbers.astype(float)
    rows["status"] = rows["status"].where(rows["status"].notna(), "").astype(str)
    _refuse(rows, ~np.isfinite(rows["day"]), "day", "the day of the visit")
    _refuse(rows, rows["size_mm"] < 0, "size_mm", "0 or more")
    _refuse(rows, ~rows["kind"].isin(KINDS), "kind", f"one of {', '.join(KINDS)}")
    for kind, known in STATUSES.items():
        wrong = (rows["kind"] == kind) & ~rows["status"].isin(["", *known])
        _refuse(rows, wrong, "status", f"of a {kind} lesion {', '.join(known)}", known)
    _refuse(
        rows,
        (rows["kind"] == NONTARGET) & (rows["status"] == ""),
        "status",
        f"one of {', '.join(STATUSES[NONTARGET])}",
    )
    _refuse(
        rows,
        rows.duplicated(["subject", "day", "lesion"]),
        "lesion",
        "one row per visit; this one is a second",
    )
    kinds = rows.groupby(["subject", "lesion"])["kind"].transform("nunique")
    _refuse(rows, kinds > 1, "kind", "the same kind at every visit of a lesion")
    if rows.empty:
        raise DataError("lesions has no rows")
    # A target is what was measured, whatever else is said of it: sizes from here on are complete or NaN.
    measured = rows["kind"].isin(MEASURED)
    rows.loc[measured & (rows["status"] == ABSENT), "size_mm"] = 0.0
    small = measured & (rows["status"] == TOO_SMALL)
    rows.loc[small, "size_mm"] = rows.loc[small, "size_mm"].fillna(SMALL_MM)
    rows.loc[measured & (rows["status"] == NOT_ASSESSED), "size_mm"] = np.nan
    _refuse(rows, measured & rows["size_mm"].isna() & (rows["status"] != NOT_ASSESSED), "size_mm", "a size in mm, or the "
            "status 'not assessed'")  # fmt: skip
    return rows


def _check_pleural(rows: pd.DataFrame, criteria: str) -> None:
    pleural = rows["kind"] == PLEURAL
    if criteria == RECIST:
        _refuse(rows, pleural, "kind", f"a longest diameter; thickness goes with criteria={MODIFIED!r}")
    many = (
        rows[pleural]
        .groupby(["subject", "day"])["lesion"]
        .transform("size")
        .reindex(rows.index, fill_value=0)
    )
    _refuse(
        rows,
        many > MOST_PLEURAL,
        "lesion",
        f"at most {MOST_PLEURAL} measurements of pleural thickness at a visit",
    )


def _refuse(rows: pd.DataFrame, wrong: pd.Series, column: str, right: str, known: Iterable[str] = ()) -> None:
    if wrong.any():
        row = rows[wrong].astype(object).iloc[0]
        hint = did_you_mean(str(row[column]), known) if known else ""
        raise DataError(
            f"lesions, row {rows.index[wrong][0]!r} (subject {row['subject']}, day {row['day']}, lesion {row['lesion']}): "
            f"{column} is {row[column]!r}; expected {right}{hint}"
        )


def baseline_day(days: np.ndarray) -> float:
    """Which visit is the baseline.

    Parameters
    ----------
    days : ndarray
        Of a subject's visits, since the infusion.

    Returns
    -------
    float
        The last one at or before day 0; the first where there is none.

    Examples
    --------
    >>> baseline_day(np.array([-30.0, -7.0, 42.0])), baseline_day(np.array([42.0, 28.0]))
    (-7.0, 28.0)
    """
    before = days[days <= 0]
    return float(before.max() if before.size else days.min())


def _one_subject(subject: str, rows: pd.DataFrame, growth_mm: float) -> pd.DataFrame:
    days = np.sort(rows["day"].unique())
    baseline = baseline_day(days)
    first = rows[rows["day"] == baseline]
    nodes = first.loc[first["kind"] == NODE, "lesion"].tolist()
    targets = first[first["kind"].isin(MEASURED)].set_index("lesion")["size_mm"]
    if targets.isna().any():
        lesion = targets.index[targets.isna()][0]
        raise DataError(
            f"lesions: subject {subject}, day {baseline:g}: target {lesion!r} has no size at the baseline"
        )
    others = first.loc[first["kind"] == NONTARGET, "lesion"].tolist()
    if targets.empty and not others:
        raise DataError(
            f"lesions: subject {subject} has neither target nor non-target lesions at the baseline, day {baseline:g}"
        )
    late = rows[
        (rows["day"] > baseline)
        & rows["kind"].isin([*MEASURED, NONTARGET])
        & ~rows["lesion"].isin(first["lesion"])
    ]
    if len(late):
        raise DataError(
            f"lesions: subject {subject}, day {late['day'].iloc[0]:g}: {late['lesion'].iloc[0]!r} was not there at the baseline "
            f"(day {baseline:g}); a lesion that came later is of the kind 'new'"
        )
    found, nadir, new, cleared = [], float(targets.sum()), False, False
    for day in days[days > baseline]:
        visit = rows[rows["day"] == day].set_index("lesion")
        sizes = visit["size_mm"].reindex(targets.index)
        target = _target(sizes, nodes, float(targets.sum()), nadir, cleared, growth_mm)
        nontarget = _nontarget(visit["status"].reindex(others).fillna(NOT_ASSESSED).tolist())
        new = new or bool(((visit["kind"] == NEW) & visit["status"].isin(["", PRESENT])).any())
        total = float(sizes.sum()) if len(targets) and sizes.notna().all() else np.nan
        found.append(
            (
                day,
                total,
                nadir if len(targets) else np.nan,
                target,
                nontarget,
                new,
                _overall(target, nontarget, new),
            )
        )
        nadir, cleared = float(np.nanmin([nadir, total])), cleared or target == CR
    if not found:
        found = [(baseline, float(targets.sum()), np.nan, NE, NE, False, NE)]
    columns = ["day", "sum_mm", "nadir_mm", "target", "nontarget", "new_lesion", "response"]
    table = pd.DataFrame(found, columns=columns)
    table.insert(0, "subject", subject)
    start = float(targets.sum()) if len(targets) else np.nan
    change = 100 * (table["sum_mm"] / start - 1) if start else np.nan
    table.insert(4, "change_pct", np.where(table["day"] > baseline, change, np.nan))
    table.attrs["baseline"] = baseline
    return table


def _target(
    sizes: pd.Series, nodes: list[str], baseline: float, nadir: float, cleared: bool, growth_mm: float
) -> str:
    """Response of the target lesions at a visit; empty if there are none."""
    if sizes.empty:
        return ""
    total = float(sizes.sum())  # of those assessed: what is missing can only add to it
    grown = total >= GROWTH * nadir - EXACT and total - nadir >= growth_mm - EXACT and total > nadir
    back = cleared and bool(
        (sizes.drop(nodes) > 0).any()
    )  # what reappears after a complete response has progressed
    if grown or back:
        return PD
    if sizes.isna().any():
        return NE
    if (sizes.drop(nodes) == 0).all() and (sizes[nodes] < NORMAL_NODE_MM).all():
        return CR
    return PR if total <= PARTIAL * baseline + EXACT else SD


def _nontarget(statuses: list[str]) -> str:
    if not statuses:
        return ""
    if PROGRESSED in statuses:
        return PD
    if NOT_ASSESSED in statuses:
        return NE
    return CR if set(statuses) == {ABSENT} else NON


def _overall(target: str, nontarget: str, new: bool) -> str:
    """Tables 1 and 2."""
    if new or PD in (target, nontarget):
        return PD
    if not target:
        return nontarget
    if target == CR:
        return CR if nontarget in ("", CR) else PR
    return target

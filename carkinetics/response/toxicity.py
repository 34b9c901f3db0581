"""Adverse events: worst grade, onset and duration of each subject, tables by group, dose-limiting toxicities."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from carkinetics.errors import DataError, did_you_mean

NEEDED = ("subject", "term", "grade", "start")
GRADES = (1, 2, 3, 4, 5)


def _checked(events: pd.DataFrame, subjects: Iterable[str]) -> tuple[pd.DataFrame, list[str]]:
    ids = [str(subject) for subject in subjects]
    for column in NEEDED:
        if column not in events.columns:
            raise DataError(
                f"adverse events: column {column!r} is missing; expected {', '.join(NEEDED)} and, if known, end"
            )
    rows = events.assign(subject=events["subject"].astype(str), term=events["term"].astype(str))
    if "end" not in rows:
        rows["end"] = np.nan
    for column in ("grade", "start", "end"):
        numbers = pd.to_numeric(rows[column], errors="coerce")
        _refuse(rows, numbers.isna() & rows[column].notna(), column, "a number")
        rows[column] = numbers.astype(float)
    _refuse(rows, ~rows["grade"].isin(GRADES), "grade", "1 to 5")
    _refuse(rows, rows["start"].isna(), "start", "the day of the onset")
    _refuse(rows, rows["end"] < rows["start"], "end", "a day not before its start")
    _refuse(rows, ~rows["subject"].isin(ids), "subject", "one of the subjects of the study")
    return rows, ids


def _refuse(rows: pd.DataFrame, wrong: pd.Series, column: str, right: str) -> None:
    if wrong.any():
        row = rows[wrong].astype(object).iloc[0]
        raise DataError(
            f"adverse events, row {rows.index[wrong][0]!r} (subject {row['subject']}, {row['term']}): {column} is "
            f"{row[column]!r}; expected {right}"
        )


def worst_grade(events: pd.DataFrame, subjects: Iterable[str], term: str) -> pd.DataFrame:
    """Worst grade of one kind of event, with onset and duration.

    Parameters
    ----------
    events : pandas.DataFrame
        One row per event and grade: ``subject, term, grade`` (1 to 5), ``start`` and ``end`` (days since the infusion; ``end``
        empty while it goes on).
    subjects : iterable of str
        All who were treated; who has no such event has grade 0.
    term : str
        For instance ``"CRS"``.

    Returns
    -------
    pandas.DataFrame
        Indexed by subject: ``grade, onset`` (first day of any grade), ``worst_onset`` (first day of the worst), ``end`` (last day;
        NaN while it goes on), ``duration`` in days, both days counted.

    Raises
    ------
    DataError
        If an event makes no sense, or nobody has the term.
    """
    rows, ids = _checked(events, subjects)
    mine = rows[rows["term"] == term]
    if mine.empty:
        raise DataError(f"adverse events: no {term!r}{did_you_mean(term, rows['term'].unique())}")
    by = mine.groupby("subject")
    grade = by["grade"].max()
    worst = mine[mine["grade"] == mine["subject"].map(grade)].groupby("subject")["start"].min()
    table = pd.DataFrame(
        {"grade": grade, "onset": by["start"].min(), "worst_onset": worst, "end": by["end"].max().where(~by["end"].apply(
            lambda days: days.isna().any()))}
    )  # fmt: skip
    table["duration"] = table["end"] - table["onset"] + 1
    table = table.reindex(ids).rename_axis("subject")
    return table.assign(grade=table["grade"].fillna(0).astype(int))


def toxicity_table(
    events: pd.DataFrame, groups: pd.Series, *, severe: int = 3, only: str = "", order: str = "frequency"
) -> pd.DataFrame:
    """Subjects with each kind of event, each subject counted once at its worst grade.

    Parameters
    ----------
    events : pandas.DataFrame
        See `worst_grade`.
    groups : pandas.Series
        Group of every treated subject, for instance its dose level, indexed by subject: also those without events.
    severe : int
        The grade from which on an event counts as severe.
    only : str
        A column of ``events`` that holds True for the events to count, for instance ``serious`` (SAE) or ``special_interest``
        (AESI).
    order : {"frequency", "term"}
        Of the rows.

    Returns
    -------
    pandas.DataFrame
        Indexed by term, ``any event`` first: for each group and ``all`` the columns ``any`` and ``severe``, numbers of subjects.
        ``.attrs["n"]`` has the size of each group.

    Raises
    ------
    DataError
        If an event makes no sense, or a column is missing.
    """
    named = groups.rename(index=str)
    rows, _ = _checked(events, named.index)
    if only:
        if only not in rows:
            raise DataError(
                f"adverse events: no column {only!r}{did_you_mean(only, [str(c) for c in rows.columns])}"
            )
        rows = rows[rows[only].fillna(False).astype(bool)]
    labels = [*sorted(named.unique()), "all"]
    worst = rows.groupby(["term", "subject"], as_index=False)["grade"].max()
    anything = rows.groupby("subject", as_index=False)["grade"].max().assign(term="any event")
    counts = {}
    for term, part in pd.concat([anything, worst]).groupby("term", sort=False):
        group = part["subject"].map(named)
        counts[term] = {
            (label, kind): int(((group == label) | (label == "all"))[part["grade"] >= least].sum())
            for label in labels
            for kind, least in (("any", 1), ("severe", severe))
        }
    table = pd.DataFrame.from_dict(
        counts, orient="index", columns=pd.MultiIndex.from_product([labels, ["any", "severe"]])
    )
    table.index.name = "term"
    if len(table):
        head, rest = table.iloc[:1], table.iloc[1:].sort_index()
        if order == "frequency":
            rest = rest.sort_values([("all", "any"), ("all", "severe")], ascending=False, kind="stable")
        table = pd.concat([head, rest])
    table.attrs["n"] = {
        label: int(len(named) if label == "all" else (named == label).sum()) for label in labels
    }
    return table


def dose_limiting(
    events: pd.DataFrame, subjects: Iterable[str], *, followed: pd.Series | None = None, window: float = 28.0
) -> pd.DataFrame:
    """Dose-limiting toxicities within their window, and who can be evaluated for them.

    Parameters
    ----------
    events : pandas.DataFrame
        See `worst_grade`, with a column ``dlt``: True where the protocol's definition is met.
    subjects : iterable of str
        All who were treated.
    followed : pandas.Series, optional
        Last day of observation of each subject; all to the end of the window if not given.
    window : float
        Days from the infusion; an onset on its last day counts.

    Returns
    -------
    pandas.DataFrame
        Indexed by subject: ``dlt`` (bool), ``onset, term`` of the first; ``evaluable``: had one, or was followed to the end of the
        window without.

    Raises
    ------
    DataError
        If an event makes no sense, or there is no column ``dlt``.
    """
    rows, ids = _checked(events, subjects)
    if "dlt" not in rows:
        raise DataError(
            "adverse events: no column 'dlt'; it holds True where the protocol's definition is met"
        )
    met = rows[rows["dlt"].fillna(False).astype(bool) & rows["start"].between(0, window)]
    first = met.sort_values("start", kind="stable").groupby("subject")[["start", "term"]].first()
    table = first.rename(columns={"start": "onset"}).reindex(ids).rename_axis("subject")
    table.insert(0, "dlt", table["onset"].notna())
    last = (
        pd.Series(np.inf, index=ids)
        if followed is None
        else followed.rename(index=str).reindex(ids).astype(float)
    )
    table["evaluable"] = table["dlt"] | (last >= window)
    return table

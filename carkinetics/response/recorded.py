"""What a trial has recorded of its tumours: columns of the subjects' table with responses, progression and death."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from pandas.api.types import is_datetime64_any_dtype

from carkinetics.errors import ConfigError, DataError, did_you_mean
from carkinetics.response.best import CODES, response_codes
from carkinetics.response.case import numeric
from carkinetics.response.survival import times_and_events

TIMES = ("pfs", "os")
TIME_KEYS = ("duration", "event")
DAYS = ("death", "last_alive", "new_therapy")  # the subjects' own columns that `event_days` reads
# Names that are looked for where none is given.
USUAL: dict[str, Any] = {
    "response": "response",
    "new_lesion": "new_lesion_day",
    "pfs": {"duration": "pfs_day", "event": "pfs_event"},
    "os": {"duration": "os_day", "event": "os_event"},
}


def recorded_columns(subjects: pd.DataFrame, **named: Any) -> dict[str, Any]:
    """Columns with what was recorded: those named, and those with the usual names where none is.

    Parameters
    ----------
    subjects : pandas.DataFrame
        One row per subject.
    **named : str or mapping
        ``response`` and ``new_lesion``: a column; ``pfs`` and ``os``: ``{"duration": column, "event": column}``. Nothing where the usual
        names (``response``, ``new_lesion_day``, ``pfs_day``, ``pfs_event``, ``os_day``, ``os_event``) are to be looked for. A column
        ``response`` that was not named counts only if it holds nothing but RECIST's responses.

    Returns
    -------
    dict
        What there is, in the same form.

    Raises
    ------
    ConfigError
        If ``pfs`` or ``os`` does not have these two keys.
    DataError
        If a named column is not there, or that of responses holds something else than RECIST's.
    """
    found: dict[str, Any] = {}
    for role, usual in USUAL.items():
        asked = named.get(role)
        if role in TIMES and asked and set(asked) != set(TIME_KEYS):
            raise ConfigError(
                f"{role} is {asked!r}; expected the columns of two keys, {' and '.join(TIME_KEYS)}"
            )
        columns = asked or usual
        names = list(columns.values()) if isinstance(columns, Mapping) else [columns]
        lacking = [name for name in names if name not in subjects.columns]
        if asked and lacking:
            known = [str(column) for column in subjects.columns]
            raise DataError(
                f"{role}: subjects has no column {lacking[0]!r}{did_you_mean(str(lacking[0]), known)}"
            )
        if not lacking:
            found[role] = dict(columns) if isinstance(columns, Mapping) else str(columns)
    if "response" in found and (other := other_response(subjects, found["response"])):
        if named.get("response"):
            raise DataError(
                f"response: the column {found['response']!r} holds {other!r}; expected {', '.join(CODES)}, or their names such as "
                "'Partial response'"
            )
        del found["response"]
    return found


def other_response(subjects: pd.DataFrame, column: str) -> str:
    """What a column holds that is no response of RECIST.

    Parameters
    ----------
    subjects : pandas.DataFrame
        One row per subject.
    column : str
        Its name.

    Returns
    -------
    str
        The first such value; empty if there is none.
    """
    codes = response_codes(subjects[column])
    return next((str(code) for code in codes if code not in ("", *CODES)), "")


def recorded_times(subjects: pd.DataFrame, columns: Mapping[str, Any], endpoint: str) -> pd.DataFrame:
    """Times to progression or death, or to death, as recorded.

    Parameters
    ----------
    subjects : pandas.DataFrame
        One row per subject.
    columns : mapping
        Of `recorded_columns`.
    endpoint : {"pfs", "os"}
        Which.

    Returns
    -------
    pandas.DataFrame
        Indexed by subject: ``time`` (days), ``event`` (1, or 0 for censored); without subjects of whom one is missing, and without rows
        where nothing was recorded.

    Raises
    ------
    DataError
        If a time or an event makes no sense.
    """
    empty = pd.DataFrame(
        {"time": pd.Series(dtype=float), "event": pd.Series(dtype=int)}, index=pd.Index([], name="subject")
    )
    if endpoint not in columns:
        return empty
    indexed = subjects.set_index(subjects["subject"].astype(str))
    both = pd.DataFrame(
        {"time": numeric(indexed, columns[endpoint]["duration"]), "event": numeric(indexed, columns[endpoint]["event"])}
    ).dropna()  # fmt: skip
    if both.empty:
        return empty
    time, event, _ = times_and_events(both["time"], both["event"])
    return pd.DataFrame({"time": time, "event": event}, index=both.index.rename("subject"))


def recorded_progression(subjects: pd.DataFrame, columns: Mapping[str, Any]) -> pd.Series:
    """Days of progression as recorded: events of progression-free survival that are no deaths.

    Parameters
    ----------
    subjects : pandas.DataFrame
        One row per subject.
    columns : mapping
        Of `recorded_columns`.

    Returns
    -------
    pandas.Series
        Indexed by subject, of those who progressed; without `ambiguous_progression`.
    """
    known = _progression_or_death(subjects, columns).drop(ambiguous_progression(subjects, columns))
    if known.empty:
        return known
    died = event_days(subjects, columns).set_index("subject")["death"]
    return known[known != died.reindex(known.index)]


def ambiguous_progression(subjects: pd.DataFrame, columns: Mapping[str, Any]) -> list[str]:
    """Subjects whose recorded event of progression-free survival may be progression or death.

    Parameters
    ----------
    subjects : pandas.DataFrame
        One row per subject.
    columns : mapping
        Of `recorded_columns`.

    Returns
    -------
    list of str
        Those of unknown survival: all where neither overall survival nor days of death are recorded.
    """
    events = _progression_or_death(subjects, columns)
    if "os" in columns:
        return events.index.difference(recorded_times(subjects, columns, "os").index, sort=False).tolist()
    died = event_days(subjects, columns).get("death", pd.Series(dtype=float))
    return [] if died.notna().any() else events.index.tolist()


def half_recorded(subjects: pd.DataFrame, columns: Mapping[str, Any], endpoint: str) -> list[str]:
    """Subjects of whom a time without its event was recorded, or an event without its time.

    Parameters
    ----------
    subjects : pandas.DataFrame
        One row per subject.
    columns : mapping
        Of `recorded_columns`.
    endpoint : {"pfs", "os"}
        Which.

    Returns
    -------
    list of str
        Whom `recorded_times` leaves out.
    """
    if endpoint not in columns:
        return []
    given = subjects.set_index(subjects["subject"].astype(str))[list(columns[endpoint].values())].notna()
    return given.index[given.any(axis=1) & ~given.all(axis=1)].tolist()


def _progression_or_death(subjects: pd.DataFrame, columns: Mapping[str, Any]) -> pd.Series:
    pfs = recorded_times(subjects, columns, "pfs")
    return pfs.loc[pfs["event"] == 1, "time"]


def event_days(subjects: pd.DataFrame, columns: Mapping[str, Any]) -> pd.DataFrame:
    """Days of death, of last contact and of new therapy, for `carkinetics.derive_event`.

    Parameters
    ----------
    subjects : pandas.DataFrame
        One row per subject. Its own columns ``death``, ``last_alive`` (both where overall survival is not recorded) and ``new_therapy`` are
        read where they hold days since the infusion, or dates beside a column ``infusion``; see `not_days`.
    columns : mapping
        Of `recorded_columns`.

    Returns
    -------
    pandas.DataFrame
        ``subject``, and ``death, last_alive, new_therapy`` in days since the infusion, as far as there is such a column.
    """
    left_out = not_days(subjects, columns)
    days = pd.DataFrame({"subject": subjects["subject"].astype(str)})
    for name in _own_days(subjects, columns):
        if name not in left_out:
            given = subjects[name]
            dates = is_datetime64_any_dtype(given)
            days[name] = (given - subjects["infusion"]).dt.days if dates else pd.to_numeric(given)
    if "os" not in columns:
        return days
    found = recorded_times(subjects, columns, "os").reindex(days["subject"])
    return days.assign(
        death=found["time"].where(found["event"] == 1).to_numpy(),
        last_alive=found["time"].where(found["event"] == 0).to_numpy(),
    )


def not_days(subjects: pd.DataFrame, columns: Mapping[str, Any]) -> list[str]:
    """Columns that are called as days of events are, and hold something else.

    Parameters
    ----------
    subjects : pandas.DataFrame
        One row per subject.
    columns : mapping
        Of `recorded_columns`.

    Returns
    -------
    list of str
        Of ``death``, ``last_alive`` and ``new_therapy``, as far as they would be read, those with only 0 and 1 (which say whether, not when),
        with words, and with dates where there is no column ``infusion``.

    Examples
    --------
    >>> table = pd.DataFrame({"subject": ["a", "b"], "death": [0, 1], "new_therapy": [30, None]})
    >>> not_days(table, {})
    ['death']
    """
    return [
        name
        for name in _own_days(subjects, columns)
        if not _holds_days(subjects[name], subjects.get("infusion"))
    ]


def _own_days(subjects: pd.DataFrame, columns: Mapping[str, Any]) -> list[str]:
    asked = ("new_therapy",) if "os" in columns else DAYS
    return [name for name in asked if name in subjects.columns]


def _holds_days(column: pd.Series, infusion: pd.Series | None) -> bool:
    if is_datetime64_any_dtype(column):
        return infusion is not None and is_datetime64_any_dtype(infusion)
    given = column.dropna()
    numbers = pd.to_numeric(given, errors="coerce")
    return bool(given.empty or (numbers.notna().all() and not numbers.isin([0, 1]).all()))

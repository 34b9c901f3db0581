"""Progression, response duration and survival as times to an event, with declared censoring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_datetime64_any_dtype

from carkinetics.errors import ConfigError, DataError, did_you_mean
from carkinetics.response.best import CONFIRM_DAYS, CR, NE, PD, PR, is_confirmed

ENDPOINTS = ("pfs", "dor", "os", "ttp")
NEW_THERAPY = ("censor", "ignore", "event")
PROGRESSION, DEATH, THERAPY = "progressive disease", "death", "new anticancer therapy"
NO_ASSESSMENT = "no assessment after baseline"
LAST_ASSESSMENT = "last adequate assessment without progression"
BEFORE_THERAPY = "last adequate assessment before new anticancer therapy"
BEFORE_GAP = "last adequate assessment before missed ones"
LAST_ALIVE = "last known alive"


def derive_event(
    endpoint: str, subjects: pd.DataFrame, responses: pd.DataFrame | None = None, *, new_therapy: str = "censor",
    missed_days: float = np.inf, confirmed: bool = False,
) -> pd.DataFrame:  # fmt: skip
    """Time to an event for every subject, and what ended it.

    Parameters
    ----------
    endpoint : {"pfs", "ttp", "dor", "os"}
        From the infusion to progression or death (``pfs``), to progression, deaths censored (``ttp``), or to death (``os``);
        from the first CR or PR to progression or death, in who responded before progression and new therapy (``dor``).
    subjects : pandas.DataFrame
        One row per subject: ``subject``; where they apply ``death``, ``last_alive``, ``new_therapy``: days since the infusion, or
        dates beside a column ``infusion``. Empty where it did not happen.
    responses : pandas.DataFrame, optional
        Of `derive_response`, or a table ``subject, day, response`` (day or date); needed but for ``os``.
    new_therapy : {"censor", "ignore", "event"}
        New anticancer therapy censors at the last adequate assessment before it, is not looked at, or is itself the event.
    missed_days : float
        Progression or death later than this after the last adequate assessment (or the infusion) is censored there: with
        assessments every 8 weeks, 2 missed ones are about 126 days.
    confirmed : bool
        For ``dor``: start at the first response that a later visit confirms, ``confirm_days`` of ``responses.attrs`` later (28 if it does
        not say).

    Returns
    -------
    pandas.DataFrame
        Indexed by ``subject``: ``time`` (days; ADaM's AVAL adds 1), ``event`` (1, or 0 for censored), ``reason``. For ``dor`` also
        ``start``, and responders only.

    Raises
    ------
    ConfigError
        If a setting is something else.
    DataError
        If a column is missing, or a day makes no sense: says whose.

    References
    ----------
    .. [1] FDA. Clinical trial endpoints for the approval of cancer drugs and biologics. Guidance, 2018.
    """
    if endpoint not in ENDPOINTS:
        raise ConfigError(f"endpoint is {endpoint!r}{did_you_mean(str(endpoint), ENDPOINTS)}")
    if new_therapy not in NEW_THERAPY:
        raise ConfigError(f"new_therapy is {new_therapy!r}{did_you_mean(str(new_therapy), NEW_THERAPY)}")
    table = _days(subjects)
    if endpoint == "os":
        return _survival(table)
    if responses is None:
        raise ConfigError(f"{endpoint} needs responses, the table of derive_response")
    visits = _visits(responses, subjects, table)
    rows = []
    for subject, row in table.iterrows():
        mine = visits[visits["subject"] == subject]
        start = 0.0
        if endpoint == "dor":
            responded = _response_day(row, mine, new_therapy, responses.attrs, confirmed)
            if responded is None:
                continue
            start = responded
        time, event, reason = _first(row, mine, endpoint, new_therapy, missed_days)
        rows.append(
            {"subject": subject, "start": start, "time": time - start, "event": event, "reason": reason}
        )
    found = pd.DataFrame(rows, columns=["subject", "start", "time", "event", "reason"]).set_index("subject")
    return found if endpoint == "dor" else found.drop(columns="start")


def _response_day(
    row: pd.Series, visits: pd.DataFrame, new_therapy: str, settings: Mapping[Any, Any], confirmed: bool
) -> float | None:
    """Day of the first response that counts: what shrinks after progression or new therapy is not of this treatment."""
    ends = [row["death"]] if new_therapy == "ignore" else [row["death"], row["new_therapy"]]
    before = (visits["response"] == PD).cumsum() == 0
    days, found = visits["day"].to_numpy(float), visits["response"].tolist()
    wait = float(settings.get("confirm_days", CONFIRM_DAYS))
    for i in np.flatnonzero(before & visits["response"].isin([CR, PR])):
        if (days[i] <= np.nan_to_num(ends, nan=np.inf)).all() and (
            not confirmed or is_confirmed(int(i), days, found, wait)
        ):
            return float(days[i])
    return None


def _days(subjects: pd.DataFrame) -> pd.DataFrame:
    """Days since the infusion, indexed by subject."""
    if "subject" not in subjects.columns:
        raise DataError("subjects has no column 'subject'")
    names = subjects["subject"].astype(str)
    if names.duplicated().any():
        raise DataError(f"subjects: {names[names.duplicated()].iloc[0]!r} has two rows")
    table = pd.DataFrame(index=pd.Index(names, name="subject"))
    for column in ("death", "last_alive", "new_therapy"):
        given = subjects[column] if column in subjects else pd.Series(np.nan, index=subjects.index)
        table[column] = _since_infusion(given, column, subjects).to_numpy()
        bad = table[column] < 0
        if bad.any():
            raise DataError(
                f"subject {table.index[bad][0]}: {column} is day {table[column][bad].iloc[0]:g}, before the infusion"
            )
    return table


def _since_infusion(
    column: pd.Series, name: str, subjects: pd.DataFrame, infusion: pd.Series | None = None
) -> pd.Series:
    if is_datetime64_any_dtype(column):
        if infusion is None:
            if "infusion" not in subjects:
                raise DataError(
                    f"{name} holds dates; subjects needs a column 'infusion' with the date of the infusion"
                )
            infusion = subjects["infusion"]
        return (column - infusion).dt.days.astype(float)
    numbers = pd.to_numeric(column, errors="coerce").astype(float)
    bad = numbers.isna() & column.notna()
    if bad.any():
        raise DataError(
            f"{name}: {column[bad].iloc[0]!r} is neither a day nor a date; convert texts by pandas.to_datetime"
        )
    return numbers


def _visits(responses: pd.DataFrame, subjects: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    for column in ("subject", "day", "response"):
        if column not in responses.columns:
            raise DataError(f"responses has no column {column!r}; see derive_response")
    visits = responses.assign(subject=responses["subject"].astype(str))
    stray = ~visits["subject"].isin(table.index)
    if stray.any():
        raise DataError(f"responses: subject {visits['subject'][stray].iloc[0]!r} is not in subjects")
    infusion = None
    if "infusion" in subjects:
        dates = subjects.set_index(subjects["subject"].astype(str))["infusion"]
        infusion = visits["subject"].map(dates)
    visits["day"] = _since_infusion(visits["day"], "day", subjects, infusion)
    return visits[visits["day"] > 0].sort_values(["subject", "day"], kind="stable")


def _survival(table: pd.DataFrame) -> pd.DataFrame:
    unknown = table["death"].isna() & table["last_alive"].isna()
    if unknown.any():
        raise DataError(
            f"subject {table.index[unknown][0]} has neither death nor last_alive; one of the two ends its survival"
        )
    died = table["death"].notna()
    return pd.DataFrame(
        {"time": table["death"].where(died, table["last_alive"]), "event": died.astype(int),
         "reason": np.where(died, DEATH, LAST_ALIVE)},
        index=table.index,
    )  # fmt: skip


def _first(
    row: pd.Series, visits: pd.DataFrame, endpoint: str, new_therapy: str, missed_days: float
) -> tuple[float, int, str]:
    """The event or the end of observation of one subject: day, 1 or 0, why."""
    adequate = visits.loc[~visits["response"].isin([NE, PD]), "day"].to_numpy(float)
    progressed = visits.loc[visits["response"] == PD, "day"].to_numpy(float)
    therapy = row["new_therapy"] if new_therapy != "ignore" else np.nan

    def censored(before: float, reason: str) -> tuple[float, int, str]:
        seen = adequate[adequate <= before]
        return (
            (float(seen[-1]), 0, reason)
            if seen.size
            else (0.0, 0, NO_ASSESSMENT if not adequate.size else reason)
        )

    candidates = list(_events(row, progressed, endpoint))
    if new_therapy == "event" and not np.isnan(therapy):
        candidates.append((float(therapy), THERAPY))
    day, reason = min(candidates, default=(np.inf, ""))
    if new_therapy == "censor" and not np.isnan(therapy) and therapy < day:
        return censored(float(therapy), BEFORE_THERAPY)
    if np.isinf(day):
        return censored(np.inf, LAST_ASSESSMENT)
    seen = adequate[adequate < day]
    if day - (seen[-1] if seen.size else 0.0) > missed_days:
        return censored(day, BEFORE_GAP)
    return day, 1, reason


def _events(row: pd.Series, progressed: Any, endpoint: str) -> Iterator[tuple[float, str]]:
    if len(progressed):
        yield float(progressed[0]), PROGRESSION
    if endpoint != "ttp" and not np.isnan(row["death"]):
        yield float(row["death"]), DEATH

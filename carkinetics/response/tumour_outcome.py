"""What became of the tumours of a trial: best responses, rates with exact intervals, times to events, disagreements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from carkinetics.dataset.table import Dataset
from carkinetics.diagnostics.binning import stratum_order
from carkinetics.errors import DataError
from carkinetics.exposure.by_dose import dose_groups
from carkinetics.response.best import CODES, CR, NE, NON, PD, PR, SD, response_codes, until_progression
from carkinetics.response.event import derive_event
from carkinetics.response.proportion import proportions
from carkinetics.response.recorded import (
    event_days,
    recorded_columns,
    recorded_times,
)
from carkinetics.response.survival import kaplan_meier

BEST = CODES
RATES = {"orr": (CR, PR), "dcr": (CR, PR, SD, NON)}
EVERYBODY, EVALUABLE = "all", "evaluable"
ALL_GROUPS = "all"
UNKNOWN_GROUP = "not known"  # of subjects without a dose: one group in tables, listing and figures
DOR, PFS, OS = "dor", "pfs", "os"


def columns_of(responses: pd.DataFrame, data: Dataset) -> dict[str, Any]:
    """Where outcomes are recorded: as the responses say, else under the usual names.

    Parameters
    ----------
    responses : pandas.DataFrame
        Of `carkinetics.derive_response` or `carkinetics.responses_from`.
    data : Dataset
        Whose subjects.

    Returns
    -------
    dict
        See `recorded_columns`.
    """
    named = responses.attrs.get("columns")
    return recorded_columns(data.subjects) if named is None else dict(named)


def best_responses(responses: pd.DataFrame, data: Dataset) -> pd.DataFrame:
    """Best overall response and best change of every subject.

    Parameters
    ----------
    responses : pandas.DataFrame
        Of `carkinetics.derive_response` or `carkinetics.responses_from`.
    data : Dataset
        Whose subjects.

    Returns
    -------
    pandas.DataFrame
        Indexed by all subjects: ``best`` (NE without an assessment), ``recorded`` (empty where nothing was), ``change_pct`` (smallest up to and including
        progression) and ``change_day``, ``new_lesion_day`` and ``progression_day`` (first).

    Raises
    ------
    DataError
        If a subject is not in the data.
    """
    subjects = pd.Index(data.subject_ids, name="subject")
    visits = responses.assign(subject=responses["subject"].astype(str))
    stray = ~visits["subject"].isin(subjects)
    if stray.any():
        raise DataError(f"responses: subject {visits['subject'][stray].iloc[0]!r} is not in the data")
    measured = until_progression(visits).dropna(subset="change_pct")
    lowest = measured.loc[measured.groupby("subject")["change_pct"].idxmin()].set_index("subject")
    first = {name: visits[which].groupby("subject")["day"].min()
             for name, which in (("new_lesion_day", visits["new_lesion"]), ("progression_day", visits["response"] == PD))}  # fmt: skip
    found = pd.DataFrame(index=subjects)
    found["best"] = visits.groupby("subject")["best"].last().reindex(subjects).fillna(NE)
    column = columns_of(responses, data).get("response")
    recorded = data.subjects.set_index("subject")[column] if column else pd.Series("", index=subjects)
    found["recorded"] = response_codes(recorded)
    found["change_pct"], found["change_day"] = lowest["change_pct"], lowest["day"]
    return found.assign(**{name: days.reindex(subjects) for name, days in first.items()})


def tumour_groups(data: Dataset) -> pd.Series | None:
    """Group of every subject by which rates and figures are shown: its dose.

    Parameters
    ----------
    data : Dataset
        Subjects and doses.

    Returns
    -------
    pandas.Series or None
        Of `carkinetics.exposure.by_dose.dose_groups` as text, indexed by subject; ``not known`` where there is no dose.
    """
    groups = dose_groups(data)
    if groups is None:
        return None
    mine = groups.reindex(pd.Index(data.subject_ids, name="subject"))
    return mine.astype(str).where(mine.notna(), UNKNOWN_GROUP)


def response_rates(best: pd.Series, by: pd.Series | None = None, *, level: float = 0.95) -> pd.DataFrame:
    """Best responses counted, with the rates of response and of disease control.

    Parameters
    ----------
    best : pandas.Series
        Best overall response, one per subject.
    by : pandas.Series, optional
        Group of each, such as its dose; who has none is in the group ``not known``.
    level : float
        Of the exact intervals (Clopper-Pearson).

    Returns
    -------
    pandas.DataFrame
        ``population`` (``all``, where NE is no response, or ``evaluable``, without NE), ``group`` (``all`` last), ``n``, a count for each
        best response, and ``orr`` (CR or PR) and ``dcr`` (CR, PR, SD or non-CR/non-PD) as shares with ``_lower`` and ``_upper``.

    Examples
    --------
    >>> rates = response_rates(pd.Series(["PR", "PR", "SD", "PD", "NE"]))
    >>> rates[["population", "n", "orr", "dcr"]].round(2).to_numpy().tolist()
    [['all', 5, 0.4, 0.6], ['evaluable', 4, 0.5, 0.75]]
    """
    given = None if by is None else by.reindex(best.index)
    groups = None if given is None else given.astype(str).where(given.notna(), UNKNOWN_GROUP)
    rows: list[dict[str, Any]] = []
    for population, mine in ((EVERYBODY, best), (EVALUABLE, best[best != NE])):
        known = None if groups is None else groups[mine.index]
        rates = {
            name: proportions(mine.isin(those), known, level=level) if len(mine) else None
            for name, those in RATES.items()
        }
        names = [] if groups is None else stratum_order(groups.tolist())
        for group in (*names, ALL_GROUPS):
            part = mine if group == ALL_GROUPS or known is None else mine[known == group]
            row = {"population": population, "group": group, "n": len(part)}
            row |= {name: int((part == name).sum()) for name in BEST}
            for name, table in rates.items():
                cells = (
                    (np.nan,) * 3 if table is None or not len(part) else table.loc[group, ["proportion", "lower", "upper"]]
                )  # fmt: skip
                row |= dict(zip((name, f"{name}_lower", f"{name}_upper"), map(float, cells), strict=True))
            rows.append(row)
    return pd.DataFrame(rows)


def tumour_times(responses: pd.DataFrame, data: Dataset) -> dict[str, pd.DataFrame]:
    """Duration of response, progression-free and overall survival.

    Parameters
    ----------
    responses : pandas.DataFrame
        Of `carkinetics.derive_response` or `carkinetics.responses_from`.
    data : Dataset
        Whose subjects.

    Returns
    -------
    dict of str to pandas.DataFrame
        ``os`` as recorded; ``pfs`` as recorded, else derived; ``dor`` derived. Each indexed by subject, ``time`` (days) and ``event``; in
        ``.attrs["source"]`` which of the two. An endpoint that nobody has is left out.

    Notes
    -----
    Read of the subjects: the columns of ``responses.attrs["columns"]`` (else those with the usual names of `responses_from`);
    ``new_therapy``, and without recorded overall survival ``death`` and ``last_alive``, where they hold days since the infusion, or dates
    beside a column ``infusion``. A column of only 0 and 1 says whether and not when: it is not read, and `tumour_findings` says so.
    """
    columns = columns_of(responses, data)
    days = event_days(data.subjects, columns)
    confirmed = bool(responses.attrs.get("confirm", False))
    found = {}
    for endpoint in (DOR, PFS, OS):
        times, source = recorded_times(data.subjects, columns, endpoint), "recorded"
        if times.empty and endpoint != OS:
            derived = derive_event(endpoint, days, responses, confirmed=confirmed)
            times, source = derived[["time", "event"]], "derived"
        if len(times):
            found[endpoint] = times
            times.attrs["source"] = source
    return found


def median_times(times: Mapping[str, pd.DataFrame], *, level: float = 0.95) -> pd.DataFrame:
    """Kaplan-Meier medians.

    Parameters
    ----------
    times : mapping of str to pandas.DataFrame
        Of `tumour_times`.
    level : float
        Of the intervals of the medians.

    Returns
    -------
    pandas.DataFrame
        One row per endpoint: ``endpoint, n, events, median, lower, upper`` (days; infinite where not reached), ``source``.
    """
    rows = []
    for endpoint, table in times.items():
        curve = kaplan_meier(table["time"], table["event"], level=level).attrs
        row = {"endpoint": endpoint} | {
            key: curve[key] for key in ("n", "events", "median", "lower", "upper")
        }
        rows.append(row | {"source": table.attrs["source"]})
    return pd.DataFrame(rows, columns=["endpoint", "n", "events", "median", "lower", "upper", "source"])

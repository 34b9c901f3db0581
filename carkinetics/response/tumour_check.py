"""What is to be known of the responses of a trial: where derived and recorded ones differ, and what was not used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from carkinetics.dataset.table import Dataset
from carkinetics.findings import Finding, findings_table
from carkinetics.response.recist import NAMES, RECIST
from carkinetics.response.recorded import (
    TIMES,
    USUAL,
    ambiguous_progression,
    half_recorded,
    not_days,
    other_response,
    recorded_times,
)
from carkinetics.response.tumour_outcome import PFS, best_responses, columns_of


def tumour_findings(responses: pd.DataFrame, data: Dataset) -> pd.DataFrame:
    """Where what is derived and what was recorded are not the same, and what of the records was not used.

    Parameters
    ----------
    responses : pandas.DataFrame
        Of `carkinetics.derive_response` or `carkinetics.responses_from`.
    data : Dataset
        Whose subjects.

    Returns
    -------
    pandas.DataFrame
        ``severity, rule, where, message``.
    """
    return findings_table(_findings(responses, data))


def differing(best: pd.DataFrame) -> pd.DataFrame:
    """Subjects whose recorded best response is another than the derived one.

    Parameters
    ----------
    best : pandas.DataFrame
        Of `best_responses`.

    Returns
    -------
    pandas.DataFrame
        Their rows; nothing recorded is no difference.
    """
    recorded, derived = best["recorded"].str.upper(), best["best"].str.upper()
    return best[(recorded != "") & (recorded != derived)]


def _findings(responses: pd.DataFrame, data: Dataset) -> Iterator[Finding]:
    yield from _differences(responses, data)
    yield from _unused(data.subjects, columns_of(responses, data))
    yield from _by_record(responses, columns_of(responses, data))


def _differences(responses: pd.DataFrame, data: Dataset) -> Iterator[Finding]:
    best, columns = best_responses(responses, data), columns_of(responses, data)
    criteria = NAMES[responses.attrs.get("criteria", RECIST)]
    for (derived, recorded), part in differing(best).groupby(["best", "recorded"], sort=False):
        yield Finding(
            "warning", "best-response-differs", _who(part.index),
            f"best response is {derived} by {criteria} and {recorded} in the column {columns['response']}; the report shows the derived "
            "one, and both in its listing",
        )  # fmt: skip
    pfs = recorded_times(data.subjects, columns, PFS)
    ended = pfs["time"].where(pfs["event"] == 1)
    first = best["progression_day"].dropna().reindex(pfs.index).dropna()
    earlier = first[~(ended.reindex(first.index) <= first)].index
    if len(earlier):
        yield Finding(
            "warning", "progression-differs", _who(earlier),
            f"the visits show progression before the event in {columns[PFS]['duration']}, or where none is recorded; times to progression in the "
            "report are the recorded ones",
        )  # fmt: skip


def _unused(subjects: pd.DataFrame, columns: Mapping[str, Any]) -> Iterator[Finding]:
    """What of the subjects' table could not be used."""
    for endpoint in TIMES:
        if half := half_recorded(subjects, columns, endpoint):
            duration, event = columns[endpoint].values()
            yield Finding(
                "warning", "half-recorded", _who(half),
                f"of {duration} and {event} only one is given; without both the subject is not among those of {endpoint.upper()}",
            )  # fmt: skip
    if ambiguous := ambiguous_progression(subjects, columns):
        yield Finding(
            "warning", "progression-or-death", _who(ambiguous),
            f"the event in {columns[PFS]['duration']} may be progression or death, since survival is not recorded; best responses, duration of "
            "response and figures do not use it. Columns of overall survival (os_day, os_event, or as named by os) would tell",
        )  # fmt: skip
    usual = USUAL["response"]
    if "response" not in columns and usual in subjects and (other := other_response(subjects, usual)):
        yield Finding(
            "note", "column-not-read", f"column {usual}",
            f"{usual} holds {other!r}, which is no response of RECIST; the derived best responses are compared with nothing",
        )  # fmt: skip
    for name in not_days(subjects, columns):
        yield Finding(
            "warning", "column-not-read", f"column {name}",
            f"{name} does not hold days since the infusion, nor dates beside a column infusion, and is not read for times to events; "
            "a column of only 0 and 1 says whether, not when",
        )  # fmt: skip


def _by_record(responses: pd.DataFrame, columns: Mapping[str, Any]) -> Iterator[Finding]:
    """Whose recorded progression the visits could not take as it is."""
    if early := responses.attrs.get("early"):
        yield Finding(
            "warning", "progression-at-baseline", _who(early),
            "progression or a new lesion is recorded for a day that is not after the baseline of the sums and the infusion; it does not count in "
            "the responses. Its day, or that of the baseline, may be wrong",
        )  # fmt: skip
    if unseen := responses.attrs.get("unseen"):
        yield Finding(
            "note", "progression-not-by-size", _who(unseen),
            f"progression is recorded in {columns[PFS]['duration']} on a day by which the sum of the targets shows none; it counts as that of "
            "new or non-target lesions",
        )  # fmt: skip


def _who(subjects: Any) -> str:
    names = [str(one) for one in subjects]
    return f"subject{'s' if len(names) > 1 else ''} {', '.join(names)}"

"""Sums of target diameters that were read as an assay → responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from carkinetics.dataset.table import BELOW_LLOQ, NOT_DETECTED, Dataset
from carkinetics.errors import DataError
from carkinetics.response.best import CONFIRM_DAYS, PD
from carkinetics.response.case import numeric
from carkinetics.response.recist import (
    ABSENT,
    COLUMNS,
    NEW,
    RECIST,
    TARGET,
    TOO_SMALL,
    baseline_day,
    derive_response,
)
from carkinetics.response.recorded import recorded_columns, recorded_progression

UNIT = "mm"
SUM, LESION, UNSEEN = "sum of the targets", "new lesion", "progression that sizes do not show"
STATUS = {BELOW_LLOQ: TOO_SMALL, NOT_DETECTED: ABSENT}


def responses_from(
    data: Dataset, assay: str, *, response: str = "", new_lesion: str = "", pfs: Mapping[str, str] | None = None,
    os: Mapping[str, str] | None = None, criteria: str = RECIST, confirm: bool = False, confirm_days: float = CONFIRM_DAYS,
    minimum_sd_days: float = 42.0,
) -> pd.DataFrame:  # fmt: skip
    """Responses at every visit from sums of target diameters, with new lesions and progression as recorded.

    Parameters
    ----------
    data : Dataset
        Sums in mm as one of its assays, and subjects.
    assay : str
        Which. A sum below its LLOQ counts as a lesion too small to measure, one not detected as absent.
    response : str
        Column of the subjects with the best response as recorded, to be compared with what is derived: CR, PR, SD, non-CR/non-PD, PD and NE, or
        spelled out ("Partial response"). ``response`` where there is one with these only.
    new_lesion : str
        Column with the day of the first new lesion; ``new_lesion_day`` where there is one.
    pfs, os : mapping, optional
        ``{"duration": column, "event": column}`` of progression-free and overall survival; ``pfs_day`` and ``pfs_event``, ``os_day`` and
        ``os_event`` where there are such.
    criteria : {"recist 1.1", "mesothelioma"}
        See `carkinetics.derive_response`.
    confirm : bool
        Whether CR and PR count only if confirmed.
    confirm_days : float
        How much later that is at least.
    minimum_sd_days : float
        From which day after the baseline on stable disease counts.

    Returns
    -------
    pandas.DataFrame
        As of `derive_response`. In ``.attrs`` beside the settings: ``assay``; ``columns``, where outcomes are recorded; ``unseen``,
        subjects whose recorded progression the sums do not show; ``early``, those whose progression or new lesion was recorded for a day
        up to the baseline of the sums, or up to the infusion, and does not count.

    Raises
    ------
    ConfigError
        If a setting is something else.
    DataError
        If there is no such assay or column, that of responses holds others, sums are not in mm, or a size makes no sense.

    Notes
    -----
    Progression is also that of new or non-target lesions, which a sum does not show. One that was recorded (an event of ``pfs`` on another
    day than that of death) without growth of the sum by then counts as a new lesion on its day, because what comes after progression
    is no response. Where survival is not recorded (no columns of ``os``, nor one of days ``death``; or nothing of a subject), an event
    of ``pfs`` may be a death and is not used; `tumour_findings` names those subjects.

    For times to events the subjects' own columns ``new_therapy``, and without ``os`` ``death`` and ``last_alive``, are read too, where they
    hold days since the infusion or dates beside a column ``infusion``. One of only 0 and 1 is not read.

    Examples
    --------
    >>> import carkinetics as ck
    >>> responses = ck.responses_from(ck.example("nct05783089"), "sld")
    >>> responses.groupby("subject")["best"].last().value_counts().to_dict()
    {'SD': 46, 'PR': 23, 'PD': 14, 'NE': 4}
    """
    columns = recorded_columns(data.subjects, response=response, new_lesion=new_lesion, pfs=pfs, os=os)
    settings: dict[str, Any] = {
        "criteria": criteria, "confirm": confirm, "confirm_days": confirm_days, "minimum_sd_days": minimum_sd_days,
    }  # fmt: skip
    lesions = _lesions(data, assay)
    start = lesions.groupby("subject")["day"].agg(_start)
    early: set[str] = set()
    if "new_lesion" in columns:
        days = numeric(data.subjects.set_index("subject"), columns["new_lesion"]).dropna()
        late, early = _after(days, start)
        lesions = _with_new(lesions, late, LESION)
    found = derive_response(lesions, **settings)
    late, too_early = _after(recorded_progression(data.subjects, columns), start)
    early |= too_early
    unseen = _unseen(found, late)
    if len(unseen):
        changed = lesions["subject"].isin(unseen.index)
        again = derive_response(_with_new(lesions[changed], unseen, UNSEEN), **settings)
        order = {subject: k for k, subject in enumerate(lesions["subject"].unique())}
        kept = found[~found["subject"].isin(unseen.index)]
        together = pd.concat([kept, again]).sort_values("subject", key=lambda s: s.map(order), kind="stable")
        found = together.reset_index(drop=True)
        found.attrs = again.attrs
    found.attrs |= {
        "assay": assay,
        "columns": columns,
        "unseen": unseen.index.tolist(),
        "early": sorted(early),
    }
    return found


def _lesions(data: Dataset, assay: str) -> pd.DataFrame:
    """A sum as one target lesion."""
    if data.unit(assay) != UNIT:
        raise DataError(
            f"assay {assay!r} is in {data.unit(assay)!r}; sums of target diameters are expected in mm, as 5 mm of growth count"
        )
    rows = data.select(assay=assay).observations
    if rows.empty:
        raise DataError(f"assay {assay!r} has no observations")
    return pd.DataFrame(
        {"subject": rows["subject"].astype(str), "day": rows["time"], "lesion": SUM, "kind": TARGET, "size_mm": rows["value"],
         "status": rows["status"].map(STATUS).fillna("")}
    )  # fmt: skip


def _start(days: pd.Series) -> float:
    """From when on progression counts: the later of baseline and infusion."""
    return max(baseline_day(days.to_numpy(float)), 0.0)


def _after(days: pd.Series, start: pd.Series) -> tuple[pd.Series, set[str]]:
    """Days after the start of subjects with sums, and whose are not after it; without sums there is no baseline."""
    mine = days[days.index.isin(start.index)]
    late = mine > start.reindex(mine.index)
    return mine[late], set(mine.index[~late])


def _with_new(lesions: pd.DataFrame, days: pd.Series, name: str) -> pd.DataFrame:
    """Lesions with new ones from a day on."""
    mine = days[days.index.isin(lesions["subject"])]
    rows = {"subject": mine.index, "day": mine.to_numpy(), "lesion": name, "kind": NEW, "size_mm": np.nan, "status": ""}  # fmt: skip
    return pd.concat([lesions, pd.DataFrame(rows)], ignore_index=True)[list(COLUMNS)]


def _unseen(responses: pd.DataFrame, recorded: pd.Series) -> pd.Series:
    """Recorded days of progression of subjects whose responses do not have it by then."""
    first = responses[responses["response"] == PD].groupby("subject")["day"].min().reindex(recorded.index)
    return recorded[~(first <= recorded)]

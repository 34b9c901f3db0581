"""Which columns of the subjects were not known before the infusion: outcomes, events and their days, drugs given for them."""

from __future__ import annotations

import re

from carkinetics.dataset.table import Dataset

# Words in the names of columns that are not known before the infusion. A table of subjects does not say which are.
AFTER = frozenset(
    [
        "ada",
        "adverse",
        "ae",
        "anakinra",
        "best",
        "change",
        "counted",
        "crs",
        "day",
        "days",
        "death",
        "dlt",
        "dor",
        "duration",
        "event",
        "evaluable",
        "grade",
        "hlh",
        "icans",
        "objective",
        "onset",
        "orr",
        "os",
        "outcome",
        "pfs",
        "progression",
        "relapse",
        "response",
        "responder",
        "steroid",
        "survival",
        "toci",
        "tocilizumab",
        "toxicity",
    ]
)
BEFORE = frozenset(["baseline", "pre", "previous", "prior", "screening"])
_OF_AN_EVENT = re.compile(r"_(max_)?(grade|day|onset)$")


def known_later(data: Dataset) -> frozenset[str]:
    """Columns of the subjects that say what came after the infusion.

    Parameters
    ----------
    data : Dataset
        Subjects and events.

    Returns
    -------
    frozenset of str
        Columns with a word of `AFTER` in their name and none of `BEFORE`, those named like an event of the data, and those
        that have a column with a day beside them (``hlh`` where there is ``hlh_day``).

    Notes
    -----
    A table of subjects does not say what was known when, so that names have to do. What came later is a consequence of the
    kinetics, or an outcome, and no covariate of them.
    """
    columns = [str(column) for column in data.subjects.columns]
    events = {str(event).lower() for event in data.events["event"]}
    days = {column.rpartition("_")[0] for column in columns if column.endswith(("_day", "_onset"))}
    found = set()
    for column in columns:
        words = set(re.split(r"[^a-z]+", column.lower()))
        if words & BEFORE:
            continue
        stem = _OF_AN_EVENT.sub("", column.lower())
        if words & AFTER or stem in events or stem in days:
            found.add(column)
    return frozenset(found)

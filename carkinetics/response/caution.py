"""What an exposure-response analysis cannot say, however well it converged.

Expansion follows antigen load, and so do response and toxicity; events happen before exposure is complete;
and phase 1 has few events. These rules put that beside the numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from carkinetics.exposure.metric_name import metric_name
from carkinetics.exposure.table import window_end
from carkinetics.findings import Finding, findings_table
from carkinetics.response.analysis_words import analysis_name, counted, left_out
from carkinetics.response.grade import GradeModel
from carkinetics.response.joint import JointModel
from carkinetics.response.relate import ExposureResponse
from carkinetics.response.time_to_event import EventModel

Model = GradeModel | EventModel | ExposureResponse

EVENTS_PER_COEFFICIENT = 10
LATE = ("auc_last", "auc_inf_obs", "auc_inf_pred", "aumc_last", "tlast", "clast", "persistence", "half_life")
LATE_WHEN = "the last quantifiable sample"


def _few_events(model: Model, where: str) -> Iterator[Finding]:
    if isinstance(model, ExposureResponse) or model.settings.get("family") in ("continuous", "count"):
        return
    # The censored know less than the events; of an outcome without a time both groups count.
    without = np.inf if isinstance(model, EventModel) else model.n - model.events
    rarer, slopes = int(min(model.events, without)), 1 + len(model.settings["adjust"])
    if rarer < EVENTS_PER_COEFFICIENT * slopes:
        few = counted(rarer, "event" if model.events <= without else "subject")
        whose = "" if model.events <= without else " without the event"
        several = "one slope" if slopes == 1 else f"{slopes} slopes"
        needed = EVENTS_PER_COEFFICIENT * slopes
        message = f"{few}{whose} for {several}; about {needed} are needed before the data outweigh the prior"
        yield Finding("warning", "few-events", where, message)


def _separation(model: Model, where: str) -> Iterator[Finding]:
    if isinstance(model, GradeModel) and model.separated:
        message = "exposure separates subjects with and without the outcome; the size of the slope rests on the prior"
        yield Finding("warning", "separation", where, message)


def _proportional(model: Model, where: str) -> Iterator[Finding]:
    if isinstance(model, GradeModel) and len(model.per_cut) and not model.per_cut["agrees"].all():
        apart = ", ".join(model.per_cut.loc[~model.per_cut["agrees"], "cut"])
        message = f"the slope of the cut {apart} alone is not the common one: odds are not proportional; look at each cut"
        yield Finding("warning", "odds-not-proportional", where, message)


def _timing(model: Model, where: str) -> Iterator[Finding]:
    if not isinstance(model, GradeModel) or model.settings["timing_checked"]:
        return
    metric = str(model.settings["metric"])
    end, called = window_end(metric), metric_name(metric)
    if end is not None or metric in LATE:
        until = f"day {end:g}" if end is not None else LATE_WHEN
        message = (
            f"{called} uses samples up to {until}, so an outcome before then is explained by what came after it, and "
            f"only those who were sampled until then have a value (immortal time{left_out(len(model.excluded))}): "
            "analyse subjects free of the outcome at a landmark on that day, or use an earlier exposure"
        )
        yield Finding("warning", "exposure-after-outcome", where, message)
    elif metric in ("cmax", "tmax"):
        message = f"an outcome with onset before Tmax, as CRS often has, cannot be caused by the {called} that follows it"
        yield Finding("note", "outcome-before-peak", where, message)


def _confounding(model: Model, where: str) -> Iterator[Finding]:
    if not model.settings["adjust"]:
        message = (
            "not adjusted for baseline tumour burden, which drives expansion, response and toxicity alike: the slope "
            "describes an association and not what a higher exposure would do"
        )
        yield Finding("warning", "unadjusted", where, message)


def _on_the_path(model: Model, where: str) -> Iterator[Finding]:
    for name in model.settings["on_the_path"]:
        message = (
            f"adjusted for {name}, which is given after the outcome has begun and because of it: it lies on the path from exposure to "
            "outcome, and adjusting for it takes away part of the effect that is asked for"
        )
        yield Finding("warning", "on-the-path", where, message)


def _point_values(model: Model, where: str) -> Iterator[Finding]:
    known = model.settings["draws"] == 0 if isinstance(model, ExposureResponse) else str(model.settings["exposure"]).startswith("point values")  # fmt: skip
    if known:
        message = "point values of exposure are taken as known; the interval leaves out their uncertainty"
        yield Finding("warning", "exposure-uncertainty", where, message)


def _left_out(model: Model, where: str) -> Iterator[Finding]:
    for reason, rows in model.excluded.groupby("reason", sort=False):
        who, verb = ("subject", "is") if len(rows) == 1 else ("subjects", "are")
        message = f"{counted(len(rows), 'subject')} {verb} not in the analysis: {reason}"
        yield Finding("note", "subjects-left-out", f"{who} {', '.join(rows['subject'])}", message)


RULES = (_few_events, _separation, _proportional, _timing, _confounding, _on_the_path, _point_values, _left_out)  # fmt: skip


def exposure_response_findings(model: Model | JointModel) -> pd.DataFrame:
    """List the cautions for an exposure-response model, worst first.

    Parameters
    ----------
    model : GradeModel, EventModel, ExposureResponse or JointModel
        Result of `fit_grade`, `fit_event`, `exposure_response` or `fit_joint`.

    Returns
    -------
    pandas.DataFrame
        Columns ``severity, rule, where, message``.

    References
    ----------
    .. [1] Peduzzi P et al. J Clin Epidemiol 1996;49:1373-1379 (events per coefficient).
    .. [2] Anderson JR, Cain KC, Gelber RD. J Clin Oncol 1983;1:710-719 (landmark).
    """
    if isinstance(model, JointModel):
        model = model.outcome
    where = analysis_name(model.settings)
    return findings_table(finding for rule in RULES for finding in rule(model, where))

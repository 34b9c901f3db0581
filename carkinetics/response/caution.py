"""What an exposure-response analysis cannot say, however well it converged.

Expansion follows antigen load, and so do response and toxicity; events happen before exposure is complete;
and phase 1 has few events. These rules put that beside the numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from carkinetics.exposure.table import window_end
from carkinetics.findings import Finding, findings_table
from carkinetics.response.grade import GradeModel

EVENTS_PER_COEFFICIENT = 10
LATE = ("auc_last", "auc_inf_obs", "auc_inf_pred", "aumc_last", "tlast", "clast", "persistence", "half_life")
LATE_WHEN = "the last quantifiable sample"


def _few_events(model: GradeModel, where: str) -> Iterator[Finding]:
    rarer = min(model.events, model.n - model.events)
    if rarer < EVENTS_PER_COEFFICIENT:
        kind = "events" if model.events <= model.n - model.events else "subjects without the event"
        message = f"{rarer} {kind} for one slope; about {EVENTS_PER_COEFFICIENT} are needed before the data outweigh the prior"
        yield Finding("warning", "few-events", where, message)


def _separation(model: GradeModel, where: str) -> Iterator[Finding]:
    if model.separated:
        message = "exposure separates subjects with and without the outcome; the size of the slope rests on the prior"
        yield Finding("warning", "separation", where, message)


def _timing(model: GradeModel, where: str) -> Iterator[Finding]:
    metric = str(model.settings["metric"])
    end = window_end(metric)
    if end is not None or metric in LATE:
        until = f"day {end:g}" if end is not None else LATE_WHEN
        message = (
            f"{metric} uses samples up to {until}, so an outcome before then is explained by what came after it, and "
            f"only those who were sampled until then have a value (immortal time; {len(model.excluded)} subjects left "
            "out): analyse subjects free of the outcome at a landmark on that day, or use an earlier exposure"
        )
        yield Finding("warning", "exposure-after-outcome", where, message)
    elif metric in ("cmax", "tmax"):
        message = f"an outcome with onset before Tmax, as CRS often has, cannot be caused by the {metric} that follows it"
        yield Finding("note", "outcome-before-peak", where, message)


def _confounding(model: GradeModel, where: str) -> Iterator[Finding]:
    message = (
        "not adjusted for baseline tumour burden, which drives expansion, response and toxicity alike: the slope "
        "describes an association and not what a higher exposure would do"
    )
    yield Finding("warning", "unadjusted", where, message)


def _point_values(model: GradeModel, where: str) -> Iterator[Finding]:
    if str(model.settings["exposure"]).startswith("point values"):
        message = "point values of exposure are taken as known; the interval leaves out their uncertainty"
        yield Finding("warning", "exposure-uncertainty", where, message)


def _left_out(model: GradeModel, where: str) -> Iterator[Finding]:
    for reason, rows in model.excluded.groupby("reason", sort=False):
        message = f"{len(rows)} subjects are not in the analysis: {reason}"
        yield Finding("note", "subjects-left-out", "subjects " + ", ".join(rows["subject"]), message)


RULES = (_few_events, _separation, _timing, _confounding, _point_values, _left_out)


def exposure_response_findings(model: GradeModel) -> pd.DataFrame:
    """List the cautions for an exposure-response model, worst first.

    Parameters
    ----------
    model : GradeModel
        Result of `fit_grade`.

    Returns
    -------
    pandas.DataFrame
        Columns ``severity, rule, where, message``.

    References
    ----------
    .. [1] Peduzzi P et al. J Clin Epidemiol 1996;49:1373-1379 (events per coefficient).
    .. [2] Anderson JR, Cain KC, Gelber RD. J Clin Oncol 1983;1:710-719 (landmark).
    """
    where = f"{model.settings['outcome']} on {model.settings['on']}"
    return findings_table(finding for rule in RULES for finding in rule(model, where))

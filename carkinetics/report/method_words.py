"""What was done with a fit, a sentence for every kind of result: the second half of a methods paragraph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pandas as pd

from carkinetics.diagnostics import Calibration, LooPit, Npde, Vpc
from carkinetics.exposure import Exposure
from carkinetics.exposure.metric_name import metric_name
from carkinetics.report.tumours import criteria_of
from carkinetics.report.written import listing, together
from carkinetics.response import (
    DoseExposure,
    EventModel,
    ExposureResponse,
    GradeModel,
    JointModel,
    MarkerModel,
)
from carkinetics.response.analysis_words import counted, exposure_name, outcome_definition, outcome_name

MOST = 20  # names in one list


def method_sentences(parts: Iterable[Any]) -> Iterator[str]:
    """How results were made.

    Parameters
    ----------
    parts : iterable
        Results; those without a method to tell are passed over.

    Yields
    ------
    str
        One sentence for results that were made alike, in the order of an analysis.
    """
    given = list(parts)
    for kind, words in _WORDS:
        alike = dict.fromkeys(words(part) for part in given if kind(part))
        yield from (sentence for sentence in alike if sentence)
    yield from _doses([part for part in given if isinstance(part, DoseExposure)])
    yield from _outcomes([part for part in given if isinstance(part, OUTCOMES)])


def _exposure(part: Exposure) -> str:
    metrics = listing([metric_name(name) for name in part.metrics], MOST)
    if part.draws is not None:
        return f"Exposure ({metrics}) was computed from the curve of every patient at every posterior draw."
    settings = part.settings
    if settings.get("engine") == "nca":
        return (
            f"Non-compartmental analysis used the {settings['method']} rule, BLQ values by the rule {settings['blq']}, and the terminal line "
            f"with the {settings['terminal']}."
        )
    return ""


def _doses(parts: list[DoseExposure]) -> Iterator[str]:
    """One sentence for metrics that were analysed alike."""
    alike: dict[tuple[Any, ...], list[str]] = {}
    for part in parts:
        settings = part.settings
        alike.setdefault((settings["method"], settings["interval"], tuple(settings["limits"])), []).append(
            metric_name(part.metric)
        )
    for (method, interval, (low, high)), names in alike.items():
        verb, each = ("were", "each ") if len(names) > 1 else ("was", "")
        yield (
            f"{together(names)} {verb} related to dose by a power model ({method}), and {each}called proportional to dose where the interval "
            f"({interval}) of the ratio of dose-normalised exposures at the highest and at the lowest dose lies within {low:g} to {high:g}."
        )


def _checks(part: Vpc) -> str:
    corrected = "prediction-corrected " if part.settings["corrected"] else ""
    return (
        f"The model was judged by {corrected}visual predictive checks of {part.settings['n_sim']} simulated studies, with simulated values "
        "censored like the observed ones."
    )


def _errors(part: Npde) -> str:
    return (
        f"Normalised prediction distribution errors rest on {part.settings['n_sim']} replicates, with BLQ values drawn from the predicted "
        "ones below their limit, and their tests on the same statistics of the replicates."
    )


def _left_out(part: LooPit) -> str:
    return "Observations were also placed in the predictive distribution of a fit without their subject (LOO-PIT)."


def _calibration(part: Calibration) -> str:
    return f"The inference was checked by simulation-based calibration in {part.n} simulated data sets."


def _table(part: pd.DataFrame) -> str:
    """Tables of verbs leave their sign in the attributes."""
    if "criteria" in part.attrs:
        return _responses(part)
    if "noise_prior" in part.attrs:
        return "Sensitivity to priors and data was judged by power-scaling."
    if "subjects" in part.attrs:
        return (
            f"Models ({listing([str(name) for name in part.index], MOST)}) were compared by Pareto-smoothed leave-one-out cross-validation by "
            "subject, averaged over each subject's random effects."
        )
    return ""


def _responses(part: pd.DataFrame) -> str:
    told = part.attrs
    sizes = (
        f"sums of target diameters ({told['assay']})"
        if "assay" in told
        else "target, non-target and new lesions"
    )
    recorded = " and recorded new lesions" if "new_lesion" in told.get("columns", {}) else ""
    unseen = ""
    if told.get("unseen"):
        column = told["columns"]["pfs"]["duration"]
        unseen = (
            f"; progression that was recorded ({column}) and that the sums do not show, in {counted(len(told['unseen']), 'patient')}, counted as "
            "new lesions"
        )
    return f"Responses of tumours were derived from {sizes}{recorded} by {criteria_of(part)}{unseen}."


def _marker(part: MarkerModel) -> str:
    return (
        f"{part.settings['assay']} was described by a turnover model driven by the {part.settings['driver']} of the CAR-T cells, fitted at "
        f"{part.settings['kinetic_draws']} posterior draws of the kinetics and pooled."
    )


OUTCOMES = (GradeModel, EventModel, ExposureResponse, JointModel)


def _is(kind: type) -> Callable[[Any], bool]:
    return lambda part: isinstance(part, kind)


_WORDS: tuple[tuple[Callable[[Any], bool], Callable[[Any], str]], ...] = (
    (_is(Vpc), _checks),
    (_is(Npde), _errors),
    (_is(LooPit), _left_out),
    (_is(pd.DataFrame), _table),
    (_is(Calibration), _calibration),
    (_is(Exposure), _exposure),
    (_is(MarkerModel), _marker),
)


def _outcomes(parts: list[Any]) -> Iterator[str]:
    """One sentence per outcome, and how uncertain exposures entered, once."""
    drawn: list[str] = []
    fixed: list[str] = []
    for part in parts:
        model = part.outcome if isinstance(part, JointModel) else part
        settings = model.settings
        adjusted = f", adjusted for {listing(settings['adjust'], MOST)}" if settings["adjust"] else ""
        joint = " in a joint model with the kinetics" if isinstance(part, JointModel) else ""
        landmark = settings.get("landmark")
        after = f" after day {landmark:g}" if landmark is not None else ""
        name = outcome_name(settings)
        start = (
            name[:1].upper() + name[1:] if outcome_definition(settings) else name
        )  # an expression stays as it is
        yield f"{start}{after} was related to {exposure_name(settings)} by {settings['model']} regression{adjusted}{joint}."
        certain = not settings.get("draws") and not str(settings.get("exposure", "")).startswith("posterior")
        (fixed if certain and not joint else drawn).append(name)
    yield from _carried(drawn, fixed)


def _carried(drawn: list[str], fixed: list[str]) -> Iterator[str]:
    """Whether the uncertainty of exposures is part of the intervals."""
    for names, given, part in ((drawn, "posterior draws", "part"), (fixed, "point values", "no part")):
        if names:
            which = f" of {together(names)}" if drawn and fixed else ""
            yield f"Exposures entered the regressions{which} as {given}, so that their uncertainty is {part} of the intervals."

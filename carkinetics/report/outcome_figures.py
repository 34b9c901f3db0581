"""Figures of what a fit is used for: exposure against covariates, dose and outcomes, cytokines, onsets."""

from __future__ import annotations

from collections.abc import Iterable

from carkinetics import plot
from carkinetics.dataset import Dataset
from carkinetics.exposure import CovariateForest, Exposure
from carkinetics.exposure.by_dose import dose_groups
from carkinetics.exposure.metric_name import metric_name
from carkinetics.fit import Fit
from carkinetics.plot.style import metric_title
from carkinetics.report.blocks import Block
from carkinetics.report.figures import dose_words
from carkinetics.report.images import picture
from carkinetics.response import DoseExposure, EventModel, GradeModel, MarkerModel, OnsetTiming
from carkinetics.response.analysis_words import event_counts, outcome_name
from carkinetics.response.onset import onset_name


def dose_exposure(result: DoseExposure, exposures: Iterable[Exposure], warning: str) -> tuple[Block, ...]:
    """Exposure against dose with the power model.

    Parameters
    ----------
    result : DoseExposure
        The regression.
    exposures : iterable of Exposure
        Those of the report; the analysed one gives every point its interval.
    warning : str
        Stands above the picture.

    Returns
    -------
    tuple of Block
        One picture.
    """
    drawn = result.settings["method"].endswith("per posterior draw")
    analysed = next(
        (one for one in exposures if result.metric in one.metrics and (one.draws is not None) == drawn), None
    )
    ax = plot.dose_exposure(result, exposure=analysed)
    caption = f"{metric_title(result.metric)} against dose, {result.n} subjects, with the power model and the slopes that count as proportional."
    return (picture(ax, result.statement, caption, warning=warning),)


def exposure_response(model: GradeModel, data: Dataset | None, warning: str) -> tuple[Block, ...]:
    """Probability of the outcome against exposure.

    Parameters
    ----------
    model : GradeModel
        The regression.
    data : Dataset or None
        Whose dose levels stand under the curve.
    warning : str
        Stands above the picture.

    Returns
    -------
    tuple of Block
        One picture.
    """
    groups = None if data is None else dose_groups(data)
    words = "Dose" if data is None else dose_words(data).capitalize()
    ax = plot.exposure_response(model, dose=groups, dose_label=words)
    caption = f"Probability of {outcome_name(model.settings)} against {metric_name(model.settings['metric'])}, {event_counts(model.events, model.n)}."
    return (picture(ax, model.statement, caption, warning=warning),)


def event_curves(model: EventModel, warning: str) -> tuple[Block, ...]:
    """Survival by halves of exposure, observed and fitted.

    Parameters
    ----------
    model : EventModel
        The regression.
    warning : str
        Stands above the picture.

    Returns
    -------
    tuple of Block
        One picture.
    """
    ax = plot.event_curves(model)
    caption = (
        f"Freedom from {outcome_name(model.settings)} by halves of {metric_name(model.settings['metric'])}, observed and fitted, "
        f"{event_counts(model.events, model.n)}."
    )
    return (picture(ax, model.statement, caption, warning=warning),)


def marker(model: MarkerModel, warning: str) -> tuple[Block, ...]:
    """A cytokine beside the expansion, and the lag between their peaks.

    Parameters
    ----------
    model : MarkerModel
        The fit.
    warning : str
        Stands above the pictures.

    Returns
    -------
    tuple of Block
        Two pictures.
    """
    assay = model.settings["assay"]
    beside = f"{assay} and CAR-T level in some subjects, observed and fitted."
    lag = f"Days from the CAR-T peak to the peak of {assay}, by subject."
    return (
        picture(plot.marker(model), beside, beside, warning=warning),
        picture(plot.marker_lag(model), lag, lag, warning=warning),
    )


def onset(timing: OnsetTiming, fit: Fit, data: Dataset, warning: str) -> tuple[Block, ...]:
    """Onsets of an event on the expansion curves.

    Parameters
    ----------
    timing : OnsetTiming
        From `carkinetics.onset_timing`.
    fit, data : Fit, Dataset
        Whose curves, and who had the event.
    warning : str
        Stands above the picture.

    Returns
    -------
    tuple of Block
        One picture.
    """
    asked = timing.settings
    label = asked["label"] if asked["label"] != asked["onset"] else ""
    axes = plot.onset(fit, data, asked["onset"], asked["grade"], label=label)
    what = onset_name(asked) if label else "Onset"
    caption = f"{what} on each subject's curve, and against the day of its own peak."
    return (picture(axes, timing.statement, caption, warning=warning),)


def forest(result: CovariateForest, warning: str) -> tuple[Block, ...]:
    """Exposure at the ends of covariates.

    Parameters
    ----------
    result : CovariateForest
        From `carkinetics.covariate_forest`.
    warning : str
        Stands above the picture.

    Returns
    -------
    tuple of Block
        One picture.
    """
    caption = "Exposure of a typical subject at the ends of each covariate, relative to the reference."
    return (picture(plot.forest(result), result.statement, caption, warning=warning),)

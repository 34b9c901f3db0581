"""Why a forecast, or the population behind it, may not be trusted."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from carkinetics.diagnostics.diagnose import diagnose
from carkinetics.findings import Finding
from carkinetics.fit.pareto import GOOD_K
from carkinetics.fit.result import Fit
from carkinetics.prognosis.condition import LEAST, Conditional
from carkinetics.prognosis.new_patient import Patient
from carkinetics.prognosis.risk import OutcomeModel
from carkinetics.response.analysis_words import outcome_name

Floats = NDArray[np.float64]


@lru_cache(maxsize=4)
def population_doubt(fit: Fit) -> str:
    """Why the population itself cannot be trusted.

    Parameters
    ----------
    fit : Fit
        The population.

    Returns
    -------
    str
        Empty if it can, or nothing is known of it.
    """
    if fit.settings.get("known") or "sample_stats" not in fit.tree:
        return ""
    verdict = diagnose(fit).attrs
    return "" if verdict["converged"] else str(verdict["verdict"])


def forecast_findings(
    fit: Fit, patient: Patient, found: Conditional, exposures: dict[str, Floats], models: list[OutcomeModel]
) -> Iterable[Finding]:
    """What a reader of a forecast should know.

    Parameters
    ----------
    fit : Fit
        The population.
    patient : Patient
        With its samples.
    found : Conditional
        Draws of its parameters.
    exposures : dict of str to ndarray, shape (n,)
        By metric.
    models : list of GradeModel or EventModel
        Whose risks were asked for.

    Yields
    ------
    Finding
        An error means that the forecast does not count as converged.
    """
    where = f"subject {patient.data.subject_ids[0]}"
    if not found.converged:  # also where k is no number
        yield Finding(
            "error", "forecast-weights", where,
            f"Pareto k is {found.pareto_k:.2f} (at most {GOOD_K} is good) and the draws are worth {found.ess:.0f} (at least {LEAST:.0f}): the samples "
            "are unlike what the population makes likely, or say much on it; check them, and refit with this patient in the data",
        )  # fmt: skip
    doubt = population_doubt(fit)
    if doubt:
        yield Finding("error", "population", "fit", f"the population's fit is {doubt}")
    if "sample_stats" not in fit.tree and not fit.settings.get("known"):
        yield Finding(
            "note",
            "population",
            "fit",
            "the fit has no sampler statistics; whether it converged is not known",
        )
    if patient.problem is None:
        yield Finding(
            "note",
            "no-sample",
            where,
            "no sample after the infusion counts: this is the population's prediction",
        )
    failed = np.mean([np.isnan(value).mean() for value in exposures.values()])
    if failed > 0:
        yield Finding(
            "warning",
            "failed-curves",
            where,
            f"{failed:.1%} of the draws' curves could not be computed; they are left out",
        )
    for model in models:
        yield from _beyond(model, exposures, where)


def _beyond(model: OutcomeModel, exposures: dict[str, Floats], where: str) -> Iterable[Finding]:
    metric = model.settings["metric"]
    seen, middle = model.observed["exposure"], float(np.nanmedian(exposures.get(metric, np.array([np.nan]))))
    if not seen.min() <= middle <= seen.max():
        yield Finding(
            "warning", "extrapolated-risk", where,
            f"{metric} of {middle:.3g} lies outside the exposures that {outcome_name(model.settings)} was related to ({seen.min():.3g} to {seen.max():.3g})",
        )  # fmt: skip

"""The results that a report is made of, sorted by what they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from carkinetics.dataset import Dataset, check
from carkinetics.diagnostics import Calibration, LooPit, review
from carkinetics.diagnostics.review import Evidence
from carkinetics.diagnostics.unconverged import NOT_CONVERGED
from carkinetics.errors import ConfigError
from carkinetics.exposure import CovariateForest, Exposure, nca_findings
from carkinetics.findings import SEVERITIES
from carkinetics.fit import CovariateScreen, Fit, StepwiseSearch
from carkinetics.fit.measured import measured_outputs
from carkinetics.response import (
    AntibodyEffect,
    DoseExposure,
    EventModel,
    ExposureResponse,
    GradeModel,
    JointModel,
    MarkerModel,
    OnsetTiming,
    exposure_response_findings,
    tumour_findings,
)
from carkinetics.trial import EscalationPath, SimulatedTrial, TrialCharacteristics

OUTCOMES = (GradeModel, EventModel, ExposureResponse, JointModel)
KINDS = (
    Dataset,
    Fit,
    Exposure,
    CovariateForest,
    DoseExposure,
    *OUTCOMES,
    OnsetTiming,
    MarkerModel,
    AntibodyEffect,
    SimulatedTrial,
    EscalationPath,
    TrialCharacteristics,
    CovariateScreen,
    StepwiseSearch,
    Calibration,
    LooPit,
)
# Verbs that return tables leave their sign in the attributes.
TABLES = {
    "responses": "criteria",
    "checks": "other_sampler",
    "sensitivities": "noise_prior",
    "comparisons": "subjects",
}


@dataclass(frozen=True, eq=False)
class Parts:
    """What a report shows.

    Parameters
    ----------
    data : Dataset or None
        What was measured.
    fits : tuple of (Fit, pandas.DataFrame)
        Population fits and their reviews; the first is shown in full.
    evidence : Evidence or None
        What the review of the first population fit looked at.
    individual : tuple of Fit
        Fits of single subjects.
    observed : tuple of Exposure
        From the observations (NCA).
    modelled : tuple of Exposure
        From a fit.
    doses : tuple of DoseExposure
        Dose → exposure.
    forests : tuple of CovariateForest
        Covariates → exposure.
    outcomes : tuple of GradeModel, EventModel, ExposureResponse or JointModel
        Exposure → outcome.
    onsets : tuple of OnsetTiming
        Onset of an event against each subject's peak.
    markers : tuple of MarkerModel
        Expansion → cytokine.
    antibodies : tuple of AntibodyEffect
        Antibodies → persistence.
    responses : tuple of pandas.DataFrame
        From `carkinetics.derive_response` or `carkinetics.responses_from`.
    escalations : tuple of SimulatedTrial or EscalationPath
        Paths of dose escalations.
    simulations : tuple of TrialCharacteristics
        Trials simulated from cells, counted.
    calibrations : tuple of Calibration
        Of inference on simulated data.
    checks : tuple of pandas.DataFrame
        From `carkinetics.diagnostics.cross_check`.
    sensitivities : tuple of pandas.DataFrame
        From `carkinetics.prior_sensitivity`.
    comparisons : tuple of pandas.DataFrame
        From `carkinetics.compare`.
    pits : tuple of LooPit
        Places of observations in what a fit without their subject predicts.
    screens : tuple of CovariateScreen
        Covariates screened.
    searches : tuple of StepwiseSearch
        Covariates searched for.
    findings : pandas.DataFrame or None
        Further remarks.
    """

    data: Dataset | None = None
    fits: tuple[tuple[Fit, pd.DataFrame], ...] = ()
    evidence: Evidence | None = None
    individual: tuple[Fit, ...] = ()
    observed: tuple[Exposure, ...] = ()
    modelled: tuple[Exposure, ...] = ()
    doses: tuple[DoseExposure, ...] = ()
    forests: tuple[CovariateForest, ...] = ()
    outcomes: tuple[GradeModel | EventModel | ExposureResponse | JointModel, ...] = ()
    onsets: tuple[OnsetTiming, ...] = ()
    markers: tuple[MarkerModel, ...] = ()
    antibodies: tuple[AntibodyEffect, ...] = ()
    responses: tuple[pd.DataFrame, ...] = ()
    escalations: tuple[SimulatedTrial | EscalationPath, ...] = ()
    simulations: tuple[TrialCharacteristics, ...] = ()
    calibrations: tuple[Calibration, ...] = ()
    checks: tuple[pd.DataFrame, ...] = ()
    sensitivities: tuple[pd.DataFrame, ...] = ()
    comparisons: tuple[pd.DataFrame, ...] = ()
    pits: tuple[LooPit, ...] = ()
    screens: tuple[CovariateScreen, ...] = ()
    searches: tuple[StepwiseSearch, ...] = ()
    findings: pd.DataFrame | None = field(default=None)

    @property
    def fit(self) -> Fit | None:
        """The population fit that is shown in full."""
        return self.fits[0][0] if self.fits else None

    @property
    def assays(self) -> list[str]:
        """Assays that the results rest on; all of the data if there are no results."""
        fits = (*(fit for fit, _ in self.fits), *self.individual)
        used: list[object] = [one.assay for fit in fits for one in measured_outputs(fit)]
        used += [one.settings.get("assay") for one in self.observed]
        known = [] if self.data is None else self.data.assays["assay"].astype(str).tolist()
        return [assay for assay in known if assay in used] or known

    @property
    def converged(self) -> bool | None:
        """Whether every population fit converged; None when there is none."""
        return all(bool(found.attrs["converged"]) for _, found in self.fits) if self.fits else None

    @property
    def warning(self) -> str:
        """What stands above a number that rests on a population fit, and does not say on which."""
        return NOT_CONVERGED if self.converged is False else ""

    @property
    def shown_warning(self) -> str:
        """What stands above a number of the fit that is shown in full."""
        return NOT_CONVERGED if self.fits and not self.fits[0][1].attrs["converged"] else ""

    def warning_of(self, result: Exposure) -> str:
        """What stands above an exposure: whether the fit converged that it names, or all that have its name."""
        if result.draws is None:
            return ""
        named = [found for fit, found in self.fits if fit.name == result.settings.get("fit")]
        if not named:
            return self.warning
        return "" if all(bool(found.attrs["converged"]) for found in named) else NOT_CONVERGED

    @cached_property
    def remarks(self) -> pd.DataFrame:
        """Remarks from everywhere, worst first, of those that are equally bad the nearer to the estimates: ``about, severity, rule, where, message``."""
        tables = [("run", self.findings)] if self.findings is not None else []
        tables += [(f"fit of {fit.name}", found) for fit, found in self.fits]
        tables += [("exposure-response", exposure_response_findings(model)) for model in self.outcomes]
        if self.data is not None:
            tables.append(("data", check(self.data)))
            tables += [("tumour response", tumour_findings(one, self.data)) for one in self.responses]
        tables += [("NCA", nca_findings(one)) for one in self.observed]
        columns = ["about", "severity", "rule", "where", "message"]
        rows = [{"about": about, **row} for about, table in tables for row in table.to_dict("records")]
        found = pd.DataFrame(rows, columns=columns)
        return found.sort_values(
            "severity", key=lambda s: s.map(SEVERITIES.index), kind="stable", ignore_index=True
        )

    def warning_if_drawn(self, drawn: bool) -> str:
        """The warning for a result that may rest on a fit: only if posterior draws went into it."""
        return self.warning if drawn else ""


def sort_parts(parts: Iterable[Any], findings: pd.DataFrame | None) -> Parts:
    """Sort results by type; those of one type keep their order.

    Parameters
    ----------
    parts : iterable
        Results of the verbs, see `KINDS`.
    findings : pandas.DataFrame or None
        Further remarks: ``severity, rule, where, message``.

    Returns
    -------
    Parts
        Without a Dataset, that of the first fit.

    Raises
    ------
    ConfigError
        If a part is something else, there are several datasets, or there is nothing to report.
    """
    parts = list(parts)
    tables = {
        name: tuple(part for part in parts if isinstance(part, pd.DataFrame) and sign in part.attrs)
        for name, sign in TABLES.items()
    }
    given = [part for part in parts if not any(part is one for found in tables.values() for one in found)]
    for part in given:
        if not isinstance(part, KINDS):
            raise ConfigError(
                f"write_report: a part is {type(part).__name__}; expected {', '.join(kind.__name__ for kind in KINDS)}"
            )
    datasets = [part for part in given if isinstance(part, Dataset)]
    fits = [part for part in given if isinstance(part, Fit)]
    exposures = [part for part in given if isinstance(part, Exposure)]
    if tables["responses"] and not datasets and not fits:
        raise ConfigError("write_report: responses need the Dataset of their subjects; give it too")
    if not given or len(datasets) > 1:
        raise ConfigError(
            f"write_report: {len(given)} parts with {len(datasets)} datasets; expected one dataset, or a fit"
        )
    evidence = [Evidence(fit) for fit in fits if fit.method == "hierarchical"]
    return Parts(
        data=datasets[0] if datasets else fits[0].data if fits else None,
        fits=tuple((one.fit, review(one.fit, evidence=one)) for one in evidence),
        evidence=evidence[0] if evidence else None,
        individual=tuple(fit for fit in fits if fit.method == "individual"),
        observed=tuple(one for one in exposures if one.settings.get("engine") == "nca"),
        modelled=tuple(one for one in exposures if one.settings.get("engine") != "nca"),
        doses=tuple(part for part in given if isinstance(part, DoseExposure)),
        forests=tuple(part for part in given if isinstance(part, CovariateForest)),
        outcomes=tuple(part for part in given if isinstance(part, OUTCOMES)),
        onsets=tuple(part for part in given if isinstance(part, OnsetTiming)),
        markers=tuple(part for part in given if isinstance(part, MarkerModel)),
        antibodies=tuple(part for part in given if isinstance(part, AntibodyEffect)),
        escalations=tuple(part for part in given if isinstance(part, (SimulatedTrial, EscalationPath))),
        simulations=tuple(part for part in given if isinstance(part, TrialCharacteristics)),
        pits=tuple(part for part in given if isinstance(part, LooPit)),
        screens=tuple(part for part in given if isinstance(part, CovariateScreen)),
        searches=tuple(part for part in given if isinstance(part, StepwiseSearch)),
        **tables,
        calibrations=tuple(part for part in given if isinstance(part, Calibration)),
        findings=findings,
    )

"""CAR-T cellular kinetics: from a qPCR or flow table to exposure with uncertainty.

The public names stand here in the order of an analysis. A room of the package is imported when one of
its names is first used, so that ``import carkinetics`` and ``carkinetics --help`` do not wait for PyMC.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str

    from carkinetics import plot as plot
    from carkinetics.batch import StudyResult as StudyResult
    from carkinetics.batch import list_runs as list_runs
    from carkinetics.batch import run_study as run_study
    from carkinetics.batch import verify_run as verify_run
    from carkinetics.batch import write_index as write_index
    from carkinetics.dataset import Dataset as Dataset
    from carkinetics.dataset import blq_table as blq_table
    from carkinetics.dataset import check as check
    from carkinetics.dataset import example as example
    from carkinetics.dataset import load_dataset as load_dataset
    from carkinetics.dataset import read_nonmem as read_nonmem
    from carkinetics.diagnostics import Calibration as Calibration
    from carkinetics.diagnostics import calibrate as calibrate
    from carkinetics.diagnostics import check_exposure as check_exposure
    from carkinetics.diagnostics import compare as compare
    from carkinetics.diagnostics import cross_check as cross_check
    from carkinetics.diagnostics import diagnose as diagnose
    from carkinetics.diagnostics import effect_correlations as effect_correlations
    from carkinetics.diagnostics import effect_trends as effect_trends
    from carkinetics.diagnostics import held_out as held_out
    from carkinetics.diagnostics import informing_days as informing_days
    from carkinetics.diagnostics import loo as loo
    from carkinetics.diagnostics import loo_pit as loo_pit
    from carkinetics.diagnostics import npde as npde
    from carkinetics.diagnostics import npde_from_simulations as npde_from_simulations
    from carkinetics.diagnostics import prediction_correct as prediction_correct
    from carkinetics.diagnostics import prior_check as prior_check
    from carkinetics.diagnostics import prior_sensitivity as prior_sensitivity
    from carkinetics.diagnostics import psis_loo as psis_loo
    from carkinetics.diagnostics import read_calibration as read_calibration
    from carkinetics.diagnostics import residual_summary as residual_summary
    from carkinetics.diagnostics import residuals as residuals
    from carkinetics.diagnostics import review as review
    from carkinetics.diagnostics import stacking_weights as stacking_weights
    from carkinetics.diagnostics import vpc as vpc
    from carkinetics.diagnostics import waic as waic
    from carkinetics.errors import CarkineticsError as CarkineticsError
    from carkinetics.escalation import AcceleratedTitration as AcceleratedTitration
    from carkinetics.escalation import Blrm as Blrm
    from carkinetics.escalation import BlrmPrior as BlrmPrior
    from carkinetics.escalation import Boin as Boin
    from carkinetics.escalation import Cohort as Cohort
    from carkinetics.escalation import Crm as Crm
    from carkinetics.escalation import Decision as Decision
    from carkinetics.escalation import EliminateOverdose as EliminateOverdose
    from carkinetics.escalation import I3Plus3 as I3Plus3
    from carkinetics.escalation import Keyboard as Keyboard
    from carkinetics.escalation import MaxDose as MaxDose
    from carkinetics.escalation import Mtpi as Mtpi
    from carkinetics.escalation import Mtpi2 as Mtpi2
    from carkinetics.escalation import NoSkipping as NoSkipping
    from carkinetics.escalation import Scenario as Scenario
    from carkinetics.escalation import Staggered as Staggered
    from carkinetics.escalation import StopAfter as StopAfter
    from carkinetics.escalation import StopAtDose as StopAtDose
    from carkinetics.escalation import StopForPrecision as StopForPrecision
    from carkinetics.escalation import ThreePlusThree as ThreePlusThree
    from carkinetics.escalation import TiteBoin as TiteBoin
    from carkinetics.escalation import TiteCrm as TiteCrm
    from carkinetics.escalation import WaitForWindow as WaitForWindow
    from carkinetics.escalation import cohorts_from as cohorts_from
    from carkinetics.escalation import compare_designs as compare_designs
    from carkinetics.escalation import decision_table as decision_table
    from carkinetics.escalation import design_from as design_from
    from carkinetics.escalation import dose_paths as dose_paths
    from carkinetics.escalation import load_design as load_design
    from carkinetics.escalation import load_scenarios as load_scenarios
    from carkinetics.escalation import operating_characteristics as operating_characteristics
    from carkinetics.escalation import select_mtd as select_mtd
    from carkinetics.escalation import skeleton_for as skeleton_for
    from carkinetics.escalation import tite_trials as tite_trials
    from carkinetics.escalation import trials as trials
    from carkinetics.exposure import Exposure as Exposure
    from carkinetics.exposure import covariate_forest as covariate_forest
    from carkinetics.exposure import exposure_course as exposure_course
    from carkinetics.exposure import exposure_from as exposure_from
    from carkinetics.exposure import nca as nca
    from carkinetics.exposure import nca_by as nca_by
    from carkinetics.exposure import nca_findings as nca_findings
    from carkinetics.exposure import typical_exposure as typical_exposure
    from carkinetics.fit import CovariateScreen as CovariateScreen
    from carkinetics.fit import Fit as Fit
    from carkinetics.fit import PopulationFit as PopulationFit
    from carkinetics.fit import StepwiseSearch as StepwiseSearch
    from carkinetics.fit import cv_percent as cv_percent
    from carkinetics.fit import fit_hierarchical as fit_hierarchical
    from carkinetics.fit import fit_individuals as fit_individuals
    from carkinetics.fit import fit_population as fit_population
    from carkinetics.fit import load_fit as load_fit
    from carkinetics.fit import omega_from_cv as omega_from_cv
    from carkinetics.fit import screen_covariates as screen_covariates
    from carkinetics.fit import shrinkage as shrinkage
    from carkinetics.fit import stepwise_covariates as stepwise_covariates
    from carkinetics.model import Model as Model
    from carkinetics.model import Prior as Prior
    from carkinetics.model import check_values as check_values
    from carkinetics.model import layers as layers
    from carkinetics.model import load_model as load_model
    from carkinetics.model import models as models
    from carkinetics.model import predict as predict
    from carkinetics.model import simulate as simulate
    from carkinetics.prognosis import BestSchedule as BestSchedule
    from carkinetics.prognosis import DosePrediction as DosePrediction
    from carkinetics.prognosis import Forecast as Forecast
    from carkinetics.prognosis import ForecastUpdates as ForecastUpdates
    from carkinetics.prognosis import ScheduleComparison as ScheduleComparison
    from carkinetics.prognosis import best_schedule as best_schedule
    from carkinetics.prognosis import compare_schedules as compare_schedules
    from carkinetics.prognosis import forecast as forecast
    from carkinetics.prognosis import forecast_updates as forecast_updates
    from carkinetics.prognosis import known_population as known_population
    from carkinetics.prognosis import predict_doses as predict_doses
    from carkinetics.report import citation as citation
    from carkinetics.report import methods_text as methods_text
    from carkinetics.report import parameter_table as parameter_table
    from carkinetics.report import write_comparison as write_comparison
    from carkinetics.report import write_report as write_report
    from carkinetics.response import aalen_johansen as aalen_johansen
    from carkinetics.response import antibody_effect as antibody_effect
    from carkinetics.response import antibody_status as antibody_status
    from carkinetics.response import binomial_interval as binomial_interval
    from carkinetics.response import compare_markers as compare_markers
    from carkinetics.response import cox as cox
    from carkinetics.response import derive_event as derive_event
    from carkinetics.response import derive_response as derive_response
    from carkinetics.response import dose_exposure as dose_exposure
    from carkinetics.response import dose_limiting as dose_limiting
    from carkinetics.response import e_value as e_value
    from carkinetics.response import exposure_response as exposure_response
    from carkinetics.response import fit_event as fit_event
    from carkinetics.response import fit_grade as fit_grade
    from carkinetics.response import fit_joint as fit_joint
    from carkinetics.response import fit_marker as fit_marker
    from carkinetics.response import fit_tumour as fit_tumour
    from carkinetics.response import kaplan_meier as kaplan_meier
    from carkinetics.response import log_rank as log_rank
    from carkinetics.response import logistic as logistic
    from carkinetics.response import marker_summary as marker_summary
    from carkinetics.response import onset_timing as onset_timing
    from carkinetics.response import ordinal as ordinal
    from carkinetics.response import parametric_survival as parametric_survival
    from carkinetics.response import power_model as power_model
    from carkinetics.response import progression_by_model as progression_by_model
    from carkinetics.response import proportions as proportions
    from carkinetics.response import quadrant_table as quadrant_table
    from carkinetics.response import response_rates as response_rates
    from carkinetics.response import responses_from as responses_from
    from carkinetics.response import sample_size_for_proportionality as sample_size_for_proportionality
    from carkinetics.response import survival_table as survival_table
    from carkinetics.response import toxicity_table as toxicity_table
    from carkinetics.response import worst_grade as worst_grade
    from carkinetics.trial import Antibodies as Antibodies
    from carkinetics.trial import Conduct as Conduct
    from carkinetics.trial import Covariate as Covariate
    from carkinetics.trial import Cytokine as Cytokine
    from carkinetics.trial import EscalationPath as EscalationPath
    from carkinetics.trial import Links as Links
    from carkinetics.trial import Population as Population
    from carkinetics.trial import SimulatedTrial as SimulatedTrial
    from carkinetics.trial import Toxicity as Toxicity
    from carkinetics.trial import TrialCharacteristics as TrialCharacteristics
    from carkinetics.trial import TrialPlan as TrialPlan
    from carkinetics.trial import Tumour as Tumour
    from carkinetics.trial import Visits as Visits
    from carkinetics.trial import dose_truth as dose_truth
    from carkinetics.trial import escalation_path as escalation_path
    from carkinetics.trial import interim as interim
    from carkinetics.trial import load_trial as load_trial
    from carkinetics.trial import power_table as power_table
    from carkinetics.trial import simulate_trial as simulate_trial
    from carkinetics.trial import simulate_trials as simulate_trials

# Public name → the module that has it, in the order of an analysis.
_HOME = {
    "read_nonmem": "dataset",
    "Dataset": "dataset",
    "load_dataset": "dataset",
    "example": "dataset",
    "check": "dataset",
    "blq_table": "dataset",
    "load_model": "model",
    "models": "model",
    "layers": "model",
    "Model": "model",
    "Prior": "model",
    "predict": "model",
    "check_values": "model",
    "simulate": "model",
    "nca": "exposure",
    "nca_by": "exposure",
    "nca_findings": "exposure",
    "prior_check": "diagnostics",
    "typical_exposure": "exposure",
    "fit_individuals": "fit",
    "fit_population": "fit",
    "PopulationFit": "fit",
    "screen_covariates": "fit",
    "CovariateScreen": "fit",
    "stepwise_covariates": "fit",
    "StepwiseSearch": "fit",
    "fit_hierarchical": "fit",
    "Fit": "fit",
    "load_fit": "fit",
    "shrinkage": "fit",
    "cv_percent": "fit",
    "omega_from_cv": "fit",
    "diagnose": "diagnostics",
    "review": "diagnostics",
    "cross_check": "diagnostics",
    "loo": "diagnostics",
    "compare": "diagnostics",
    "psis_loo": "diagnostics",
    "waic": "diagnostics",
    "stacking_weights": "diagnostics",
    "held_out": "diagnostics",
    "check_exposure": "diagnostics",
    "residual_summary": "diagnostics",
    "residuals": "diagnostics",
    "vpc": "diagnostics",
    "prediction_correct": "diagnostics",
    "npde": "diagnostics",
    "npde_from_simulations": "diagnostics",
    "loo_pit": "diagnostics",
    "prior_sensitivity": "diagnostics",
    "effect_trends": "diagnostics",
    "informing_days": "diagnostics",
    "effect_correlations": "diagnostics",
    "calibrate": "diagnostics",
    "read_calibration": "diagnostics",
    "Calibration": "diagnostics",
    "exposure_course": "exposure",
    "exposure_from": "exposure",
    "Exposure": "exposure",
    "covariate_forest": "exposure",
    "derive_event": "response",
    "antibody_status": "response",
    "antibody_effect": "response",
    "marker_summary": "response",
    "fit_marker": "response",
    "compare_markers": "response",
    "dose_limiting": "response",
    "toxicity_table": "response",
    "worst_grade": "response",
    "derive_response": "response",
    "responses_from": "response",
    "response_rates": "response",
    "fit_tumour": "response",
    "progression_by_model": "response",
    "dose_exposure": "response",
    "exposure_response": "response",
    "e_value": "response",
    "quadrant_table": "response",
    "fit_event": "response",
    "fit_grade": "response",
    "fit_joint": "response",
    "aalen_johansen": "response",
    "binomial_interval": "response",
    "cox": "response",
    "kaplan_meier": "response",
    "log_rank": "response",
    "logistic": "response",
    "onset_timing": "response",
    "ordinal": "response",
    "parametric_survival": "response",
    "power_model": "response",
    "proportions": "response",
    "sample_size_for_proportionality": "response",
    "survival_table": "response",
    "ThreePlusThree": "escalation",
    "AcceleratedTitration": "escalation",
    "Boin": "escalation",
    "Mtpi": "escalation",
    "Mtpi2": "escalation",
    "Keyboard": "escalation",
    "I3Plus3": "escalation",
    "Crm": "escalation",
    "skeleton_for": "escalation",
    "Blrm": "escalation",
    "BlrmPrior": "escalation",
    "TiteBoin": "escalation",
    "TiteCrm": "escalation",
    "StopAfter": "escalation",
    "StopAtDose": "escalation",
    "StopForPrecision": "escalation",
    "EliminateOverdose": "escalation",
    "NoSkipping": "escalation",
    "MaxDose": "escalation",
    "Staggered": "escalation",
    "WaitForWindow": "escalation",
    "Cohort": "escalation",
    "Decision": "escalation",
    "cohorts_from": "escalation",
    "decision_table": "escalation",
    "dose_paths": "escalation",
    "operating_characteristics": "escalation",
    "compare_designs": "escalation",
    "tite_trials": "escalation",
    "select_mtd": "escalation",
    "Antibodies": "trial",
    "Conduct": "trial",
    "Covariate": "trial",
    "Cytokine": "trial",
    "Links": "trial",
    "Population": "trial",
    "SimulatedTrial": "trial",
    "Toxicity": "trial",
    "TrialCharacteristics": "trial",
    "TrialPlan": "trial",
    "Tumour": "trial",
    "Visits": "trial",
    "design_from": "escalation",
    "dose_truth": "trial",
    "interim": "trial",
    "load_trial": "trial",
    "power_table": "trial",
    "simulate_trial": "trial",
    "simulate_trials": "trial",
    "trials": "escalation",
    "load_scenarios": "escalation",
    "load_design": "escalation",
    "escalation_path": "trial",
    "Scenario": "escalation",
    "EscalationPath": "trial",
    "known_population": "prognosis",
    "forecast": "prognosis",
    "Forecast": "prognosis",
    "forecast_updates": "prognosis",
    "ForecastUpdates": "prognosis",
    "compare_schedules": "prognosis",
    "ScheduleComparison": "prognosis",
    "best_schedule": "prognosis",
    "BestSchedule": "prognosis",
    "predict_doses": "prognosis",
    "DosePrediction": "prognosis",
    "write_report": "report",
    "write_comparison": "report",
    "citation": "report",
    "methods_text": "report",
    "parameter_table": "report",
    "run_study": "batch",
    "StudyResult": "batch",
    "verify_run": "batch",
    "list_runs": "batch",
    "write_index": "batch",
    "CarkineticsError": "errors",
}

__all__ = [*_HOME, "plot"]


def __getattr__(name: str) -> Any:
    """Import the home of a public name at its first use (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("carkinetics")
    elif name == "plot":
        return import_module("carkinetics.plot")  # the import itself binds the name
    elif name in _HOME:
        value = getattr(import_module(f"carkinetics.{_HOME[name]}"), name)
    else:
        raise AttributeError(f"module 'carkinetics' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names and what is loaded already."""
    return sorted({*globals(), *__all__, "__version__"})

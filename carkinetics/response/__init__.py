"""So what: dose against exposure, and exposure against response and toxicity."""

from carkinetics.response.antibody import AntibodyEffect, antibody_effect
from carkinetics.response.binary import logistic_firth, logistic_ml
from carkinetics.response.caution import exposure_response_findings
from carkinetics.response.confounding import e_value, quadrant_table
from carkinetics.response.dose import DoseExposure, dose_exposure, equivalence_region
from carkinetics.response.event import derive_event
from carkinetics.response.grade import GradeModel, fit_grade
from carkinetics.response.hazard import cox, parametric_survival
from carkinetics.response.joint import JointModel, fit_joint
from carkinetics.response.marker import antibody_status, marker_summary
from carkinetics.response.marker_fit import MarkerModel, compare_markers, fit_marker
from carkinetics.response.onset import OnsetTiming, onset_timing
from carkinetics.response.power import power_model
from carkinetics.response.proportion import binomial_interval, proportions
from carkinetics.response.recist import derive_response
from carkinetics.response.regression import logistic, ordinal
from carkinetics.response.relate import ExposureResponse, exposure_response
from carkinetics.response.sample_size import SampleSize, sample_size_for_proportionality
from carkinetics.response.sums import responses_from
from carkinetics.response.survival import aalen_johansen, kaplan_meier, log_rank, survival_table
from carkinetics.response.time_to_event import EventModel, fit_event
from carkinetics.response.toxicity import dose_limiting, toxicity_table, worst_grade
from carkinetics.response.tumour import fit_tumour, progression_by_model
from carkinetics.response.tumour_check import tumour_findings
from carkinetics.response.tumour_outcome import response_rates

__all__ = [
    "AntibodyEffect",
    "DoseExposure",
    "EventModel",
    "ExposureResponse",
    "GradeModel",
    "JointModel",
    "MarkerModel",
    "OnsetTiming",
    "SampleSize",
    "aalen_johansen",
    "antibody_effect",
    "antibody_status",
    "binomial_interval",
    "compare_markers",
    "cox",
    "derive_event",
    "derive_response",
    "dose_exposure",
    "dose_limiting",
    "e_value",
    "equivalence_region",
    "exposure_response",
    "exposure_response_findings",
    "fit_event",
    "fit_grade",
    "fit_joint",
    "fit_marker",
    "fit_tumour",
    "kaplan_meier",
    "log_rank",
    "logistic",
    "logistic_firth",
    "logistic_ml",
    "marker_summary",
    "onset_timing",
    "ordinal",
    "parametric_survival",
    "power_model",
    "progression_by_model",
    "proportions",
    "quadrant_table",
    "response_rates",
    "responses_from",
    "sample_size_for_proportionality",
    "survival_table",
    "toxicity_table",
    "tumour_findings",
    "worst_grade",
]

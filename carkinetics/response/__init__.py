"""So what: dose against exposure, and exposure against response and toxicity."""

from carkinetics.response.caution import exposure_response_findings
from carkinetics.response.dose import DoseExposure, dose_exposure, equivalence_region
from carkinetics.response.grade import GradeModel, fit_grade
from carkinetics.response.logistic import logistic_firth, logistic_ml

__all__ = [
    "DoseExposure",
    "GradeModel",
    "dose_exposure",
    "equivalence_region",
    "exposure_response_findings",
    "fit_grade",
    "logistic_firth",
    "logistic_ml",
]

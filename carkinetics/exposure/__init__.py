"""How much: exposure metrics by subject, from the observations or from a fit."""

from carkinetics.exposure.by_dose import nca_by
from carkinetics.exposure.course import ExposureCourse, exposure_course
from carkinetics.exposure.forest import CovariateForest, covariate_forest
from carkinetics.exposure.nca import nca
from carkinetics.exposure.posterior import exposure_from
from carkinetics.exposure.quality import nca_findings
from carkinetics.exposure.table import Exposure
from carkinetics.exposure.typical import typical_exposure

__all__ = [
    "CovariateForest",
    "Exposure",
    "ExposureCourse",
    "covariate_forest",
    "exposure_course",
    "exposure_from",
    "nca",
    "nca_by",
    "nca_findings",
    "typical_exposure",
]

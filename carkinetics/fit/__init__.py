"""What the data say: fits of single subjects and of all together."""

from carkinetics.fit.hierarchical import fit_hierarchical
from carkinetics.fit.individual import fit_individuals
from carkinetics.fit.population import PopulationFit, fit_population
from carkinetics.fit.result import Fit, load_fit
from carkinetics.fit.screen import CovariateScreen, screen_covariates
from carkinetics.fit.stepwise import StepwiseSearch, stepwise_covariates
from carkinetics.fit.variability import cv_percent, omega_from_cv, shrinkage

__all__ = [
    "CovariateScreen",
    "Fit",
    "PopulationFit",
    "StepwiseSearch",
    "cv_percent",
    "fit_hierarchical",
    "fit_individuals",
    "fit_population",
    "load_fit",
    "omega_from_cv",
    "screen_covariates",
    "shrinkage",
    "stepwise_covariates",
]

"""Whether a fit can be believed: convergence, prediction of what was seen and of what was not, priors, calibration."""

from carkinetics.diagnostics.calibrate import calibrate
from carkinetics.diagnostics.calibration import Calibration
from carkinetics.diagnostics.calibration_file import read_calibration
from carkinetics.diagnostics.compare import compare, loo
from carkinetics.diagnostics.contraction import contraction
from carkinetics.diagnostics.criteria import psis_loo, stacking_weights, waic
from carkinetics.diagnostics.cross_check import cross_check
from carkinetics.diagnostics.diagnose import diagnose
from carkinetics.diagnostics.exposure_check import ExposureCheck, check_exposure
from carkinetics.diagnostics.held_out import held_out
from carkinetics.diagnostics.informing import informing_days
from carkinetics.diagnostics.monte_carlo import monte_carlo_errors
from carkinetics.diagnostics.npde import Npde, npde, npde_from_simulations
from carkinetics.diagnostics.pit import LooPit, loo_pit
from carkinetics.diagnostics.population_correlation import population_correlations
from carkinetics.diagnostics.prior_check import prior_check
from carkinetics.diagnostics.random_effects import effect_correlations, effect_trends
from carkinetics.diagnostics.residual_summary import residual_summary
from carkinetics.diagnostics.residuals import residuals
from carkinetics.diagnostics.review import review
from carkinetics.diagnostics.sensitivity import prior_sensitivity
from carkinetics.diagnostics.vpc import Vpc, prediction_correct, vpc

__all__ = [
    "Calibration",
    "ExposureCheck",
    "LooPit",
    "Npde",
    "Vpc",
    "calibrate",
    "check_exposure",
    "compare",
    "contraction",
    "cross_check",
    "diagnose",
    "effect_correlations",
    "effect_trends",
    "held_out",
    "informing_days",
    "loo",
    "loo_pit",
    "monte_carlo_errors",
    "npde",
    "npde_from_simulations",
    "population_correlations",
    "prediction_correct",
    "prior_check",
    "prior_sensitivity",
    "psis_loo",
    "read_calibration",
    "residual_summary",
    "residuals",
    "review",
    "stacking_weights",
    "vpc",
    "waic",
]

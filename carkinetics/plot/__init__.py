"""Pictures of any result; the only room that imports matplotlib."""

from carkinetics.plot.calibration import calibration
from carkinetics.plot.characteristics import characteristics
from carkinetics.plot.comparison import comparison, comparison_by_subject
from carkinetics.plot.convergence import energy, ess, funnel
from carkinetics.plot.correlation import correlations
from carkinetics.plot.decision_table import decision_table
from carkinetics.plot.dose_tree import dose_paths
from carkinetics.plot.effects import effect_pairs, effects_by_covariate, random_effects
from carkinetics.plot.escalation import escalation
from carkinetics.plot.forecast import forecast, forecast_metric
from carkinetics.plot.forest import forest
from carkinetics.plot.goodness import gof, observed_predicted
from carkinetics.plot.individual import individual_fits
from carkinetics.plot.marker import marker, marker_lag
from carkinetics.plot.model import model_course
from carkinetics.plot.next_dose import next_dose
from carkinetics.plot.onset import onset
from carkinetics.plot.posterior import prior_posterior, ranks, trace
from carkinetics.plot.power import trial_power
from carkinetics.plot.predictive import exposure_check, npde, pit
from carkinetics.plot.profile import profiles
from carkinetics.plot.quadrant import quadrants
from carkinetics.plot.response import dose_exposure, exposure_response
from carkinetics.plot.schedule import schedules
from carkinetics.plot.screen import covariate_screen
from carkinetics.plot.sensitivity import sensitivity
from carkinetics.plot.survival import event_curves, survival_curves
from carkinetics.plot.swimmer import swimmer
from carkinetics.plot.tumour import spider, waterfall
from carkinetics.plot.vpc import vpc, vpc_compared

__all__ = [
    "calibration",
    "characteristics",
    "comparison",
    "comparison_by_subject",
    "correlations",
    "covariate_screen",
    "decision_table",
    "dose_exposure",
    "dose_paths",
    "effect_pairs",
    "effects_by_covariate",
    "energy",
    "escalation",
    "ess",
    "event_curves",
    "exposure_check",
    "exposure_response",
    "forecast",
    "forecast_metric",
    "forest",
    "funnel",
    "gof",
    "individual_fits",
    "marker",
    "marker_lag",
    "model_course",
    "next_dose",
    "npde",
    "observed_predicted",
    "onset",
    "pit",
    "prior_posterior",
    "profiles",
    "quadrants",
    "random_effects",
    "ranks",
    "schedules",
    "sensitivity",
    "spider",
    "survival_curves",
    "swimmer",
    "trace",
    "trial_power",
    "vpc",
    "vpc_compared",
    "waterfall",
]

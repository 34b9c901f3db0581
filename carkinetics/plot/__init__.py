"""Pictures of any result; the only room that imports matplotlib."""

from carkinetics.plot.calibration import calibration
from carkinetics.plot.characteristics import characteristics
from carkinetics.plot.decision_table import decision_table
from carkinetics.plot.diagnostic import gof, prior_posterior, ranks, trace
from carkinetics.plot.dose_tree import dose_paths
from carkinetics.plot.escalation import escalation
from carkinetics.plot.forecast import forecast, forecast_metric
from carkinetics.plot.forest import forest
from carkinetics.plot.individual import individual_fits
from carkinetics.plot.marker import marker, marker_lag
from carkinetics.plot.model import model_course
from carkinetics.plot.next_dose import next_dose
from carkinetics.plot.onset import onset
from carkinetics.plot.power import trial_power
from carkinetics.plot.profile import profiles
from carkinetics.plot.quadrant import quadrants
from carkinetics.plot.response import dose_exposure, exposure_response
from carkinetics.plot.schedule import schedules
from carkinetics.plot.survival import event_curves, survival_curves
from carkinetics.plot.tumour import spider, swimmer, waterfall
from carkinetics.plot.vpc import vpc

__all__ = [
    "calibration",
    "characteristics",
    "decision_table",
    "dose_exposure",
    "dose_paths",
    "escalation",
    "event_curves",
    "exposure_response",
    "forecast",
    "forecast_metric",
    "forest",
    "gof",
    "individual_fits",
    "marker",
    "marker_lag",
    "model_course",
    "next_dose",
    "onset",
    "prior_posterior",
    "profiles",
    "quadrants",
    "ranks",
    "schedules",
    "spider",
    "survival_curves",
    "swimmer",
    "trace",
    "trial_power",
    "vpc",
    "waterfall",
]

"""Whether a fit can be believed: convergence, prediction of what was seen and of what was not, priors, calibration."""

from carkinetics.diagnostics.calibrate import calibrate, read_calibration
from carkinetics.diagnostics.calibration import Calibration
from carkinetics.diagnostics.compare import compare, loo
from carkinetics.diagnostics.cross_check import cross_check
from carkinetics.diagnostics.diagnose import contraction, diagnose
from carkinetics.diagnostics.held_out import held_out

__all__ = [
    "Calibration",
    "calibrate",
    "compare",
    "contraction",
    "cross_check",
    "diagnose",
    "held_out",
    "loo",
    "read_calibration",
]

"""And what next: dose-escalation designs, and trials simulated from kinetics."""

from carkinetics.trial.boin import Boin, boin_boundaries
from carkinetics.trial.characteristics import compare_designs, operating_characteristics
from carkinetics.trial.cohort import Cohort
from carkinetics.trial.design import Decision, Design
from carkinetics.trial.stops import StopAfter
from carkinetics.trial.three_plus_three import ThreePlusThree
from carkinetics.trial.titration import AcceleratedTitration
from carkinetics.trial.tree import dose_paths

__all__ = [
    "AcceleratedTitration",
    "Boin",
    "Cohort",
    "Decision",
    "Design",
    "StopAfter",
    "ThreePlusThree",
    "boin_boundaries",
    "compare_designs",
    "dose_paths",
    "operating_characteristics",
]

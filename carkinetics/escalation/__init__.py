"""And what next: dose-escalation designs, decisions with their reasons, and operating characteristics."""

from carkinetics.escalation.blrm import Blrm, BlrmPrior
from carkinetics.escalation.boin import Boin, boin_boundaries
from carkinetics.escalation.characteristics import compare_designs, operating_characteristics
from carkinetics.escalation.cohort import Cohort
from carkinetics.escalation.crm import Crm, CrmPosterior
from carkinetics.escalation.decision_table import decision_table
from carkinetics.escalation.design import Decision, Design
from carkinetics.escalation.design_file import design_from, load_design, load_scenarios, trials
from carkinetics.escalation.i3plus3 import I3Plus3
from carkinetics.escalation.mtpi import Keyboard, Mtpi, Mtpi2
from carkinetics.escalation.patients import Counted, cohorts_from
from carkinetics.escalation.safety import EliminateOverdose, MaxDose, NoSkipping, Staggered, WaitForWindow
from carkinetics.escalation.scenario import Scenario
from carkinetics.escalation.selection import select_mtd
from carkinetics.escalation.skeleton import skeleton_for
from carkinetics.escalation.stops import StopAfter, StopAtDose, StopForPrecision
from carkinetics.escalation.three_plus_three import ThreePlusThree
from carkinetics.escalation.tite import TiteBoin, TiteCrm
from carkinetics.escalation.tite_trials import TiteTrials, tite_trials
from carkinetics.escalation.titration import AcceleratedTitration
from carkinetics.escalation.tree import dose_paths

__all__ = [
    "AcceleratedTitration",
    "Blrm",
    "BlrmPrior",
    "Boin",
    "Cohort",
    "Counted",
    "Crm",
    "CrmPosterior",
    "Decision",
    "Design",
    "EliminateOverdose",
    "I3Plus3",
    "Keyboard",
    "MaxDose",
    "Mtpi",
    "Mtpi2",
    "NoSkipping",
    "Scenario",
    "Staggered",
    "StopAfter",
    "StopAtDose",
    "StopForPrecision",
    "ThreePlusThree",
    "TiteBoin",
    "TiteCrm",
    "TiteTrials",
    "WaitForWindow",
    "boin_boundaries",
    "cohorts_from",
    "compare_designs",
    "decision_table",
    "design_from",
    "dose_paths",
    "load_design",
    "load_scenarios",
    "operating_characteristics",
    "select_mtd",
    "skeleton_for",
    "tite_trials",
    "trials",
]

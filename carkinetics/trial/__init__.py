"""And what next: dose-escalation designs, trials simulated from kinetics, forecasts of a patient, sampling days, the next dose."""

from carkinetics.trial.blrm import Blrm, BlrmPrior
from carkinetics.trial.boin import Boin, boin_boundaries
from carkinetics.trial.characteristics import compare_designs, operating_characteristics
from carkinetics.trial.cohort import Cohort
from carkinetics.trial.crm import Crm, CrmPosterior
from carkinetics.trial.decision_table import decision_table
from carkinetics.trial.design import Decision, Design
from carkinetics.trial.i3plus3 import I3Plus3
from carkinetics.trial.interim import interim
from carkinetics.trial.links import Antibodies, Cytokine, Links, Toxicity, Tumour
from carkinetics.trial.many import TrialCharacteristics, simulate_trials
from carkinetics.trial.mtpi import Keyboard, Mtpi, Mtpi2
from carkinetics.trial.path import EscalationPath, escalation_path
from carkinetics.trial.patients import Counted, cohorts_from
from carkinetics.trial.plan import Conduct, TrialPlan, Visits
from carkinetics.trial.plan_file import design_from, load_design, load_scenarios, load_trial, trials
from carkinetics.trial.population import Covariate, Population
from carkinetics.trial.power import dose_truth, power_table
from carkinetics.trial.safety import EliminateOverdose, MaxDose, NoSkipping, Staggered, WaitForWindow
from carkinetics.trial.scenario import Scenario
from carkinetics.trial.selection import select_mtd
from carkinetics.trial.simulated import SimulatedTrial, simulate_trial
from carkinetics.trial.skeleton import skeleton_for
from carkinetics.trial.stops import StopAfter, StopAtDose, StopForPrecision
from carkinetics.trial.three_plus_three import ThreePlusThree
from carkinetics.trial.tite import TiteBoin, TiteCrm
from carkinetics.trial.tite_trials import TiteTrials, tite_trials
from carkinetics.trial.titration import AcceleratedTitration
from carkinetics.trial.tree import dose_paths

__all__ = [
    "AcceleratedTitration",
    "Antibodies",
    "Blrm",
    "BlrmPrior",
    "Boin",
    "Cohort",
    "Conduct",
    "Counted",
    "Covariate",
    "Crm",
    "CrmPosterior",
    "Cytokine",
    "Decision",
    "Design",
    "EliminateOverdose",
    "EscalationPath",
    "I3Plus3",
    "Keyboard",
    "Links",
    "MaxDose",
    "Mtpi",
    "Mtpi2",
    "NoSkipping",
    "Population",
    "Scenario",
    "SimulatedTrial",
    "Staggered",
    "StopAfter",
    "StopAtDose",
    "StopForPrecision",
    "ThreePlusThree",
    "TiteBoin",
    "TiteCrm",
    "TiteTrials",
    "Toxicity",
    "TrialCharacteristics",
    "TrialPlan",
    "Tumour",
    "Visits",
    "WaitForWindow",
    "boin_boundaries",
    "cohorts_from",
    "compare_designs",
    "decision_table",
    "design_from",
    "dose_paths",
    "dose_truth",
    "escalation_path",
    "interim",
    "load_design",
    "load_scenarios",
    "load_trial",
    "operating_characteristics",
    "power_table",
    "select_mtd",
    "simulate_trial",
    "simulate_trials",
    "skeleton_for",
    "tite_trials",
    "trials",
]

"""And what next: dose-escalation designs, and trials simulated from kinetics."""

from carkinetics.trial.blrm import Blrm, BlrmPrior
from carkinetics.trial.boin import Boin, boin_boundaries
from carkinetics.trial.characteristics import compare_designs, operating_characteristics
from carkinetics.trial.cohort import Cohort
from carkinetics.trial.crm import Crm, CrmPosterior, skeleton_for
from carkinetics.trial.decision_table import decision_table
from carkinetics.trial.design import Decision, Design
from carkinetics.trial.i3plus3 import I3Plus3
from carkinetics.trial.links import Antibodies, Cytokine, Links, Toxicity, Tumour
from carkinetics.trial.mtpi import Keyboard, Mtpi, Mtpi2
from carkinetics.trial.path import EscalationPath, escalation_path
from carkinetics.trial.patients import Counted, cohorts_from
from carkinetics.trial.plan import Conduct, TrialPlan, Visits
from carkinetics.trial.plan_file import design_from, load_design, load_scenarios, load_trial, trials
from carkinetics.trial.population import Covariate, Population
from carkinetics.trial.power import dose_truth, power_table
from carkinetics.trial.scenario import Scenario
from carkinetics.trial.simulated import SimulatedTrial, TrialCharacteristics, simulate_trial, simulate_trials
from carkinetics.trial.stops import StopAfter
from carkinetics.trial.three_plus_three import ThreePlusThree
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
    "EscalationPath",
    "I3Plus3",
    "Keyboard",
    "Links",
    "Mtpi",
    "Mtpi2",
    "Population",
    "Scenario",
    "SimulatedTrial",
    "StopAfter",
    "ThreePlusThree",
    "Toxicity",
    "TrialCharacteristics",
    "TrialPlan",
    "Tumour",
    "Visits",
    "boin_boundaries",
    "cohorts_from",
    "compare_designs",
    "decision_table",
    "design_from",
    "dose_paths",
    "dose_truth",
    "escalation_path",
    "load_design",
    "load_scenarios",
    "load_trial",
    "operating_characteristics",
    "power_table",
    "simulate_trial",
    "simulate_trials",
    "skeleton_for",
    "trials",
]

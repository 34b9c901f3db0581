"""And what will the trial do: simulated from cells, with its patients, decisions, data and analyses."""

from carkinetics.trial.interim import interim
from carkinetics.trial.links import Antibodies, Cytokine, Links, Toxicity, Tumour
from carkinetics.trial.many import TrialCharacteristics, simulate_trials
from carkinetics.trial.path import EscalationPath, escalation_path
from carkinetics.trial.plan import Conduct, TrialPlan, Visits
from carkinetics.trial.plan_file import load_trial
from carkinetics.trial.population import Covariate, Population
from carkinetics.trial.power import dose_truth, power_table
from carkinetics.trial.simulated import SimulatedTrial, simulate_trial

__all__ = [
    "Antibodies",
    "Conduct",
    "Covariate",
    "Cytokine",
    "EscalationPath",
    "Links",
    "Population",
    "SimulatedTrial",
    "Toxicity",
    "TrialCharacteristics",
    "TrialPlan",
    "Tumour",
    "Visits",
    "dose_truth",
    "escalation_path",
    "interim",
    "load_trial",
    "power_table",
    "simulate_trial",
    "simulate_trials",
]

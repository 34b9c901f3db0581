"""What the data say: fits of single subjects and of all together, and whether they can be trusted."""

from carkinetics.fit.compare import compare, loo
from carkinetics.fit.cross_check import cross_check
from carkinetics.fit.diagnose import contraction, diagnose
from carkinetics.fit.held_out import held_out
from carkinetics.fit.hierarchical import fit_hierarchical
from carkinetics.fit.individual import fit_individuals
from carkinetics.fit.population import PopulationFit, fit_population
from carkinetics.fit.result import Fit, load_fit

__all__ = [
    "Fit",
    "PopulationFit",
    "compare",
    "contraction",
    "cross_check",
    "diagnose",
    "fit_hierarchical",
    "fit_individuals",
    "fit_population",
    "held_out",
    "load_fit",
    "loo",
]

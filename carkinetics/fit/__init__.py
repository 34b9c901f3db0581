"""What the data say: fits of single subjects and of all together."""

from carkinetics.fit.hierarchical import fit_hierarchical
from carkinetics.fit.individual import fit_individuals
from carkinetics.fit.population import PopulationFit, fit_population
from carkinetics.fit.result import Fit, load_fit

__all__ = [
    "Fit",
    "PopulationFit",
    "fit_hierarchical",
    "fit_individuals",
    "fit_population",
    "load_fit",
]

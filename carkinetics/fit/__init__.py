"""What the data say: fits of single subjects and of all together, and whether they can be trusted."""

from carkinetics.fit.diagnose import contraction, diagnose
from carkinetics.fit.hierarchical import fit_hierarchical
from carkinetics.fit.individual import fit_individuals
from carkinetics.fit.result import Fit, load_fit

__all__ = ["Fit", "contraction", "diagnose", "fit_hierarchical", "fit_individuals", "load_fit"]

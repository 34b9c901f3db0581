"""What every prior of a fit says, from its closed form: quantiles, and the SD on the scale where posteriors are compared with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, ndtri

from carkinetics.fit.hierarchical import problem_of
from carkinetics.fit.measured import measured_outputs
from carkinetics.fit.result import Fit
from carkinetics.fit.vector import LKJ_ETA
from carkinetics.model.prior import FROM_FREE, TO_FREE, Prior
from carkinetics.model.spec import SET_HERE

# Of log |Z|, Z standard normal: half the SD of the log of a chi-square with one degree of freedom, whatever the scale.
LOG_HALF_NORMAL_SD = pi / sqrt(8)


@dataclass(frozen=True)
class StatedPrior:
    """The prior of one population quantity.

    Parameters
    ----------
    quantity : str
        As in ``fit.population()``.
    prior : Prior, float or int
        Normal on a free scale; the scale of a half-normal, for a standard deviation; or, for a correlation, how many random
        effects its LKJ matrix has.
    source : str
        Where it comes from.
    """

    quantity: str
    prior: Prior | float | int
    source: str

    @property
    def text(self) -> str:
        """As the report writes it."""
        if isinstance(self.prior, Prior):
            return str(self.prior)
        if isinstance(self.prior, int):
            return f"LKJ({LKJ_ETA:g}) of {self.prior}"
        return f"half-normal(scale {self.prior:.3g})"

    @property
    def to_free(self) -> Callable[[Any], Any]:
        """From the natural scale to the one of ``sd``, where a posterior is compared with the prior."""
        if isinstance(self.prior, Prior):
            return TO_FREE[self.prior.transform]
        return np.asarray if isinstance(self.prior, int) else np.log

    @property
    def sd(self) -> float:
        """Standard deviation on the free scale of a parameter, of the log of a standard deviation, of a correlation as it is."""
        if isinstance(self.prior, Prior):
            return self.prior.spread
        if isinstance(self.prior, int):
            return float(1 / sqrt(2 * _beta(self.prior) + 1))
        return LOG_HALF_NORMAL_SD

    def quantile(self, p: ArrayLike) -> NDArray[np.float64]:
        """Quantiles on the natural scale.

        Parameters
        ----------
        p : array_like
            Probabilities.

        Returns
        -------
        ndarray
            Of the same shape.

        Examples
        --------
        >>> StatedPrior("cmax_omega", 1.0, "").quantile([0.5]).round(3).tolist()
        [0.674]
        """
        p = np.asarray(p, dtype=float)
        if isinstance(self.prior, Prior):
            free = self.prior.location + self.prior.spread * ndtri(p)
            return np.asarray(FROM_FREE[self.prior.transform](free), dtype=float)
        if isinstance(self.prior, int):
            half = _beta(self.prior)
            return np.asarray(2 * betaincinv(half, half, p) - 1)
        return np.asarray(self.prior * ndtri((1 + p) / 2))


def _beta(size: int) -> float:
    """Both parameters of the beta distribution of (1 + r) / 2, r a correlation of an LKJ matrix (Lewandowski et al. 2009)."""
    return LKJ_ETA + size / 2 - 1


def stated_priors(fit: Fit) -> dict[str, StatedPrior]:
    """Every prior of a fit.

    Parameters
    ----------
    fit : Fit
        Hierarchical.

    Returns
    -------
    dict of str to StatedPrior
        By population quantity. Quantities that are computed from others have none.
    """
    return {one.quantity: one for one in _stated(fit)}


def _stated(fit: Fit) -> Iterator[StatedPrior]:
    set_here = fit.model.priors_changed
    for name in fit.model.free_parameters:
        prior = fit.model.parameters[name].prior
        origin = SET_HERE if name in set_here else "model file"
        yield StatedPrior(f"{name}_typical", prior, prior.source or origin)
    for covariate in fit.settings.get("covariates", []):
        yield StatedPrior(
            covariate["name"], Prior.of(covariate["prior"]), covariate["prior"].get("source", "")
        )
    if fit.mixture:
        source = fit.mixture.source
        yield StatedPrior(fit.mixture.share_name, fit.mixture.share, fit.mixture.share.source or source)
        for name, shift in fit.mixture.shifts.items():
            yield StatedPrior(fit.mixture.shift_name(name), shift, shift.source or source)
    for name in fit.settings.get("random", []):
        origin = SET_HERE if name in fit.model.omega_priors_changed else "model file"
        yield StatedPrior(f"{name}_omega", float(fit.model.parameters[name].omega_prior), origin)
    together = fit.settings.get("correlated") or []
    for k, one in enumerate(together):
        for other in together[k + 1 :]:
            yield StatedPrior(f"corr_{one}_{other}", len(together), "default")
    for measured in measured_outputs(fit):
        for name in measured.sigmas:
            scale = 1.0 if measured.is_relative(name) else problem_of(fit).sigma_scale(name)
            yield StatedPrior(name, scale, "scale from the kind of residual error")

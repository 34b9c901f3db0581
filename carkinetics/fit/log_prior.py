"""Log prior density of the population values in every draw, one term for each prior.

On the scales on which the priors are stated: typical values on the free scale, where they are normal; ω and residual
standard deviations as they are, half-normal; slopes and shifts normal; correlations LKJ(2). It is what PyMC would store as
``log_prior``, without the terms of random effects, whose distribution is part of the model and not a prior.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import logit

from carkinetics.fit.problem import Problem
from carkinetics.fit.vector import LKJ_ETA

Floats = NDArray[np.float64]
CORRELATIONS = "correlations"


def population_log_prior(problem: Problem, draws: xr.Dataset) -> xr.Dataset:
    """Log prior density of every population value that has a prior.

    Parameters
    ----------
    problem : Problem
        Whose priors.
    draws : xarray.Dataset
        Posterior or prior draws with the names of a fit.

    Returns
    -------
    xarray.Dataset
        A variable per prior, named like the quantity (``cmax_typical``, ``cmax_omega``, ``sigma``), dims ``chain, draw``;
        ``correlations`` for the whole matrix, which lacks its constant.
    """
    found: dict[str, Any] = {}

    def values(name: str) -> Floats:
        return draws[name].transpose("chain", "draw", ...).to_numpy().astype(float)

    for name in problem.model.free_parameters:
        parameter = problem.model.parameters[name]
        at = np.asarray(parameter.to_free(values(f"{name}_typical")), dtype=float)
        found[f"{name}_typical"] = _normal(at, parameter.prior.location, parameter.prior.spread)
    for covariate in problem.covariates:
        prior = covariate.prior
        found[covariate.name] = _normal(values(covariate.name), prior.location, prior.spread)
    if problem.mixture:
        mixture = problem.mixture
        share = logit(values(mixture.share_name))
        found[mixture.share_name] = _normal(share, mixture.share.location, mixture.share.spread)
        for name, prior in mixture.shifts.items():
            shift = mixture.shift_name(name)
            found[shift] = _normal(values(shift), prior.location, prior.spread)
    for name in problem.random:
        scale = problem.model.parameters[name].omega_prior
        found[f"{name}_omega"] = _half_normal(values(f"{name}_omega"), scale)
    if problem.correlated:
        matrices = values("effect_correlation")
        found[CORRELATIONS] = (LKJ_ETA - 1) * np.linalg.slogdet(matrices)[1]
    for name in problem.sigma_names:
        found[name] = _half_normal(values(name), problem.sigma_scale(name))
    coords = {"chain": draws["chain"], "draw": draws["draw"]}
    return xr.Dataset({name: (("chain", "draw"), value) for name, value in found.items()}, coords)


def _normal(x: Floats, centre: float, spread: float) -> Floats:
    return np.asarray(-0.5 * ((x - centre) / spread) ** 2 - np.log(spread) - 0.5 * np.log(2 * np.pi))


def _half_normal(x: Floats, scale: float) -> Floats:
    return _normal(x, 0.0, scale) + np.log(2)

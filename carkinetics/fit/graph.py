"""A problem → an ordinary PyMC model.

Priors, effects, likelihood and BLQ terms are PyTensor, the last two from the very functions that NumPy uses; the
kinetics are one operation with exact derivatives (`carkinetics.fit.gradient`). Every sampled quantity is normal on
its free scale; ``cmax_typical`` and ``cmax`` are what a reader sees.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pymc.distributions.dist_math import normal_lcdf

from carkinetics.fit.gradient import Solution
from carkinetics.fit.problem import Problem
from carkinetics.model.expression import Ops
from carkinetics.model.observe import log_likelihood
from carkinetics.model.prior import Prior

# Everything here is compiled by numba, which brings its own linear algebra; left empty, PyTensor looks for a BLAS
# to link C code to and warns that pip installed none.
pytensor.config.blas__ldflags = ""

PYTENSOR: Ops = {
    "+": pt.add, "*": pt.mul, "exp": pt.exp, "log": pt.log, "sqrt": pt.sqrt, "maximum": pt.maximum,
    "minimum": pt.minimum, "where": pt.switch, "log_ndtr": lambda z: normal_lcdf(0.0, 1.0, z), "log1p": pt.log1p,
}  # fmt: skip
LIKELIHOOD_TERMS = ("quantified", "not_detected", "below_lloq", "above_uloq")
FROM_FREE = {"log": pt.exp, "logit": pt.sigmoid, "identity": lambda x: x}


def build_pymc_model(problem: Problem, centred: Iterable[str] = ()) -> pm.Model:
    """The PyMC model of a problem.

    Parameters
    ----------
    problem : Problem
        What is fitted.
    centred : iterable of str
        Random parameters whose individual values are sampled around the population mean directly; the
        others are sampled as standardised deviations.

    Returns
    -------
    pymc.Model
        Dimensions ``subject``, ``obs``.

    Notes
    -----
    Parameters that differ by class (``problem.mixture``) are drawn from a mixture of normals, centred whatever
    ``centred`` says: ``mixture_individual``. Free random variables are ``{p}_location`` (typical value, free scale), ``{p}_omega``,
    ``{p}_individual`` (centred) or ``{p}_z`` (not centred), slopes ``{p}_on_...`` and residual
    standard deviations. Correlated effects share ``effect_chol``.
    """
    direct = frozenset(centred)
    coords: dict[str, Any] = {"subject": problem.data.subject_ids, "obs": np.arange(len(problem.time))}
    if problem.correlated:
        coords |= {"effect": list(problem.correlated), "effect_aux": list(problem.correlated)}
    with pm.Model(coords=coords) as model:
        location = _typical_values(problem)
        means = _means(problem, location)
        omegas = {
            name: pm.HalfNormal(f"{name}_omega", np.float64(problem.model.parameters[name].omega_prior))
            for name in problem.random
            if name not in problem.correlated
        }
        mixed = list(problem.mixture.shifts) if problem.mixture else []
        free = {
            name: _independent(name, means[name], omegas[name], name in direct)
            for name in omegas
            if name not in mixed
        }
        if problem.correlated:
            free |= _correlated(problem, means, direct)
        elif mixed:
            scales = pt.stack([omegas[name] for name in mixed])
            free |= _in_classes(problem, mixed, means, pt.diag(scales))
        free = {name: free.get(name, means[name]) for name in problem.model.free_parameters}
        for name in problem.varying:
            pm.Deterministic(
                name, FROM_FREE[problem.model.parameters[name].transform](free[name]), dims="subject"
            )
        sigmas = {
            name: pm.HalfNormal(name, np.float64(problem.sigma_scale(name))) for name in problem.sigma_names
        }
        each = [value + pt.zeros(problem.n_subjects) for value in free.values()]
        predicted, _ = Solution(problem.layout)(pt.stack(each, axis=1))
        _likelihood(problem, predicted, sigmas)
    return model


def _typical_values(problem: Problem) -> dict[str, Any]:
    location = {}
    for name in problem.model.free_parameters:
        parameter = problem.model.parameters[name]
        location[name] = pm.Normal(f"{name}_location", *_exactly(parameter.prior))
        pm.Deterministic(f"{name}_typical", FROM_FREE[parameter.transform](location[name]))
    return location


def _exactly(prior: Prior) -> tuple[np.float64, np.float64]:
    """Mean and SD of a normal prior: PyTensor may keep a Python float in single precision only."""
    return np.float64(prior.location), np.float64(prior.spread)


def _means(problem: Problem, location: dict[str, Any]) -> dict[str, Any]:
    """Expected value on the free scale: one number, or one per subject where covariates act."""
    means = dict(location)
    for covariate in problem.covariates:
        slope = pm.Normal(covariate.name, *_exactly(covariate.prior))
        means[covariate.parameter] = means[covariate.parameter] + slope * covariate.centred
    return means


def _independent(name: str, mean: Any, omega: Any, centred: bool) -> Any:
    if centred:
        return pm.Normal(f"{name}_individual", mean, omega, dims="subject")
    return mean + omega * pm.Normal(f"{name}_z", dims="subject")


def _correlated(problem: Problem, means: dict[str, Any], direct: frozenset[str]) -> dict[str, Any]:
    """Random effects with a full covariance, centred all or none."""
    names = problem.correlated
    scales = np.array([problem.model.parameters[name].omega_prior for name in names])
    chol, corr, omega = pm.LKJCholeskyCov(
        "effect_chol",
        n=len(names),
        eta=2.0,
        sd_dist=pm.HalfNormal.dist(scales, shape=len(names)),
        compute_corr=True,
    )
    pm.Deterministic("effect_correlation", corr, dims=("effect", "effect_aux"))
    for k, name in enumerate(names):
        pm.Deterministic(f"{name}_omega", omega[k])
    if problem.mixture:
        return _in_classes(problem, names, means, chol)
    mean = pt.stack([means[name] + pt.zeros(problem.n_subjects) for name in names], axis=1)
    if direct >= set(names):
        together = pm.MvNormal("effect_individual", mean, chol=chol, dims=("subject", "effect"))
    else:
        together = mean + pm.Normal("effect_z", dims=("subject", "effect")) @ chol.T
    return {name: together[:, k] for k, name in enumerate(names)}


def _in_classes(problem: Problem, names: Sequence[str], means: dict[str, Any], chol: Any) -> dict[str, Any]:
    """Individual values from a mixture of two normal distributions with one covariance: the class is summed over."""
    mixture = problem.mixture
    assert mixture is not None
    share_logit = pm.Normal(f"{mixture.share_name}_location", *_exactly(mixture.share))
    share = pm.Deterministic(mixture.share_name, pm.math.sigmoid(share_logit))
    shifts = {
        name: pm.Normal(mixture.shift_name(name), *_exactly(prior)) for name, prior in mixture.shifts.items()
    }
    first = pt.stack([means[name] + pt.zeros(problem.n_subjects) for name in names], axis=1)
    second = first + pt.stack([pt.as_tensor(shifts.get(name, np.float64(0.0))) for name in names])
    classes = [pm.MvNormal.dist(mean, chol=chol) for mean in (first, second)]
    together = pm.Mixture("mixture_individual", w=pt.stack([1 - share, share]), comp_dists=classes)
    return {name: together[:, k] for k, name in enumerate(names)}


def _likelihood(problem: Problem, predicted: Any, sigmas: dict[str, Any]) -> None:
    """Potentials named for what their rows are, and for the output where there are several."""
    for number, (one, rows) in enumerate(problem.parts()):
        own = {plain: sigmas[name] for plain, name in zip(one.error.parameters, one.sigmas, strict=True)}
        terms = log_likelihood(one.error, predicted, rows, own, PYTENSOR)
        for name, term, at in zip(LIKELIHOOD_TERMS, terms, rows.kinds, strict=True):
            if len(at):
                pm.Potential(name if number == 0 else f"{name}_{one.output}", term)

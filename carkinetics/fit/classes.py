"""Which of two classes is a subject of? By the approximate fit, and by the draws of any engine.

The class is a covariate that nobody measured (`carkinetics.model.mixture`). The structured sampler draws it
(`carkinetics.fit.class_moves`), PyMC's density sums over it; afterwards its probability follows from the draws.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import expit, logit

from carkinetics.fit.approximate import Approximation, inverse
from carkinetics.fit.problem import Problem

Floats = NDArray[np.float64]
NEWTON_STEPS = 20


def class_step(state: Approximation) -> Approximation:
    """Probabilities of the classes from the subjects' Gaussians, and the share that fits them.

    Parameters
    ----------
    state : Approximation
        At the modes, of a problem with a mixture.

    Returns
    -------
    Approximation
        With a new membership and share.
    """
    e, r = state.effects, state.effects.random
    shift = np.zeros(e.n_random)
    np.add.at(shift, e.mean.of[e.member], state.mean[e.member])
    away = state.expected - e.membership[:, None] * shift - state.modes
    precision, covariance = inverse(state.between), state.covariance

    def log_evidence(mean: Floats) -> Floats:
        # The data as a parabola around the mode, times the Gaussian of the class, integrated over the random effects.
        pull = state.score[:, r] + mean @ precision
        gained = np.einsum("na,nab,nb->n", pull, covariance, pull)
        return 0.5 * (gained - np.einsum("na,ab,nb->n", mean, precision, mean))

    odds = logit(state.share) + log_evidence(away + shift) - log_evidence(away)
    probability = expit(np.clip(odds, -50, 50))
    share = _share(float(probability.sum()), len(probability), *e.share)
    return replace(state, effects=e.with_membership(probability), share=share)


def _share(members: float, n: int, centre: float, spread: float) -> float:
    """Most probable share by Newton's method on its logit."""
    u = centre
    for _ in range(NEWTON_STEPS):
        s = expit(u)
        u += (members - n * s - (u - centre) / spread**2) / (n * s * (1 - s) + spread**-2)
    return float(expit(u))


def class_probability(problem: Problem, draws: xr.Dataset) -> xr.DataArray:
    """Probability of the second class given a draw of everything else.

    Parameters
    ----------
    problem : Problem
        With a mixture.
    draws : xarray.Dataset
        Posterior, with the subjects' parameters.

    Returns
    -------
    xarray.DataArray, dims (chain, draw, subject)
        Its mean over draws is the subject's probability.
    """
    mixture, names = problem.mixture, problem.random
    assert mixture is not None
    parameters = problem.model.parameters
    slopes = {name: draws[name].to_numpy() for name in problem.slope_names}
    away, shift = [], []
    for name in names:
        to_free = parameters[name].to_free
        expected = to_free(draws[f"{name}_typical"].to_numpy())[..., None] + problem.shift(name, slopes)
        away.append(to_free(draws[name].transpose("chain", "draw", "subject").to_numpy()) - expected)
        zero = np.zeros(expected.shape[:2])
        shift.append(slopes[mixture.shift_name(name)] if name in mixture.shifts else zero)
    between = covariances(problem, draws)
    turned = np.linalg.solve(between, np.stack(shift, axis=-1)[..., None])[..., 0]
    # log N(b; m + d) - log N(b; m) = d' W (b - m) - d' W d / 2
    odds = (
        np.einsum("cdk,kcds->cds", turned, np.stack(away))
        - 0.5 * np.einsum("cdk,kcd->cd", turned, np.stack(shift))[..., None]
    )
    odds = odds + logit(draws[mixture.share_name].to_numpy())[..., None]
    coords = {"chain": draws["chain"], "draw": draws["draw"], "subject": problem.data.subject_ids}
    return xr.DataArray(expit(odds), coords=coords, dims=("chain", "draw", "subject"))


def covariances(problem: Problem, draws: xr.Dataset) -> Floats:
    """Covariance of the random effects at every draw, shape (chain, draw, n_random, n_random)."""
    omega = np.stack([draws[f"{name}_omega"].to_numpy() for name in problem.random], axis=-1)
    correlation = np.broadcast_to(np.eye(omega.shape[-1]), (*omega.shape, omega.shape[-1])).copy()
    if problem.correlated:
        block = [problem.random.index(name) for name in problem.correlated]
        correlation[..., np.array(block)[:, None], block] = draws["effect_correlation"].to_numpy()
    return correlation * omega[..., None] * omega[..., None, :]

"""An outcome's joint posterior from the draws of a kinetic fit: its likelihood averaged over each subject's exposure.

Given the population, subjects are independent, so the likelihood of the outcomes is a product over subjects of averages over
their exposures (`carkinetics.fit.conditional`). Coefficients and populations are then drawn together by importance sampling: the
product has few dimensions, where a weight for whole draws of all subjects would have as many as there are subjects.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from carkinetics.fit.pareto import GOOD_K, smooth
from carkinetics.response.bayes import BLOCK, Regression
from carkinetics.response.pooled import POOLED
from carkinetics.response.proposals import ENOUGH, LEAST, find_modes, weigh_proposals

Floats = NDArray[np.float64]
PROPOSALS = 1000


@dataclass(frozen=True, eq=False)
class MarginalDraws:
    """Draws from the joint posterior of coefficients, population and exposures.

    Parameters
    ----------
    theta : ndarray, shape (n, n_parameters)
        Coefficients, on their free scale.
    rows : ndarray of int, shape (n,)
        Draws of the population.
    exposures : ndarray, shape (n_some, n_rows)
        Exposures of the regression's rows, of some of the draws.
    ess : float
        Effective sample size of the proposals.
    k : float
        Pareto's k of the weights, the worse of those of coefficients and of populations.
    exposure_ess : float
        Effective sample size of a subject's exposures given a population: the least over subjects of its mean.
    """

    theta: Floats
    rows: NDArray[np.int64]
    exposures: Floats
    ess: float
    k: float
    exposure_ess: float

    @property
    def trusted(self) -> bool:
        """Whether the weights may be used."""
        return bool(self.k <= GOOD_K and self.ess >= ENOUGH and self.exposure_ess >= LEAST)


def sample_marginal(
    regression: Regression, exposures: Floats, subject: NDArray[np.int64], weights: Floats, rng: np.random.Generator
) -> MarginalDraws:  # fmt: skip
    """Draw from the joint posterior.

    Parameters
    ----------
    regression : Regression
        What relates outcome and exposure.
    exposures : ndarray, shape (n_draws, n_rows)
        On the predictor's scale.
    subject : ndarray of int, shape (n_rows,)
        Whose each row is; ascending.
    weights : ndarray, shape (n_subjects, n_draws, n_draws)
        From `carkinetics.fit.conditional.conditional_weights`.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    MarginalDraws
        About 4000.

    Raises
    ------
    FitError
        If the mode is not found.
    """
    average = weights.mean(axis=1, keepdims=True)

    def density(theta: Floats) -> Floats:
        return _log_posterior(regression, exposures, subject, average, theta[0])[None, :, 0]

    mode, root = find_modes(density, regression, regression.priors[None, :, 0])
    each: list[Floats] = []

    def over_populations(theta: Floats) -> Floats:
        each.append(_log_posterior(regression, exposures, subject, weights, theta[0]))
        return np.asarray(logsumexp(each[-1], axis=1))[None]

    # The mode is that of the average population, where it costs little; proposals are weighed at every one.
    proposed, found = weigh_proposals(over_populations, mode, root, PROPOSALS, rng)
    at_each = np.concatenate(each)
    log_weight = at_each - logsumexp(at_each, axis=1, keepdims=True) + found[0][:, None]
    of_theta, of_population = logsumexp(log_weight, axis=1), logsumexp(log_weight, axis=0)
    k = max(smooth(one)[1] for one in (of_theta, of_population))
    share = np.exp(of_theta - logsumexp(of_theta))
    flat = np.exp(log_weight - logsumexp(log_weight)).ravel()
    picked = rng.choice(flat.size, size=POOLED, p=flat / flat.sum())
    theta, rows = proposed[0][picked // weights.shape[1]], picked % weights.shape[1]
    some = rng.choice(POOLED, size=min(500, POOLED), replace=False)
    drawn = _draw_exposures(regression, exposures, subject, weights, theta[some], rows[some], rng)
    exposure_ess = float((1 / (weights**2).sum(axis=2)).mean(axis=1).min())
    return MarginalDraws(theta, rows, drawn, float(1 / (share**2).sum()), k, exposure_ess)


def _by_subject(
    regression: Regression, exposures: Floats, subject: NDArray[np.int64], theta: Floats
) -> Floats:
    """Log-likelihood of each subject at each of its exposures, shape (m, n_draws, n_subjects)."""
    parts = [theta[:, k, None, None] for k in range(theta.shape[1])]
    n = len(regression.family.auxiliary)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        eta = regression.predictor(parts[n:], exposures[None])
        each = np.asarray(regression.family.log_likelihood(parts[:n], eta))
    each = np.nan_to_num(each, nan=-np.inf, posinf=-np.inf)
    starts = np.flatnonzero(np.diff(subject, prepend=-1))
    return each if len(starts) == len(subject) else np.add.reduceat(each, starts, axis=-1)


def _log_posterior(
    regression: Regression, exposures: Floats, subject: NDArray[np.int64], weights: Floats, theta: Floats
) -> Floats:
    """Log density of coefficients (m, p) at each population, shape (m, n_populations)."""
    chunk = max(1, int(BLOCK / exposures.size))
    turned = weights.transpose(0, 2, 1)
    found = []
    for at in range(0, len(theta), chunk):
        each = _by_subject(regression, exposures, subject, theta[at : at + chunk])
        best = each.max(axis=1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.nan_to_num(np.exp(each - best)).transpose(2, 0, 1)
            found.append((np.log(ratio @ turned) + best[:, 0].T[:, :, None]).sum(axis=0))
    mean, sd = regression.priors.T
    prior = (-0.5 * ((theta - mean) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)).sum(axis=-1)
    return np.nan_to_num(np.concatenate(found) + prior[:, None], nan=-np.inf)


def _draw_exposures(
    regression: Regression, exposures: Floats, subject: NDArray[np.int64], weights: Floats, theta: Floats, rows: NDArray[np.int64],
    rng: np.random.Generator,
) -> Floats:  # fmt: skip
    """Exposures given coefficients, population and outcome, shape (n, n_rows)."""
    drawn = np.empty((len(theta), exposures.shape[1]))
    for j in range(len(theta)):
        each = _by_subject(regression, exposures, subject, theta[j : j + 1])[0]
        log_weight = each + np.log(np.maximum(weights[:, rows[j]].T, 1e-300))
        share = np.cumsum(np.exp(log_weight - log_weight.max(axis=0)), axis=0)
        at = (share < share[-1] * rng.random(share.shape[1])).sum(axis=0)
        drawn[j] = exposures[at[subject], np.arange(exposures.shape[1])]
    return drawn

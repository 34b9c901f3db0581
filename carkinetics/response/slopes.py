"""Slopes of the power model that differ between groups, partially pooled.

ln(metric) = a_g + b_g ln(dose) + error, with an intercept of its own for every group under a flat prior, b_g ~ Normal(slope, tau),
a flat prior for the common slope and a half-normal one for tau. A group is a part of the subjects (a product), with one residual
SD for all; or a measurement of the same subjects (an assay), with a residual covariance between measurements.

How it is drawn
---------------
Given the residual spread, the groups' least-squares slopes are a normal sample with a known covariance C, so that the common
slope and all b_g integrate out exactly. What is left is tau and the spread: nodes at quantiles of the prior of tau and of the
residual variance, moved at random from draw to draw, are weighed by that marginal density, and one is chosen. The common slope
and the b_g then come from their normal distributions. One draw for every draw of the exposures; nothing has to converge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from carkinetics.errors import DataError
from carkinetics.exposure.area import Floats

SPREAD_NODES, TAU_NODES = 16, 32
CHUNK = 500  # draws at a time: bounds the memory to some 30 MB
SAME = 1e-9  # smallest eigenvalue of a correlation that still counts as more than one measurement
SMALLEST = 1e-20  # sum of squares of exposures that lie exactly on their lines


@dataclass(frozen=True, eq=False)
class SlopeDraws:
    """Draws of the hierarchical power model.

    Parameters
    ----------
    slope, intercept, tau, residual_sd : ndarray, shape (n_draws,)
        Common slope; intercept of the line through the subjects' mean with that slope; SD of slopes between groups; SD
        of the log exposure within them (root mean square where groups have their own).
    slopes, intercepts : ndarray, shape (n_draws, n_groups)
        Of the groups.
    """

    slope: Floats
    intercept: Floats
    tau: Floats
    residual_sd: Floats
    slopes: Floats
    intercepts: Floats


def slopes_by_part(
    log_dose: Floats, log_values: Floats, group: np.ndarray, tau_scale: float, rng: np.random.Generator
) -> SlopeDraws:
    """Slopes of groups of different subjects, with one residual SD.

    Parameters
    ----------
    log_dose : ndarray, shape (n,)
        Log dose of each subject.
    log_values : ndarray, shape (n_draws, n)
        Log exposure.
    group : ndarray of int, shape (n,)
        Group of each subject, from 0. One with a single dose level has no slope of its own to add; its draws are of the population.
    tau_scale : float
        Scale of the half-normal prior of tau.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    SlopeDraws
        One draw per row of ``log_values``.

    Raises
    ------
    DataError
        If no group has two dose levels, or there are no more subjects than coefficients.
    """
    member = np.eye(group.max() + 1)[group]
    size = member.sum(axis=0)
    x_mean, y_mean = (log_dose @ member) / size, (log_values @ member) / size
    x = log_dose - x_mean[group]
    squares = (x**2) @ member
    known = squares > 1e-12 * size
    degrees = len(log_dose) - len(size) - int(known.sum())
    if not known.any() or degrees < 1:
        raise DataError(
            f"{len(log_dose)} subjects in {len(size)} groups, {int(known.sum())} of them with two dose levels; expected a group with "
            "two dose levels, and more subjects than intercepts and slopes"
        )
    own = np.where(known, ((log_values * x) @ member) / np.where(known, squares, 1.0), 0.0)
    residual = log_values - y_mean[:, group] - own[:, group] * x
    rest = np.maximum((residual**2).sum(axis=1), SMALLEST)
    variance, weight = _variances(own[:, known], squares[known], rest, degrees, rng)
    pooled = _pooled(own[:, known], variance[..., None] / squares[known], None, weight, tau_scale, rng)
    mean, tau, chosen, inner = pooled
    slopes = mean[:, None] + tau[:, None] * rng.standard_normal(own.shape)
    slopes[:, known] = inner
    sd = np.sqrt(variance[np.arange(len(own)), chosen])
    intercepts = y_mean - slopes * x_mean + (sd[:, None] / np.sqrt(size)) * rng.standard_normal(slopes.shape)
    share = size / size.sum()
    return _with_common_line(mean, tau, sd, slopes, intercepts, x_mean, share)


def _variances(
    own: Floats, squares: Floats, rest: Floats, degrees: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Nodes for the residual variance, shape (n_draws, SPREAD_NODES), and the log of their weights before the slopes speak.

    Half of them are of the posterior from separate lines, half of that from parallel ones: where few residuals are left, slopes
    that agree say much of the residual variance, too.
    """
    parallel = (own @ squares) / squares.sum()
    more = ((own - parallel[:, None]) ** 2) @ squares
    laws = ((degrees, rest[:, None]), (degrees + len(squares) - 1, (rest + more)[:, None]))
    half = SPREAD_NODES // 2
    nodes = (np.arange(half) + rng.random((2, len(own), 1))) / half
    variance = np.concatenate(
        [scale / stats.chi2.ppf(node, nu) for node, (nu, scale) in zip(nodes, laws, strict=True)], axis=1
    )
    first, second = (
        nu / 2 * np.log(scale / 2)
        - special.gammaln(nu / 2)
        - nu / 2 * np.log(variance)
        - scale / (2 * variance)
        for nu, scale in laws
    )
    return variance, first - np.logaddexp(first, second)


def slopes_by_measurement(
    log_dose: Floats, log_values: Floats, tau_scale: float, rng: np.random.Generator
) -> SlopeDraws:
    """Slopes of several measurements of the same subjects, with a residual covariance between them.

    Parameters
    ----------
    log_dose : ndarray, shape (n,)
        Log dose of each subject.
    log_values : ndarray, shape (n_draws, n_groups, n)
        Log exposure by each measurement; none missing.
    tau_scale : float
        Scale of the half-normal prior of tau.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    SlopeDraws
        One draw per first index of ``log_values``.

    Raises
    ------
    DataError
        If there are too few subjects for the covariance, or residuals are copies of each other.

    Notes
    -----
    The covariance has Jeffreys' prior, so that its posterior given the residuals is an inverse Wishart distribution with n − 2
    degrees of freedom (Gelman 2013, section 14.2, has the case of one measurement).
    """
    n_draws, groups, n = log_values.shape
    degrees = n - 2
    if degrees < groups:
        raise DataError(f"{n} subjects with {groups} measurements each; expected at least {groups + 2}")
    centre = float(log_dose.mean())
    x = log_dose - centre
    squares = float(x @ x)
    y_mean, own = log_values.mean(axis=2), (log_values @ x) / squares
    residual = log_values - y_mean[..., None] - own[..., None] * x
    scatter = residual @ np.swapaxes(residual, 1, 2)
    size = np.sqrt(np.maximum(np.diagonal(scatter, axis1=1, axis2=2), SMALLEST))
    correlation = scatter / size[:, :, None] / size[:, None, :]
    if np.linalg.eigvalsh(correlation).min() < SAME:
        raise DataError(
            "the measurements differ by one factor in all subjects, or lie on lines: their residuals have no covariance"
        )
    covariance = _inverse_wishart(scatter, degrees, rng)
    values, vectors = np.linalg.eigh(covariance)
    mean, tau, chosen, slopes = _pooled(
        own, values / squares, vectors, np.zeros(values.shape[:2]), tau_scale, rng
    )
    kept = covariance[np.arange(n_draws), chosen]
    away = np.einsum("dij,dj->di", np.linalg.cholesky(kept), rng.standard_normal((n_draws, groups)))
    intercepts = y_mean + away / np.sqrt(n) - slopes * centre
    sd = np.sqrt(np.trace(kept, axis1=1, axis2=2) / groups)
    share = np.full(groups, 1 / groups)
    return _with_common_line(mean, tau, sd, slopes, intercepts, np.full(groups, centre), share)


def _with_common_line(
    mean: Floats,
    tau: Floats,
    sd: Floats,
    slopes: Floats,
    intercepts: Floats,
    x_mean: Floats,
    share: Floats,
) -> SlopeDraws:
    """Add the line with the common slope through the mean of all subjects, each on the line of its group."""
    height = (intercepts + slopes * x_mean) @ share
    return SlopeDraws(mean, height - mean * float(x_mean @ share), tau, sd, slopes, intercepts)


def _inverse_wishart(scatter: Floats, degrees: int, rng: np.random.Generator) -> Floats:
    """Draws of covariances, shape (n_draws, SPREAD_NODES, k, k): L (A A')⁻¹ L' by Bartlett's decomposition A."""
    n_draws, k = scatter.shape[:2]
    shape = (n_draws, SPREAD_NODES)
    # Scatter is L L'. If A A' is a standard Wishart matrix, the precision L'⁻¹ A A' L⁻¹ has the Wishart law that is wanted.
    factor = np.zeros((*shape, k, k))
    for i in range(k):
        factor[..., i, i] = np.sqrt(rng.chisquare(degrees - i, shape))
        factor[..., i, :i] = rng.standard_normal((*shape, i))
    lower = np.linalg.cholesky(scatter)[:, None]
    root = np.swapaxes(np.linalg.solve(factor, np.broadcast_to(np.swapaxes(lower, 2, 3), factor.shape)), 2, 3)
    return root @ np.swapaxes(root, 2, 3)


def _pooled(
    own: Floats,
    values: Floats,
    vectors: Floats | None,
    given: Floats,
    tau_scale: float,
    rng: np.random.Generator,
) -> tuple[Floats, Floats, np.ndarray, Floats]:
    """Common slope, tau, the chosen spread and the groups' slopes, given the eigensystems of the covariances of ``own``.

    ``own`` has shape (n_draws, k), ``values`` (n_draws, n_spreads, k), ``vectors`` (n_draws, n_spreads, k, k) or None for axes, ``given`` (n_draws,
    n_spreads): the log weight of each spread before the slopes speak.
    """
    parts = [
        _pooled_chunk(
            own[at : at + CHUNK],
            values[at : at + CHUNK],
            None if vectors is None else vectors[at : at + CHUNK],
            given[at : at + CHUNK],
            tau_scale,
            rng,
        )
        for at in range(0, len(own), CHUNK)
    ]
    mean, tau, chosen, slopes = (np.concatenate(part) for part in zip(*parts, strict=True))
    return mean, tau, chosen, slopes


def _pooled_chunk(
    own: Floats,
    values: Floats,
    vectors: Floats | None,
    given: Floats,
    tau_scale: float,
    rng: np.random.Generator,
) -> tuple[Floats, Floats, np.ndarray, Floats]:
    n, k = own.shape
    if vectors is None:
        y, one = np.broadcast_to(own[:, None], values.shape), np.ones(values.shape)
    else:  # in the covariance's own axes everything is independent
        y, one = np.einsum("dskj,dk->dsj", vectors, own), vectors.sum(axis=2)
    nodes = (np.arange(TAU_NODES) + rng.random((n, 1))) / TAU_NODES
    tau = tau_scale * special.ndtri(0.5 + nodes / 2)
    total = values[:, :, None] + tau[:, None, :, None] ** 2
    precision = 1 / total
    y, one = y[:, :, None], one[:, :, None]
    weight = (one**2 * precision).sum(axis=-1)
    mean = (one * y * precision).sum(axis=-1) / weight
    fit = ((y - mean[..., None] * one) ** 2 * precision).sum(axis=-1)
    density = given[..., None] - 0.5 * (np.log(total).sum(axis=-1) + np.log(weight) + fit)
    flat = density.reshape(n, -1)
    below = np.cumsum(np.exp(flat - flat.max(axis=1, keepdims=True)), axis=1)
    row, best = np.arange(n), (below < rng.random((n, 1)) * below[:, -1:]).sum(axis=1)
    spread, node = best // TAU_NODES, best % TAU_NODES
    common = mean[row, spread, node] + rng.standard_normal(n) / np.sqrt(weight[row, spread, node])
    kept = tau[row, node]
    own_variance, y, one = values[row, spread], y[row, spread, 0], one[row, spread, 0]
    pull = kept[:, None] ** 2 / (kept[:, None] ** 2 + own_variance)
    inner = common[:, None] * one * (1 - pull) + pull * y
    inner = inner + np.sqrt(own_variance * pull) * rng.standard_normal((n, k))
    slopes = inner if vectors is None else np.einsum("dkj,dj->dk", vectors[row, spread], inner)
    return common, kept, spread, slopes

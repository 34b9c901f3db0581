"""Modes of log densities, all at once, and proposals around them with importance weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp

from carkinetics.errors import FitError

if TYPE_CHECKING:
    from carkinetics.response.bayes import Regression

Floats = NDArray[np.float64]
STEP = 1e-3  # of finite differences, on parameters of order 1
NEWTON, GRADIENT = 60, 1e-4
T_DF, WIDER = 5.0, 1.15  # heavier and wider tails than the posterior's
# Rounds of proposals, each twice as many as the last, until they are worth so many draws; fewer than the least are refused.
ROUNDS, ENOUGH, LEAST = 5, 50, 8


def weigh_proposals(
    density: Callable[[Floats], Floats], mode: Floats, root: Floats, size: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Proposals around modes with their importance weights; where these are poor, more around where the weight is.

    Parameters
    ----------
    density : callable
        Log densities, shape (k, m), of parameters of shape (k, m, p).
    mode : ndarray, shape (k, p)
        Centres.
    root : ndarray, shape (k, p, p)
        Square roots of covariances.
    size : int
        Proposals around each.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    theta : ndarray, shape (k, m, p)
        Proposals, each centre its own: shared ones would share their error.
    log_weight : ndarray, shape (k, m)
        Log density less that of the mixture of all proposals (Veach E, Guibas LJ. SIGGRAPH 1995:419-428).
    """
    centres = [(mode, root)]
    drawn: list[Floats] = []
    values: list[Floats] = []
    for _ in range(ROUNDS):
        drawn.append(_draw_t(*centres[-1], size * 2 ** len(drawn), rng))
        values.append(density(drawn[-1]))
        theta, value = np.concatenate(drawn, axis=1), np.concatenate(values, axis=1)
        share = np.array([part.shape[1] for part in drawn])[:, None, None] / theta.shape[1]
        each = np.stack([_log_t(theta, *centre) for centre in centres])
        log_weight = value - logsumexp(each, axis=0, b=share)
        weight = np.exp(log_weight - logsumexp(log_weight, axis=1, keepdims=True))
        if (1 / (weight**2).sum(axis=1)).min() > ENOUGH:
            break
        mean = np.einsum("km,kmi->ki", weight, theta)
        away = theta - mean[:, None]
        spread = np.einsum("km,kmi,kmj->kij", weight, away, away)
        ridge = 1e-3 * np.einsum("kij,klj->kil", root, root)
        centres.append((mean, np.linalg.cholesky(spread + ridge)))
    return theta, log_weight


def _draw_t(mode: Floats, root: Floats, size: int, rng: np.random.Generator) -> Floats:
    """Draws of multivariate t distributions, shape (k, size, p)."""
    stretch = np.sqrt(T_DF / rng.chisquare(T_DF, (len(mode), size)))[..., None]
    t = rng.standard_normal((len(mode), size, mode.shape[1])) * stretch
    return np.asarray(mode[:, None] + WIDER * np.einsum("kij,kmj->kmi", root, t))


def _log_t(theta: Floats, mode: Floats, root: Floats) -> Floats:
    """Their log densities, shape (k, m)."""
    p = mode.shape[1]
    t = np.einsum("kij,kmj->kmi", np.linalg.inv(root), theta - mode[:, None]) / WIDER
    constant = gammaln((T_DF + p) / 2) - gammaln(T_DF / 2) - 0.5 * p * np.log(T_DF * np.pi)
    log_t = constant - 0.5 * (T_DF + p) * np.log1p((t**2).sum(axis=-1) / T_DF)
    return np.asarray(log_t - np.linalg.slogdet(root)[1][:, None] - p * np.log(WIDER))


def find_modes(
    density: Callable[[Floats], Floats], regression: Regression, start: Floats
) -> tuple[Floats, Floats]:
    """Modes of several posteriors of one regression at once, by damped Newton steps.

    Parameters
    ----------
    density : callable
        Log densities, shape (k, m), of parameters of shape (k, m, p).
    regression : Regression
        Whose priors give the scales of the parameters.
    start : ndarray, shape (k, p)
        Where to begin.

    Returns
    -------
    mode : ndarray, shape (k, p)
        Of each.
    root : ndarray, shape (k, p, p)
        A square root of the covariance there.

    Raises
    ------
    FitError
        If one is not found.
    """
    # On scaled parameters: those of a number as outcome are in its unit.
    theta, scale = start.copy(), regression.sizes
    least = 1e-2 / (regression.priors[:, 1] / scale).max() ** 2
    value = density(theta[:, None])[:, 0]
    for _ in range(NEWTON):
        slope, bend = _derivatives(density, STEP * scale, theta)
        slope, bend = slope * scale, bend * scale[:, None] * scale
        eigenvalues, vectors = np.linalg.eigh(-bend)
        inverse = np.einsum("kij,kj,klj->kil", vectors, 1 / np.maximum(np.abs(eigenvalues), least), vectors)
        step = np.einsum("kij,kj->ki", inverse, slope)
        if (np.abs(slope * np.sqrt(np.einsum("kii->ki", inverse))) < GRADIENT).all():
            return theta, scale[:, None] * np.linalg.cholesky(inverse)
        step *= np.minimum(1.0, 4.0 / np.maximum(np.abs(step).max(axis=1, keepdims=True), 1e-12))
        length = np.ones(len(theta))
        for _ in range(12):
            tried = density((theta + length[:, None] * step * scale)[:, None])[:, 0]
            worse = tried < value - 1e-10 * (1 + np.abs(value))
            if not worse.any():
                break
            length[worse] /= 3
        theta = theta + np.where(worse, 0.0, length)[:, None] * step * scale
        value = np.where(worse, value, tried)
    raise FitError(
        f"{regression.family.name} regression: the mode of the posterior was not found in {NEWTON} steps"
    )


def _derivatives(density: Callable[[Floats], Floats], h: Floats, theta: Floats) -> tuple[Floats, Floats]:
    """Gradient (k, p) and Hessian (k, p, p) by central differences, all at once."""
    p = theta.shape[1]
    moves = [np.zeros(p)]
    unit = np.diag(h)
    moves += [sign * unit[i] for i in range(p) for sign in (1, -1)]
    pairs = [(i, j) for i in range(p) for j in range(i)]
    moves += [a * unit[i] + b * unit[j] for i, j in pairs for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
    value = density(theta[:, None] + np.array(moves))
    up, down = value[:, 1 : 2 * p + 1 : 2], value[:, 2 : 2 * p + 2 : 2]
    bend = np.zeros((len(theta), p, p))
    bend[:, np.arange(p), np.arange(p)] = (up + down - 2 * value[:, :1]) / h**2
    for k, (i, j) in enumerate(pairs):
        at = 2 * p + 1 + 4 * k
        cross = value[:, at] - value[:, at + 1] - value[:, at + 2] + value[:, at + 3]
        bend[:, i, j] = bend[:, j, i] = cross / (4 * h[i] * h[j])
    return (up - down) / (2 * h), bend

"""Posterior of a logistic intercept and slope, by exact quadrature over a grid.

Two coefficients need no Markov chain: the posterior is computed on a grid that is centred and turned by
its mode and curvature, and widened until nothing is left outside; draws are cells chosen by their mass and a
uniform place within. Both log-likelihood and log-prior are concave, so there is one mode.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from carkinetics.errors import FitError
from carkinetics.exposure.area import Floats

CELLS = 61
START = 4.0
# Log density at which the edge of the grid counts as empty: below 1 in a million of the mode.
EMPTY = -14.0


def _mode(x: Floats, y: NDArray[np.bool_], prior_sd: tuple[float, float]) -> tuple[Floats, Floats]:
    """Mode of the posterior and a square root of its covariance there."""
    design, precision = np.column_stack([np.ones_like(x), x]), np.diag(1 / np.square(prior_sd))
    beta = np.zeros(2)
    for _ in range(100):
        p = expit(design @ beta)
        hessian = (design.T * (p * (1 - p))) @ design + precision
        step = np.linalg.solve(hessian, design.T @ (y - p) - precision @ beta)
        beta = beta + step * min(1.0, 2.0 / max(np.abs(step).max(), 1e-300))
        if np.abs(step).max() < 1e-9:
            return beta, np.linalg.cholesky(np.linalg.inv(hessian))
    raise FitError("the mode of the logistic posterior was not found in 100 steps")


def _log_density(
    x: Floats, y: NDArray[np.bool_], prior_sd: tuple[float, float], a: Floats, b: Floats
) -> Floats:
    """Log posterior up to a constant, at intercepts ``a`` and slopes ``b``."""
    eta = a[..., None] + b[..., None] * x
    likelihood = eta[..., y].sum(axis=-1) - np.logaddexp(0, eta).sum(axis=-1)
    return np.asarray(likelihood - 0.5 * (a / prior_sd[0]) ** 2 - 0.5 * (b / prior_sd[1]) ** 2)


def _centres(low: Floats, high: Floats, cells: int) -> tuple[Floats, Floats]:
    """Cell centres of a box in two dimensions."""
    places = (np.arange(cells) + 0.5) / cells
    first, second = (low[i] + (high[i] - low[i]) * places for i in range(2))
    grid = np.meshgrid(first, second, indexing="ij")
    return np.asarray(grid[0]), np.asarray(grid[1])


def _box(density: Callable[[Floats, Floats], Floats]) -> tuple[Floats, Floats]:
    """Widen a box side by side until the density at its edges is empty."""
    low, high = np.full(2, -START), np.full(2, START)
    for _ in range(60):
        grid = density(*_centres(low, high, 25))
        relative = grid - grid.max()
        open_low = np.array([relative[0, :].max(), relative[:, 0].max()]) > EMPTY
        open_high = np.array([relative[-1, :].max(), relative[:, -1].max()]) > EMPTY
        if not (open_low.any() or open_high.any()):
            return low, high
        low, high = np.where(open_low, low * 1.4, low), np.where(open_high, high * 1.4, high)
    raise FitError("the logistic posterior does not end; a proper prior is needed")


def sample_coefficients(
    x: Floats, y: NDArray[np.bool_], prior_sd: tuple[float, float], size: int, rng: np.random.Generator
) -> Floats:
    """Draw intercepts and slopes from their posterior.

    Parameters
    ----------
    x : ndarray, shape (n,)
        Predictor.
    y : ndarray of bool, shape (n,)
        Events.
    prior_sd : tuple of float
        Standard deviations of the normal priors, mean 0, of intercept and slope.
    size : int
        Number of draws.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray, shape (size, 2)
        Intercept and slope.

    Raises
    ------
    FitError
        If the mode or the end of the posterior is not found.
    """
    mode, root = _mode(x, y, prior_sd)

    def density(first: Floats, second: Floats) -> Floats:
        a = mode[0] + root[0, 0] * first
        b = mode[1] + root[1, 0] * first + root[1, 1] * second
        return _log_density(x, y, prior_sd, a, b)

    low, high = _box(density)
    first, second = _centres(low, high, CELLS)
    log_mass = density(first, second).ravel()
    mass = np.exp(log_mass - log_mass.max())
    cells = rng.choice(mass.size, size=size, p=mass / mass.sum())
    place = np.column_stack([first.ravel()[cells], second.ravel()[cells]])
    place += (rng.random((size, 2)) - 0.5) * (high - low) / CELLS
    return mode + place @ root.T

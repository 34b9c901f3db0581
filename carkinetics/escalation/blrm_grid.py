"""A grid over the two parameters of a logistic curve, and distribution functions along it."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log, sqrt
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Grid:
    """Nodes in log beta (rows) and log alpha (columns).

    Parameters
    ----------
    la : ndarray, shape (columns,)
        log alpha, equally spaced.
    slope : ndarray, shape (rows,)
        beta at equally spaced log beta.
    x : ndarray, shape (doses,)
        Logarithm of dose over the reference.
    log_prior : ndarray, shape (rows, columns)
        Logarithm of the prior density, with earlier data in it, up to a constant.
    log_odds : ndarray, shape (doses, rows, columns)
        log(1 + odds) of a DLT by dose.
    """

    la: np.ndarray
    slope: np.ndarray
    x: np.ndarray
    log_prior: np.ndarray
    log_odds: np.ndarray
    # Where limits of intervals lie on the grid, found once for each.
    _places: dict[Any, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        x: tuple[float, ...],
        mean: tuple[float, float],
        sd: tuple[float, float],
        rho: float,
        earlier: tuple[tuple[float, float, float], ...] = (),
    ) -> Grid:
        """Grid over 6 standard deviations of the prior on either side; ``earlier`` has (x, n, DLTs), also fractions."""
        columns = _steps(sd[0], 0.08)
        rows = _steps(sd[1], 0.1)
        za, zb = np.linspace(-6, 6, columns), np.linspace(-6, 6, rows)
        la, slope = mean[0] + sd[0] * za, np.exp(mean[1] + sd[1] * zb)
        rest = (za[None, :] - rho * zb[:, None]) / sqrt(1 - rho**2)
        log_prior = -0.5 * (zb[:, None] ** 2 + rest**2)
        for at, n, dlt in earlier:
            eta = la + slope[:, None] * at
            log_prior += dlt * eta - n * np.logaddexp(0, eta)
        log_odds = np.logaddexp(0, la + slope[:, None] * np.array(x)[:, None, None])
        return cls(la, slope, np.array(x), log_prior, log_odds)

    def posterior(self, n: tuple[int, ...], dlt: tuple[int, ...]) -> np.ndarray:
        """Density at the nodes, up to a constant.

        Parameters
        ----------
        n, dlt : tuple of int
            Patients and DLTs by dose.

        Returns
        -------
        ndarray, shape (rows, columns)
            Its largest value is 1.
        """
        toxic = np.array(dlt, dtype=float)
        log_density = self.log_prior + toxic.sum() * self.la + (self.slope * (toxic @ self.x))[:, None]
        for count, log_odds in zip(n, self.log_odds, strict=True):
            if count:
                log_density -= count * log_odds
        log_density -= log_density.max()
        return np.asarray(np.exp(log_density, out=log_density))

    def moments(self, density: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the DLT probability by dose.

        Parameters
        ----------
        density : ndarray, shape (rows, columns)
            From `posterior`.

        Returns
        -------
        mean, sd : ndarray, shape (doses,)
            Those.
        """
        weights = density / density.sum()
        # log_odds is log(1 + odds) = -log(1 - p).
        p = -np.expm1(-self.log_odds)
        mean = np.einsum("rc,drc->d", weights, p)
        square = np.einsum("rc,drc->d", weights, (p - mean[:, None, None]) ** 2)
        return mean, np.sqrt(square)

    def below(self, density: np.ndarray, limits: tuple[float, ...], doses: tuple[int, ...]) -> np.ndarray:
        """Probability that the DLT probability of each dose is below each limit.

        Parameters
        ----------
        density : ndarray, shape (rows, columns)
            From `posterior`.
        limits : tuple of float
            DLT probabilities.
        doses : tuple of int
            Positions of doses.

        Returns
        -------
        ndarray, shape (limits, doses)
            Those probabilities.
        """
        step = self.la[1] - self.la[0]
        # Trapezoids, corrected by Euler-Maclaurin's next term, are the distribution function at the nodes to 4th order.
        area = np.cumsum(density, axis=1)
        area -= 0.5 * (density + density[:, :1])
        area[:, 1:-1] -= (density[:, 2:] - density[:, :-2]) / 24
        area[:, -1] += (density[:, -1] - density[:, -2]) / 12
        at, (h00, h10, h01, h11) = self._place(limits, doses, step)
        rows = np.arange(len(self.slope))
        share = (
            h00 * area[rows, at]
            + h10 * density[rows, at]
            + h01 * area[rows, at + 1]
            + h11 * density[rows, at + 1]
        )
        return np.asarray(share.sum(axis=-1) / area[:, -1].sum())

    def _place(self, limits: tuple[float, ...], doses: tuple[int, ...], step: float) -> Any:
        """Cells in which p meets the limits, shape (limits, doses, rows), and Hermite's weights within them."""
        if (limits, doses) not in self._places:
            eta = np.array([log(p / (1 - p)) if 0 < p < 1 else np.inf * (2 * p - 1) for p in limits])
            where = (eta[:, None, None] - self.slope * self.x[list(doses), None] - self.la[0]) / step
            where = np.clip(where, 0, len(self.la) - 1)
            at = np.minimum(where.astype(int), len(self.la) - 2)
            t = where - at
            hermite = (
                (1 + 2 * t) * (1 - t) ** 2,
                t * (1 - t) ** 2,
                t**2 * (3 - 2 * t),
                t**2 * (t - 1),
            )
            self._places[limits, doses] = at, hermite
        return self._places[limits, doses]


def _steps(sd: float, step: float) -> int:
    """Nodes over 12 standard deviations, not further apart than ``step`` or a tenth of one."""
    return 1 + int(np.ceil(12 * sd / min(step, sd / 10)))

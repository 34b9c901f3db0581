"""Families of outcomes: the log-likelihood of each kind, given a linear predictor.

Written once, for NumPy (many sets of coefficients at a time) and for PyTensor (in a joint model): ``xp`` is the library. A
family has auxiliary parameters on a free scale, among them every intercept; the predictor ``eta`` has none.

==========  =========================================  ============================================
family      outcome                                    auxiliary parameters
==========  =========================================  ============================================
binary      event or not, logit                        intercept
ordinal     grade, cumulative logit (proportional      first cut, logs of the gaps between cuts
            odds): logit P(Y > k) = eta - cut
continuous  number, normal                             intercept, log residual SD
count       count, negative binomial, log mean         intercept, log dispersion (variance = mean +
                                                       dispersion x mean^2)
weibull     time to an event, proportional hazards     log rate, log shape
piecewise   the same, hazard constant in each piece    log rate of each piece
==========  =========================================  ============================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Floats = NDArray[np.float64]
NUMPY = SimpleNamespace(
    exp=np.exp, expm1=np.expm1, log=np.log, log1p=np.log1p, abs=np.abs, maximum=np.maximum, gammaln=gammaln
)
WIDE = 10.0  # prior SD of an intercept, on the log odds, by Gelman 2008


class Family(Protocol):
    """A kind of outcome."""

    @property
    def name(self) -> str:
        """Of the family."""

    @property
    def auxiliary(self) -> tuple[str, ...]:
        """Names of the auxiliary parameters, on the natural scale."""

    @property
    def priors(self) -> Floats:
        """Mean and SD of their normal priors on the free scale, shape (n, 2)."""

    def log_likelihood(self, aux: Sequence[Any], eta: Any, xp: Any = NUMPY) -> Any:
        """Of every row; ``aux`` broadcast against ``eta``, shape (..., n_rows)."""

    def natural(self, aux: Floats, shift: Floats) -> dict[str, Floats]:
        """Auxiliary parameters (..., n) on the natural scale, after ``shift`` was added to the predictor of all rows."""


def _softplus(x: Any, xp: Any) -> Any:
    return xp.maximum(x, 0.0) + xp.log1p(xp.exp(-xp.abs(x)))


@dataclass(frozen=True, eq=False)
class Binary:
    """An outcome that happened or not.

    Parameters
    ----------
    y : ndarray of float, shape (n,)
        1 or 0.
    """

    y: Floats
    intercept_sd: float = WIDE
    name: str = "binary"
    auxiliary: tuple[str, ...] = ("intercept",)

    @property
    def priors(self) -> Floats:
        """See `Family`."""
        return np.array([[0.0, self.intercept_sd]])

    def log_likelihood(self, aux: Sequence[Any], eta: Any, xp: Any = NUMPY) -> Any:
        """See `Family`."""
        logit = aux[0] + eta
        return self.y * logit - _softplus(logit, xp)

    def natural(self, aux: Floats, shift: Floats) -> dict[str, Floats]:
        """See `Family`."""
        return {"intercept": aux[..., 0] + shift}


@dataclass(frozen=True, eq=False)
class Ordinal:
    """A grade, of ordered levels.

    Parameters
    ----------
    y : ndarray of int, shape (n,)
        0 to ``len(levels) - 1``.
    levels : tuple of str
        Names of the grades.
    """

    y: NDArray[np.int64]
    levels: tuple[str, ...]
    intercept_sd: float = WIDE
    name: str = "ordinal"

    @property
    def auxiliary(self) -> tuple[str, ...]:
        """See `Family`."""
        return tuple(f"cut[{level}]" for level in self.levels[1:])

    @property
    def priors(self) -> Floats:
        """See `Family`."""
        gaps = [[0.0, 1.5]] * (len(self.levels) - 2)
        return np.array([[0.0, self.intercept_sd], *gaps])

    def log_likelihood(self, aux: Sequence[Any], eta: Any, xp: Any = NUMPY) -> Any:
        """See `Family`."""
        # P(b < Y* <= a) = F(a) F(-b) (1 - exp(b - a)) for the logistic F: no difference of numbers near 1.
        total, cut, top = 0.0, aux[0], len(self.levels) - 1
        for k in range(top):
            total = total - (self.y == k) * _softplus(eta - cut, xp)
            total = total - (self.y == k + 1) * _softplus(cut - eta, xp)
            if k + 1 < top:
                gap = xp.exp(aux[k + 1])
                total = total + (self.y == k + 1) * xp.log(-xp.expm1(-gap))
                cut = cut + gap
        return total

    def natural(self, aux: Floats, shift: Floats) -> dict[str, Floats]:
        """See `Family`."""
        cuts = np.cumsum(np.concatenate([aux[..., :1], np.exp(aux[..., 1:])], axis=-1), axis=-1)
        return {name: cuts[..., k] - shift for k, name in enumerate(self.auxiliary)}


@dataclass(frozen=True, eq=False)
class Continuous:
    """A number with normal residuals.

    Parameters
    ----------
    y : ndarray, shape (n,)
        Values.
    """

    y: Floats
    name: str = "continuous"
    auxiliary: tuple[str, ...] = ("intercept", "residual_sd")

    @property
    def priors(self) -> Floats:
        """See `Family`."""
        spread = float(self.y.std()) or 1.0
        return np.array([[float(self.y.mean()), WIDE * spread], [np.log(spread), 1.5]])

    def log_likelihood(self, aux: Sequence[Any], eta: Any, xp: Any = NUMPY) -> Any:
        """See `Family`."""
        z = (self.y - aux[0] - eta) * xp.exp(-aux[1])
        return -0.5 * z * z - aux[1] - 0.5 * np.log(2 * np.pi)

    def natural(self, aux: Floats, shift: Floats) -> dict[str, Floats]:
        """See `Family`."""
        return {"intercept": aux[..., 0] + shift, "residual_sd": np.exp(aux[..., 1])}


@dataclass(frozen=True, eq=False)
class Count:
    """A count, more variable than Poisson's.

    Parameters
    ----------
    y : ndarray, shape (n,)
        Counts.
    """

    y: Floats
    name: str = "count"
    auxiliary: tuple[str, ...] = ("intercept", "dispersion")

    @property
    def priors(self) -> Floats:
        """See `Family`."""
        return np.array([[np.log(self.y.mean() + 0.5), 3.0], [0.0, 2.0]])

    def log_likelihood(self, aux: Sequence[Any], eta: Any, xp: Any = NUMPY) -> Any:
        """See `Family`."""
        log_mean, size = aux[0] + eta, xp.exp(-aux[1])
        above = _softplus(log_mean + aux[1], xp)  # log(1 + dispersion x mean)
        gammas = xp.gammaln(self.y + size) - xp.gammaln(size) - gammaln(self.y + 1)
        return gammas + self.y * (log_mean + aux[1] - above) - size * above

    def natural(self, aux: Floats, shift: Floats) -> dict[str, Floats]:
        """See `Family`."""
        return {"intercept": aux[..., 0] + shift, "dispersion": np.exp(aux[..., 1])}


@dataclass(frozen=True, eq=False)
class Weibull:
    """Time to an event with hazard rate x shape x (t/scale)^(shape - 1) x exp(eta), t counted in units of ``scale``.

    Parameters
    ----------
    start, stop : ndarray, shape (n,)
        Days between which a row is at risk.
    event : ndarray of float, shape (n,)
        1 if the event happens at ``stop``.
    scale : float
        Days.
    """

    start: Floats
    stop: Floats
    event: Floats
    scale: float
    name: str = "weibull"
    auxiliary: tuple[str, ...] = ("rate", "shape")

    @cached_property
    def log_time(self) -> tuple[Floats, Floats]:
        """Logs of start and stop in units of ``scale``; a start at 0 has the power 0 and not the log of nothing."""
        with np.errstate(divide="ignore"):
            start, stop = np.log(self.start / self.scale), np.log(self.stop / self.scale)
        return np.maximum(start, -1e3), stop

    @property
    def priors(self) -> Floats:
        """See `Family`."""
        return np.array([[0.0, 5.0], [0.0, 0.7]])

    def log_likelihood(self, aux: Sequence[Any], eta: Any, xp: Any = NUMPY) -> Any:
        """See `Family`."""
        shape, log_rate = xp.exp(aux[1]), aux[0] + eta
        start, stop = self.log_time
        at_event = log_rate + aux[1] + (shape - 1) * stop - np.log(self.scale)
        return self.event * at_event - xp.exp(log_rate) * (xp.exp(shape * stop) - xp.exp(shape * start))

    def natural(self, aux: Floats, shift: Floats) -> dict[str, Floats]:
        """See `Family`."""
        shape = np.exp(aux[..., 1])
        # The hazard is rate x shape x t^(shape - 1) with t in days.
        return {"rate": np.exp(aux[..., 0] + shift - shape * np.log(self.scale)), "shape": shape}

    def survival(self, aux: Floats, eta: Floats, days: Floats) -> Floats:
        """Probability of no event until each day, shape (..., n_days), for ``eta`` of shape (...)."""
        power = (days / self.scale) ** np.exp(aux[..., 1, None])
        return np.asarray(np.exp(-np.exp(aux[..., 0] + eta)[..., None] * power))


@dataclass(frozen=True, eq=False)
class Piecewise:
    """Time to an event with a hazard that is constant in each piece of time.

    Parameters
    ----------
    start, stop, event, scale
        As of `Weibull`.
    cuts : ndarray, shape (n_pieces - 1,)
        Days between pieces, ascending.
    """

    start: Floats
    stop: Floats
    event: Floats
    scale: float
    cuts: Floats
    name: str = "piecewise"

    @property
    def auxiliary(self) -> tuple[str, ...]:
        """See `Family`."""
        ends = [0.0, *self.cuts]
        return tuple(f"rate[from day {end:.3g}]" for end in ends)

    @property
    def priors(self) -> Floats:
        """See `Family`."""
        return np.tile([[0.0, 5.0]], (len(self.cuts) + 1, 1))

    def at_risk(self, start: Floats, stop: Floats) -> Floats:
        """Time at risk in each piece, in units of ``scale``, shape (n_pieces, n)."""
        low, high = np.array([0.0, *self.cuts]), np.array([*self.cuts, np.inf])
        inside = np.minimum(stop, high[:, None]) - np.maximum(start, low[:, None])
        return np.asarray(np.maximum(inside, 0.0) / self.scale)

    def log_likelihood(self, aux: Sequence[Any], eta: Any, xp: Any = NUMPY) -> Any:
        """See `Family`."""
        inside = self.at_risk(self.start, self.stop)
        piece = np.searchsorted(self.cuts, self.stop, side="left")
        total = 0.0
        for j in range(len(inside)):
            log_rate = aux[j] + eta
            total = total + self.event * (piece == j) * (log_rate - np.log(self.scale))
            total = total - xp.exp(log_rate) * inside[j]
        return total

    def natural(self, aux: Floats, shift: Floats) -> dict[str, Floats]:
        """See `Family`."""
        return {name: np.exp(aux[..., j] + shift) / self.scale for j, name in enumerate(self.auxiliary)}

    def survival(self, aux: Floats, eta: Floats, days: Floats) -> Floats:
        """See `Weibull.survival`."""
        inside = self.at_risk(np.zeros(len(days)), days)
        return np.asarray(np.exp(-np.exp(eta)[..., None] * (np.exp(aux) @ inside)))

"""A regression on exposure with weakly informative priors, and draws from its posterior for many exposures at once.

Conventions
-----------
A predictor is centred and scaled to standard deviation 0.5, by all draws of its values; its coefficient has a normal prior with mean 0
and standard deviation 2.5 (Gelman 2008; normal, because under separation a Cauchy prior leaves a posterior without a mean,
Ghosh 2018). Centre and scale are the same for every draw of the exposures, so the prior is.

For every draw of the exposures the posterior of the coefficients is drawn from by importance sampling: proposals of a t
distribution around the mode, found by Newton's method for all draws together. The mean weight is the marginal
likelihood of the outcome at these exposures.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logsumexp

from carkinetics.errors import FitError
from carkinetics.response.family import NUMPY, Family
from carkinetics.response.proposals import LEAST, find_modes, weigh_proposals

Floats = NDArray[np.float64]
SLOPE_SD = 2.5
FEWEST_PROPOSALS, PROPOSALS_PER_DRAW = 100, 2
BLOCK = 2e7  # numbers at a time
SHAPES = ("linear", "emax")


@dataclass(frozen=True, eq=False)
class Scale:
    """A predictor centred and scaled to standard deviation 0.5."""

    centre: float
    scale: float

    @classmethod
    def of(cls, values: Floats) -> Scale:
        """From its values, shape (n,) or several draws of them: estimates that shrink would make it too small."""
        return cls(float(values.mean()), float(2 * values.std(axis=-1, ddof=1).mean()))

    def __call__(self, values: Any) -> Any:
        """Values, or a tensor, on this scale."""
        return (values - self.centre) / self.scale


@dataclass(frozen=True, eq=False)
class Regression:
    """An outcome on exposure and other predictors.

    Parameters
    ----------
    family : Family
        Likelihood of the outcome.
    exposure : Scale
        Of the exposure.
    others : ndarray, shape (n_rows, n_others)
        What is adjusted for, as it is given.
    names : tuple of str
        Of these.
    shape : {"linear", "emax"}
        How the outcome follows exposure; ``"emax"``: slope x C / (EC50 + C), on log exposure.
    slope_sd : float
        Prior standard deviation of the coefficients on standardised predictors; times ``unit``, the spread of a number as outcome.
    """

    family: Family
    exposure: Scale
    others: Floats
    names: tuple[str, ...] = ()
    shape: str = "linear"
    slope_sd: float = SLOPE_SD
    unit: float = 1.0

    @cached_property
    def scales(self) -> list[Scale]:
        """Of what is adjusted for."""
        return [Scale.of(column) for column in self.others.T]

    @cached_property
    def standardised(self) -> Floats:
        """What is adjusted for, shape (n_rows, n_others)."""
        columns = [scale(column) for scale, column in zip(self.scales, self.others.T, strict=True)]
        return np.column_stack(columns) if columns else np.empty((len(self.others), 0))

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the free parameters, in order."""
        bend = ("log_ec50",) if self.shape == "emax" else ()
        return (*self.family.auxiliary, "slope", *bend, *self.names)

    @cached_property
    def priors(self) -> Floats:
        """Mean and SD of their normal priors, shape (n, 2)."""
        slope = self.slope_sd * self.unit
        bend = [[0.0, 1.0]] if self.shape == "emax" else []
        return np.array(
            [
                *self.family.priors,
                [0.0, slope * (2 if bend else 1)],
                *bend,
                *([[0.0, slope]] * len(self.names)),
            ]
        )

    @cached_property
    def sizes(self) -> Floats:
        """Order of magnitude of the free parameters, shape (n,): 1, but for those in the unit of a number."""
        in_unit = [name not in ("residual_sd", "log_ec50") for name in self.parameters]
        return np.where(in_unit, self.unit, 1.0)

    def predictor(self, theta: list[Any], x: Any, xp: Any = NUMPY) -> Any:
        """Linear predictor of the rows, without intercept.

        Parameters
        ----------
        theta : list
            Free parameters after the auxiliary ones, each broadcast against the rows.
        x : ndarray or tensor, shape (..., n_rows)
            Exposure on the predictor's scale.
        xp : namespace
            Of the array library.

        Returns
        -------
        ndarray or tensor, shape (..., n_rows)
            Its value.
        """
        z = self.exposure(x)
        if self.shape == "emax":
            slope, at, *rest = theta
            found = slope / (1 + xp.exp(self.exposure.scale * (at - z)))
        else:
            slope, *rest = theta
            found = slope * z
        for coefficient, column in zip(rest, self.standardised.T, strict=True):
            found = found + coefficient * column
        return found

    def log_posterior(self, theta: Floats, x: Floats) -> Floats:
        """Log density of likelihood and prior.

        Parameters
        ----------
        theta : ndarray, shape (n_draws, m, n_parameters)
            Coefficients for every draw of the exposures.
        x : ndarray, shape (n_draws, n_rows)
            Exposures.

        Returns
        -------
        ndarray, shape (n_draws, m)
            Of each; minus infinity where it cannot be computed.
        """
        n = len(self.family.auxiliary)
        parts = [theta[..., k, None] for k in range(theta.shape[-1])]
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            eta = self.predictor(parts[n:], x[:, None, :])
            total = np.sum(self.family.log_likelihood(parts[:n], eta), axis=-1)
        mean, sd = self.priors.T
        prior = (-0.5 * ((theta - mean) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)).sum(axis=-1)
        return np.asarray(np.nan_to_num(total + prior, nan=-np.inf, posinf=-np.inf))

    def natural(self, theta: Floats) -> pd.DataFrame:
        """Coefficients on the scales of the predictors and of the outcome.

        Parameters
        ----------
        theta : ndarray, shape (m, n_parameters)
            Free parameters.

        Returns
        -------
        pandas.DataFrame
            Auxiliary parameters, ``slope``, ``ec50`` with an Emax shape, and what is adjusted for.
        """
        n, names = len(self.family.auxiliary), self.parameters
        rest = {name: theta[:, n + k] for k, name in enumerate(names[n:])}
        shift = np.zeros(len(theta))
        columns: dict[str, Floats] = {}
        if self.shape == "emax":
            columns["slope"] = rest["slope"]
            columns["ec50"] = np.exp(self.exposure.centre + self.exposure.scale * rest["log_ec50"])
        else:
            columns["slope"] = rest["slope"] / self.exposure.scale
            shift = shift - columns["slope"] * self.exposure.centre
        for name, scale in zip(self.names, self.scales, strict=True):
            columns[name] = rest[name] / scale.scale
            shift = shift - columns[name] * scale.centre
        return pd.DataFrame(self.family.natural(theta[:, :n], shift) | columns)


@dataclass(frozen=True, eq=False)
class Posterior:
    """Draws from a regression's posterior for each draw of the exposures.

    Parameters
    ----------
    theta : ndarray, shape (n_draws, size, n_parameters)
        Free parameters.
    log_evidence : ndarray, shape (n_draws,)
        Log marginal likelihood of the outcome at each draw of the exposures.
    ess : ndarray, shape (n_draws,)
        Effective sample size of the proposals.
    """

    theta: Floats
    log_evidence: Floats
    ess: Floats


def sample_regression(
    regression: Regression, exposures: Floats, size: int, rng: np.random.Generator
) -> Posterior:
    """Draw coefficients for each draw of the exposures.

    Parameters
    ----------
    regression : Regression
        What relates them.
    exposures : ndarray, shape (n_draws, n_rows)
        On the predictor's scale.
    size : int
        Draws of the coefficients for each.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Posterior
        Draws and evidence.

    Raises
    ------
    FitError
        If a mode is not found, or proposals miss the posterior.
    """
    proposals = max(FEWEST_PROPOSALS, PROPOSALS_PER_DRAW * size)
    rows = exposures.shape[1]
    chunk = max(1, int(BLOCK / (proposals * rows)))
    start = _start(regression, exposures)
    blocks = [
        _sample_block(regression, exposures[at : at + chunk], start, size, proposals, rng)
        for at in range(0, len(exposures), chunk)
    ]
    parts = (np.concatenate(part) for part in zip(*blocks, strict=True))
    found = Posterior(*parts)
    if found.ess.min() < LEAST:
        raise FitError(
            f"{regression.family.name} regression: its posterior could not be drawn from (effective sample size {found.ess.min():.1f} at one of the "
            "exposures): are there fewer subjects than coefficients can be told from?"
        )
    return found


def _start(regression: Regression, exposures: Floats) -> Floats:
    """The mode at the mean of the exposures."""
    middle = exposures.mean(axis=0, keepdims=True)
    return find_modes(
        lambda theta: regression.log_posterior(theta, middle), regression, regression.priors[None, :, 0]
    )[0]


def _sample_block(
    regression: Regression, x: Floats, start: Floats, size: int, proposals: int, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    def density(theta: Floats) -> Floats:
        return regression.log_posterior(theta, x)

    mode, root = find_modes(density, regression, np.repeat(start, len(x), axis=0))
    theta, log_weight = weigh_proposals(density, mode, root, proposals, rng)
    proposals = theta.shape[1]
    evidence = logsumexp(log_weight, axis=1) - np.log(proposals)
    weight = np.exp(log_weight - logsumexp(log_weight, axis=1, keepdims=True))
    places = (rng.random(len(x))[:, None] + np.arange(size)) / size  # systematic: least noise
    # In the order of the slope, so that its distribution among the picked is that among the proposals to one in `size`.
    order = np.argsort(theta[..., len(regression.family.auxiliary)], axis=1)
    theta = np.take_along_axis(theta, order[..., None], axis=1)
    cumulated = np.cumsum(np.take_along_axis(weight, order, axis=1), axis=1)
    picked = np.stack(
        [np.searchsorted(c / c[-1], at, side="right") for c, at in zip(cumulated, places, strict=True)]
    )
    picked = rng.permuted(np.minimum(picked, proposals - 1), axis=1)
    return (
        np.take_along_axis(theta, picked[..., None], axis=1),
        np.asarray(evidence),
        1 / (weight**2).sum(axis=1),
    )

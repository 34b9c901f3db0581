"""The one-parameter curves of a CRM, and sums over their parameter."""

from __future__ import annotations

from functools import lru_cache
from math import exp, log
from typing import Literal, NamedTuple

import numpy as np

CurveModel = Literal["empiric", "logistic"]
MODELS = ("empiric", "logistic")


class Grid(NamedTuple):
    """Nodes of b, their weights under the prior, and the logarithms that a likelihood needs."""

    b: np.ndarray  # shape (nodes,)
    prior: np.ndarray  # shape (nodes,)
    x: tuple[float, ...]
    log_p: np.ndarray  # shape (doses, nodes)
    log_not: np.ndarray  # shape (doses, nodes): log(1 - p)

    def posterior(
        self, n: tuple[int, ...], dlt: tuple[int, ...], waiting: tuple[tuple[int, float], ...] = ()
    ) -> np.ndarray:
        """Weights of the nodes that add up to 1; a patient who waits adds log(1 - weight p)."""
        toxic = np.array(dlt, dtype=float)
        log_likelihood = toxic @ self.log_p + (np.array(n, dtype=float) - toxic) @ self.log_not
        for level, weight in waiting:
            log_likelihood += np.log1p(-weight * np.exp(self.log_p[level - 1]))
        weights = self.prior * np.exp(log_likelihood - log_likelihood.max())
        return np.asarray(weights / weights.sum())


@lru_cache(maxsize=1_000)
def grid_of(
    skeleton: tuple[float, ...],
    model: CurveModel,
    prior_sd: float,
    intercept: float,
    breaks: tuple[float, ...],
) -> Grid:
    """Gauss-Legendre panels over 8 standard deviations of the prior on either side, divided at the breaks too."""
    end = 8 * prior_sd
    inner = [at for at in breaks if -end < at < end]
    edges = np.unique([*np.linspace(-end, end, 1 + int(np.ceil(2 * end / 0.4))), *inner])
    nodes, gauss = np.polynomial.legendre.leggauss(10)
    half = np.diff(edges)[:, None] / 2
    b = ((edges[:-1, None] + half) + half * nodes).ravel()
    prior = (half * gauss).ravel() * np.exp(-0.5 * (b / prior_sd) ** 2)
    x = tuple(scaled(s, model, intercept) for s in skeleton)
    slope = np.exp(b) * np.array(x)[:, None]
    if model == "empiric":
        log_p, log_not = slope, np.log(-np.expm1(slope))
    else:
        log_p, log_not = -np.logaddexp(0, -intercept - slope), -np.logaddexp(0, intercept + slope)
    return Grid(b, prior, x, log_p, log_not)


def scaled(s: float, model: CurveModel, intercept: float) -> float:
    """The dose on the scale of the model: where p is s at b = 0."""
    return log(s) if model == "empiric" else log(s / (1 - s)) - intercept


def curve(b: float, x: float, model: CurveModel, intercept: float) -> float:
    """DLT probability at b."""
    if model == "empiric":
        return exp(exp(b) * x)
    return 1 / (1 + exp(min(-intercept - exp(b) * x, 700.0)))


def b_at(p: float, x: float, model: CurveModel, intercept: float) -> float:
    """Where the DLT probability is p; infinite where no b gives it."""
    if p <= 0:
        return np.inf
    ratio = (0.0 if p >= 1 else scaled(p, model, intercept)) / x
    return log(ratio) if ratio > 0 else -np.inf

"""Logistic regression by maximum likelihood and by Firth's penalised likelihood.

Small trials separate: all events lie on one side of a line. Then no maximum likelihood estimate exists, and
what an optimiser returns only tells when it stopped. Separation is decided exactly, by a linear programme,
before anything is fitted. Firth's estimate always exists.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linprog
from scipy.special import expit, xlogy

from carkinetics.errors import DataError, FitError
from carkinetics.exposure.area import Floats
from carkinetics.response.terms import standardised

MAXIMUM_STEPS = 2000  # with Firth's penalty and separated groups each step gains one digit or less


@dataclass(frozen=True, eq=False)
class LogisticFit:
    """Coefficients of logit P(event) = b0 + b1 x1 + ….

    Parameters
    ----------
    coefficients : ndarray, shape (n_columns + 1,)
        Intercept first; NaN when the estimate does not exist.
    covariance : ndarray, shape (n_columns + 1, n_columns + 1)
        Inverse of the Fisher information at the estimate.
    minus_two_ll : float
        −2 log-likelihood of the single events (no binomial coefficient, no penalty).
    deviance : float
        −2 log-likelihood ratio against the saturated model of the rows.
    separated : bool
        Whether the events are separated by the predictors.
    message : str
        What the reader should know, else empty.
    """

    coefficients: Floats
    covariance: Floats
    minus_two_ll: float
    deviance: float
    separated: bool
    message: str = ""

    @property
    def se(self) -> Floats:
        """Standard errors of the coefficients."""
        return np.sqrt(np.diag(self.covariance))


def _checked(x: ArrayLike, y: ArrayLike, trials: ArrayLike | None) -> tuple[Floats, Floats, Floats]:
    """Design matrix with intercept, events and trials."""
    predictors = np.asarray(x, dtype=float)
    predictors = predictors[:, None] if predictors.ndim == 1 else predictors
    events = np.asarray(y, dtype=float)
    counts = np.ones_like(events) if trials is None else np.asarray(trials, dtype=float)
    if predictors.ndim != 2 or events.shape != (len(predictors),) or counts.shape != events.shape:
        raise DataError(
            f"x has shape {predictors.shape} and y {events.shape}; expected as many rows as events"
        )
    if not (np.isfinite(predictors).all() and np.isfinite(events).all()):
        raise DataError("x or y has missing or infinite values; leave those subjects out first")
    if np.any(events < 0) or np.any(events > counts):
        raise DataError(
            f"y runs from {events.min():g} to {events.max():g}; expected 0 to the number of trials (1)"
        )
    design = np.column_stack([np.ones(len(events)), predictors])
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise DataError("the predictors are constant or depend on each other; a slope cannot be estimated")
    return design, events, counts


def is_separated(x: ArrayLike, y: ArrayLike, trials: ArrayLike | None = None) -> bool:
    """Decide whether a line separates events from non-events, completely or up to ties.

    Parameters
    ----------
    x : array_like, shape (n,) or (n, n_columns)
        Predictors.
    y : array_like, shape (n,)
        Number of events.
    trials : array_like, shape (n,), optional
        Number of trials, by default 1.

    Returns
    -------
    bool
        True when no maximum likelihood estimate exists.

    Raises
    ------
    DataError
        If the arrays do not fit together.

    References
    ----------
    .. [1] Albert A, Anderson JA. Biometrika 1984;71:1-10.
    """
    design, events, counts = _checked(x, y, trials)
    if design.shape[1] == 2:
        return _a_point_separates(design[:, 1], events, counts)
    design = design / np.abs(design).max(axis=0)
    signed = np.vstack([design[events > 0], -design[events < counts]])
    best = linprog(-signed.sum(axis=0), A_ub=-signed, b_ub=np.zeros(len(signed)), bounds=(-1, 1))
    return bool(-best.fun > 1e-7)


def _a_point_separates(x: Floats, events: Floats, counts: Floats) -> bool:
    """The same for one predictor, where no linear program is needed."""
    with_event, without = x[events > 0], x[events < counts]
    if not (len(with_event) and len(without)):
        return True
    return bool(with_event.min() >= without.max() or without.min() >= with_event.max())


def _information(design: Floats, counts: Floats, p: Floats) -> Floats:
    """Fisher information."""
    return (design.T * (counts * p * (1 - p))) @ design


def _log_likelihood(eta: Floats, events: Floats, counts: Floats) -> float:
    """Bernoulli log-likelihood, without overflow."""
    return float(events @ eta - counts @ np.logaddexp(0, eta))


def _newton(design: Floats, events: Floats, counts: Floats, *, firth: bool) -> Floats:
    """Climb the (penalised) log-likelihood by Newton steps, halved until they climb."""

    def height(beta: Floats) -> float:
        eta = design @ beta
        plain = _log_likelihood(eta, events, counts)
        if not firth:
            return plain
        return plain + 0.5 * float(np.linalg.slogdet(_information(design, counts, expit(eta)))[1])

    beta = np.zeros(design.shape[1])
    for _ in range(MAXIMUM_STEPS):
        p = expit(design @ beta)
        information = _information(design, counts, p)
        residual = events - counts * p
        if firth:
            leverage = (
                np.einsum("ij,jk,ik->i", design, np.linalg.inv(information), design) * counts * p * (1 - p)
            )
            residual = residual + leverage * (0.5 - p)
        step = np.linalg.solve(information, design.T @ residual)
        # Firth's surface can be steep where the information vanishes: never move far at once.
        step *= min(1.0, 5.0 / max(np.abs(step).max(), 1e-300))
        # Steep data make large coefficients, whose last digits no step can settle.
        if np.abs(step).max() < 1e-11 * (1 + np.abs(beta).max()):
            return beta
        now = height(beta)
        while height(beta + step) < now - 1e-12 * (1 + abs(now)):
            step /= 2
        beta = beta + step
    raise FitError(
        f"logistic regression did not converge in {MAXIMUM_STEPS} steps; last step {np.abs(step).max():.2g}"
    )


def _result(design: Floats, events: Floats, counts: Floats, *, firth: bool, separated: bool, message: str) -> LogisticFit:  # fmt: skip
    """Fit on the standardised scale and go back."""
    scaled, back = standardised(design)
    gamma = _newton(scaled, events, counts, firth=firth)
    eta = scaled @ gamma
    covariance = back @ np.linalg.inv(_information(scaled, counts, expit(eta))) @ back.T
    likelihood = _log_likelihood(eta, events, counts)
    saturated = float(np.sum(xlogy(events, events / counts) + xlogy(counts - events, 1 - events / counts)))
    return LogisticFit(
        back @ gamma, covariance, -2 * likelihood, 2 * (saturated - likelihood), separated, message
    )


def logistic_ml(x: ArrayLike, y: ArrayLike, *, trials: ArrayLike | None = None) -> LogisticFit:
    """Logistic regression by maximum likelihood.

    Parameters
    ----------
    x : array_like, shape (n,) or (n, n_columns)
        Predictors without the intercept, which is added.
    y : array_like, shape (n,)
        Number of events, 0 or 1 unless ``trials`` are given.
    trials : array_like, shape (n,), optional
        Number of trials, by default 1.

    Returns
    -------
    LogisticFit
        Estimate; with separated data, NaN and a message, as then no finite estimate exists.

    Raises
    ------
    DataError
        If the arrays do not fit together, have missing values, or a predictor is constant.
    FitError
        If Newton's method does not converge.

    References
    ----------
    .. [1] Albert A, Anderson JA. Biometrika 1984;71:1-10.

    Examples
    --------
    >>> fit = logistic_ml([0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 1, 0, 1, 1, 1])
    >>> [round(float(b), 6) for b in fit.coefficients]
    [-1.098612, 2.197225]
    """
    design, events, counts = _checked(x, y, trials)
    if is_separated(x, y, trials):
        nan = np.full(design.shape[1], np.nan)
        message = "the predictors separate events from non-events: no maximum likelihood estimate; use Firth or a prior"
        return LogisticFit(nan, np.outer(nan, nan), np.nan, np.nan, True, message)
    return _result(design, events, counts, firth=False, separated=False, message="")


def logistic_firth(x: ArrayLike, y: ArrayLike, *, trials: ArrayLike | None = None) -> LogisticFit:
    """Logistic regression by Firth's penalised likelihood, which always has a finite estimate.

    Parameters
    ----------
    x : array_like, shape (n,) or (n, n_columns)
        Predictors without the intercept, which is added.
    y : array_like, shape (n,)
        Number of events, 0 or 1 unless ``trials`` are given.
    trials : array_like, shape (n,), optional
        Number of trials, by default 1.

    Returns
    -------
    LogisticFit
        Estimate; a message says when the data are separated.

    Raises
    ------
    DataError
        If the arrays do not fit together, have missing values, or a predictor is constant.
    FitError
        If Newton's method does not converge.

    References
    ----------
    .. [1] Firth D. Biometrika 1993;80:27-38.
    .. [2] Heinze G, Schemper M. Stat Med 2002;21:2409-2419.

    Examples
    --------
    >>> fit = logistic_firth([0, 1], [0, 2], trials=[10, 6])
    >>> [round(float(b), 6) for b in fit.coefficients]
    [-3.044522, 2.456736]
    """
    design, events, counts = _checked(x, y, trials)
    separated = is_separated(x, y, trials)
    message = (
        "the predictors separate events from non-events: the slope rests on the penalty" if separated else ""
    )
    return _result(design, events, counts, firth=True, separated=separated, message=message)

"""CRM: one parameter bends a curve of prior guesses to the DLTs of all doses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import exp, log, sqrt
from typing import Any, Literal, NamedTuple

import numpy as np

from carkinetics.errors import ConfigError, did_you_mean
from carkinetics.trial.cohort import Cohorts, Tally, tally_of
from carkinetics.trial.design import Decision, Design, dose_levels, probabilities, whole

CurveModel = Literal["empiric", "logistic"]
MODELS = ("empiric", "logistic")


@dataclass(frozen=True)
class CrmPosterior:
    """What a CRM knows.

    Parameters
    ----------
    mean, variance : float
        Of the parameter b.
    p : tuple of float
        DLT probability by dose at the mean of b (plug-in).
    too_toxic : float
        Posterior probability that the lowest dose has a DLT probability above the target.
    closest : int
        Number of the dose whose ``p`` is closest to the target; the lower one at a tie.
    """

    mean: float
    variance: float
    p: tuple[float, ...]
    too_toxic: float
    closest: int


@dataclass(frozen=True)
class Crm(Design):
    """Continual reassessment method with one parameter.

    Parameters
    ----------
    doses : int or sequence of float
        How many there are, or their sizes in increasing order.
    skeleton : sequence of float
        Prior guess of the DLT probability of each dose, increasing; see `skeleton_for`.
    target : float
        DLT probability that is sought.
    model : {"empiric", "logistic"}
        Shape of the curve (see Notes).
    prior_sd : float
        Standard deviation of the normal prior of b, whose mean is 0.
    intercept : float
        Fixed intercept of the logistic model.
    cohort_size : int
        Patients in a cohort.
    start : int
        Number of the first dose.
    no_skip : bool
        Never more than one above the highest dose given so far.
    cutoff : float or None
        The trial stops without a dose where P(DLT probability of the lowest dose > target) is above this; None never.

    Raises
    ------
    ConfigError
        If the skeleton does not increase within (0, 1) or has another length than the doses, or a number makes no sense.

    Notes
    -----
    With s the skeleton, ``p = s ** exp(b)`` (empiric) or ``p = expit(intercept + exp(b) x)`` with x so that p = s at b = 0
    (logistic). b is averaged over its posterior and p taken at that mean. The integral is a sum over Gauss-Legendre
    panels, with a break where the lowest dose is at the target. At the end of a trial, only doses that were given are
    selected. The safety rule is not part of [1]_; its default is that of the interval designs.

    References
    ----------
    .. [1] O'Quigley J, Pepe M, Fisher L. Continual reassessment method: a practical design for phase 1 clinical trials
       in cancer. Biometrics 1990;46:33-48.
    .. [2] Cheung YK. Dose finding by the continual reassessment method. Chapman & Hall/CRC; 2011.

    Examples
    --------
    >>> design = Crm(doses=5, skeleton=[0.08, 0.16, 0.30, 0.45, 0.60], target=0.30)
    >>> print(design.decide([(1, 3, 0)]))
    escalate: treat 3 at dose 2. Closest to 0.3 is dose 4 (0.24); no dose is skipped: dose 2 (0.04).
    """

    doses: Any  # a count or sizes on the way in, a tuple of sizes once it exists
    skeleton: Any  # any sequence on the way in, a tuple once it exists
    target: float = 0.30
    model: CurveModel = "empiric"
    prior_sd: float = sqrt(1.34)
    intercept: float = 3.0
    cohort_size: int = 3
    start: int = 1
    no_skip: bool = True
    cutoff: float | None = 0.95

    def __post_init__(self) -> None:
        own = type(self).__name__
        object.__setattr__(self, "doses", dose_levels(self.doses, own))
        object.__setattr__(self, "skeleton", probabilities(self.skeleton, "skeleton", own, len(self.doses)))
        probabilities(self.target, "target", own)
        if not 0 < self.target < 1:
            raise ConfigError(f"{own}: target is {self.target:g}; expected above 0 and below 1")
        if self.model not in MODELS:
            raise ConfigError(f"{own}: model is {self.model!r}{did_you_mean(str(self.model), MODELS)}")
        if not 0 < self.prior_sd < np.inf:
            raise ConfigError(f"{own}: prior_sd is {self.prior_sd!r}; expected above 0")
        if not np.isfinite(self.intercept):
            raise ConfigError(f"{own}: intercept is {self.intercept!r}; expected a number")
        _refuse_skeleton(self.skeleton, own, self.intercept if self.model == "logistic" else None)
        whole(self.cohort_size, "cohort_size", own)
        whole(self.start, "start", own, most=len(self.doses))
        if self.cutoff is not None:
            probabilities(self.cutoff, "cutoff", own)

    @property
    def name(self) -> str:
        """With its model and target."""
        return f"CRM ({self.model}, {self.target:g})"

    def posterior(self, cohorts: Cohorts = ()) -> CrmPosterior:
        """What the data so far say of the parameter and of each dose.

        Parameters
        ----------
        cohorts : iterable of Cohort, tuple or mapping, or DataFrame
            As for `decide`. Patients still in their window do not count.

        Returns
        -------
        CrmPosterior
            Mean and variance of b, DLT probabilities, and the dose closest to the target.

        Raises
        ------
        DataError
            If a dose or a count cannot be.
        """
        return self._posterior(tally_of(cohorts, self.doses))

    def rule(self, tally: Tally) -> Decision:
        """The decision for given counts."""
        if not tally.current:
            return self.treat(tally, self.start, self.cohort_size, "The first cohort")
        known = self._posterior(tally)
        if self._too_toxic(known):
            return self._none(known)
        to = min(known.closest, tally.highest + 1) if self.no_skip else known.closest
        why = f"Closest to {self.target:g} is {self.say(known.closest)} ({known.p[known.closest - 1]:.2f})"
        if to != known.closest:
            why += f"; no dose is skipped: {self.say(to)} ({known.p[to - 1]:.2f})"
        return self.treat(tally, to, self.cohort_size, why)

    def select(self, tally: Tally) -> Decision:
        """The dose closest to the target, of those that were given."""
        known = self._posterior(tally)
        if self._too_toxic(known):
            return self._none(known)
        given = [level for level in range(1, len(self.doses) + 1) if tally.treated_at(level)]
        if not given:
            return self.stop(0, "No dose was given")
        level = min(given, key=lambda at: (abs(known.p[at - 1] - self.target), at))
        why = f"{self.say(level).capitalize()}: DLT probability {known.p[level - 1]:.2f}, closest to {self.target:g}"
        notes: tuple[str, ...] = ()
        if known.closest != level:
            untried = self.say(known.closest)
            notes = (f"The model's closest dose is {untried}, which nobody was given.",)
        return self.stop(level, why, notes=notes)

    def within(self, tally: Tally, level: int, low: float, high: float) -> float:
        """Posterior probability that the DLT probability of a dose is between two values."""
        x = self._x[level - 1]
        low_b, high_b = (_b_at(p, x, self.model, self.intercept) for p in (high, low))
        grid = _grid(self.skeleton, self.model, self.prior_sd, self.intercept, (low_b, high_b))
        weights = grid.posterior(tally.n, tally.dlt, self._partly(tally))
        return float(weights[(grid.b > low_b) & (grid.b < high_b)].sum())

    @property
    def _x(self) -> tuple[float, ...]:
        return tuple(_scaled(s, self.model, self.intercept) for s in self.skeleton)

    def _partly(self, tally: Tally) -> tuple[tuple[int, float], ...]:
        """Dose and weight of patients who are still in their window; here they do not count."""
        return ()

    def _posterior(self, tally: Tally) -> CrmPosterior:
        return _known(self, tally.n, tally.dlt, self._partly(tally))

    def _too_toxic(self, known: CrmPosterior) -> bool:
        return self.cutoff is not None and known.too_toxic > self.cutoff

    def _none(self, known: CrmPosterior) -> Decision:
        why = (
            f"{self.say(1).capitalize()}, the lowest, is too toxic: its DLT probability is above {self.target:g} with "
            f"probability {known.too_toxic:.3f}"
        )
        return self.stop(0, why, closed=tuple(range(1, len(self.doses) + 1)))


@lru_cache(maxsize=100_000)
def _known(
    design: Crm, n: tuple[int, ...], dlt: tuple[int, ...], waiting: tuple[tuple[int, float], ...]
) -> CrmPosterior:
    at_target = _b_at(
        design.target,
        _scaled(design.skeleton[0], design.model, design.intercept),
        design.model,
        design.intercept,
    )
    grid = _grid(design.skeleton, design.model, design.prior_sd, design.intercept, (at_target,))
    weights = grid.posterior(n, dlt, waiting)
    mean = float(weights @ grid.b)
    variance = float(weights @ (grid.b - mean) ** 2)
    p = tuple(_curve(mean, x, design.model, design.intercept) for x in grid.x)
    away = [abs(value - design.target) for value in p]
    # All DLT probabilities fall as b rises.
    too_toxic = float(weights[grid.b < at_target].sum())
    return CrmPosterior(mean, variance, p, too_toxic, away.index(min(away)) + 1)


class _Grid(NamedTuple):
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
def _grid(
    skeleton: tuple[float, ...],
    model: CurveModel,
    prior_sd: float,
    intercept: float,
    breaks: tuple[float, ...],
) -> _Grid:
    """Gauss-Legendre panels over 8 standard deviations of the prior on either side, divided at the breaks too."""
    end = 8 * prior_sd
    inner = [at for at in breaks if -end < at < end]
    edges = np.unique([*np.linspace(-end, end, 1 + int(np.ceil(2 * end / 0.4))), *inner])
    nodes, gauss = np.polynomial.legendre.leggauss(10)
    half = np.diff(edges)[:, None] / 2
    b = ((edges[:-1, None] + half) + half * nodes).ravel()
    prior = (half * gauss).ravel() * np.exp(-0.5 * (b / prior_sd) ** 2)
    x = tuple(_scaled(s, model, intercept) for s in skeleton)
    slope = np.exp(b) * np.array(x)[:, None]
    if model == "empiric":
        log_p, log_not = slope, np.log(-np.expm1(slope))
    else:
        log_p, log_not = -np.logaddexp(0, -intercept - slope), -np.logaddexp(0, intercept + slope)
    return _Grid(b, prior, x, log_p, log_not)


def _scaled(s: float, model: CurveModel, intercept: float) -> float:
    """The dose on the scale of the model: where p is s at b = 0."""
    return log(s) if model == "empiric" else log(s / (1 - s)) - intercept


def _curve(b: float, x: float, model: CurveModel, intercept: float) -> float:
    """DLT probability at b."""
    if model == "empiric":
        return exp(exp(b) * x)
    return 1 / (1 + exp(min(-intercept - exp(b) * x, 700.0)))


def _b_at(p: float, x: float, model: CurveModel, intercept: float) -> float:
    """Where the DLT probability is p; infinite where no b gives it."""
    if p <= 0:
        return np.inf
    ratio = (0.0 if p >= 1 else _scaled(p, model, intercept)) / x
    return log(ratio) if ratio > 0 else -np.inf


def _refuse_skeleton(skeleton: tuple[float, ...], design: str, intercept: float | None) -> None:
    for before, after in pairwise(skeleton):
        if after <= before:
            raise ConfigError(
                f"{design}: skeleton goes from {before:g} to {after:g}; expected DLT probabilities that increase with dose"
            )
    top = 1.0 if intercept is None else 1 / (1 + exp(-intercept))
    if not 0 < skeleton[0] <= skeleton[-1] < top:
        reason = (
            "" if intercept is None else f", the limit of the logistic model with intercept {intercept:g}"
        )
        raise ConfigError(
            f"{design}: skeleton runs from {skeleton[0]:g} to {skeleton[-1]:g}; expected above 0 and below {top:.4g}{reason}"
        )


def skeleton_for(
    target: float,
    halfwidth: float,
    nu: int,
    n_doses: int,
    *,
    model: CurveModel = "empiric",
    intercept: float = 3.0,
) -> tuple[float, ...]:
    """Skeleton whose doses are told apart where neighbours are ``halfwidth`` below and above the target.

    Parameters
    ----------
    target : float
        DLT probability that is sought.
    halfwidth : float
        Half the width of the indifference interval: a dose with a DLT probability within the target ± this may be
        selected in the long run instead of the right one.
    nu : int
        Number of the dose that is thought to be at the target.
    n_doses : int
        How many doses there are.
    model : {"empiric", "logistic"}
        Shape of the curve, as for `Crm`.
    intercept : float
        Fixed intercept of the logistic model.

    Returns
    -------
    tuple of float
        Prior guess of the DLT probability of each dose.

    Raises
    ------
    ConfigError
        If a number makes no sense.

    Notes
    -----
    At the value of b where a dose is at the target minus the halfwidth, the next one is at the target plus it. On the
    scale of the model doses are therefore a constant factor apart.

    References
    ----------
    .. [1] Lee SM, Cheung YK. Model calibration in the continual reassessment method. Clin Trials 2009;6:227-238.

    Examples
    --------
    >>> [round(p, 3) for p in skeleton_for(0.25, 0.05, nu=3, n_doses=5)]
    [0.084, 0.157, 0.25, 0.355, 0.46]
    """
    whole(n_doses, "n_doses", "skeleton_for")
    whole(nu, "nu", "skeleton_for", most=n_doses)
    if model not in MODELS:
        raise ConfigError(f"skeleton_for: model is {model!r}{did_you_mean(str(model), MODELS)}")
    top = 1.0 if model == "empiric" else 1 / (1 + exp(-intercept))
    low, high = target - halfwidth, target + halfwidth
    if not 0 < low < high < top:
        raise ConfigError(
            f"skeleton_for: target {target:g} ± halfwidth {halfwidth:g}; expected within 0 and {top:.4g}, halfwidth above 0"
        )
    factor = _scaled(high, model, intercept) / _scaled(low, model, intercept)
    x = [_scaled(target, model, intercept) * factor ** (level - nu) for level in range(1, n_doses + 1)]
    return tuple(_curve(0.0, at, model, intercept) for at in x)

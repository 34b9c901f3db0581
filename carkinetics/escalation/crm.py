"""CRM: one parameter bends a curve of prior guesses to the DLTs of all doses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from typing import Any, override

from carkinetics.errors import ConfigError, did_you_mean
from carkinetics.escalation.arguments import dose_levels, flag, number, probabilities, whole
from carkinetics.escalation.cohort import Cohorts, Tally, tally_of
from carkinetics.escalation.crm_curve import MODELS, CurveModel, b_at, curve, grid_of, scaled
from carkinetics.escalation.design import Decision, Design
from carkinetics.escalation.skeleton import refuse_skeleton


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
        number(self.target, "target", own, above=0, below=1)
        if not isinstance(self.model, str) or self.model not in MODELS:
            raise ConfigError(f"{own}: model is {self.model!r}{did_you_mean(str(self.model), MODELS)}")
        number(self.prior_sd, "prior_sd", own, above=0, most=20)
        number(self.intercept, "intercept", own)
        flag(self.no_skip, "no_skip", own)
        refuse_skeleton(self.skeleton, own, self.intercept if self.model == "logistic" else None)
        whole(self.cohort_size, "cohort_size", own)
        whole(self.start, "start", own, most=len(self.doses))
        if self.cutoff is not None:
            number(self.cutoff, "cutoff", own, least=0, most=1)

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

    @override
    def rule(self, tally: Tally) -> Decision:
        if not tally.current:
            return self.treat(tally, self.start, self.cohort_size, "The first cohort")
        known = self._posterior(tally)
        if self._too_toxic(known):
            return self._none(known)
        # Where all of the first cohort are replaced, the trial is where it began.
        ceiling = tally.highest + 1 if tally.highest else self.start
        to = min(known.closest, ceiling) if self.no_skip else known.closest
        why = f"Closest to {self.target:g} is {self.say(known.closest)} ({known.p[known.closest - 1]:.2f})"
        if to != known.closest:
            why += f"; no dose is skipped: {self.say(to)} ({known.p[to - 1]:.2f})"
        return self.treat(tally, to, self.cohort_size, why)

    @override
    def select(self, tally: Tally) -> Decision:
        known = self._posterior(tally)
        if self._too_toxic(known):
            return self._none(known)
        given = [level for level, count in enumerate(tally.given, start=1) if count]
        if not given:
            return self.stop(0, "No dose was given")
        level = min(given, key=lambda at: (abs(known.p[at - 1] - self.target), at))
        why = f"{self.say(level).capitalize()}: DLT probability {known.p[level - 1]:.2f}, closest to {self.target:g}"
        notes: tuple[str, ...] = ()
        if known.closest != level:
            untried = self.say(known.closest)
            notes = (f"The model's closest dose is {untried}, which nobody was given.",)
        return self.stop(level, why, notes=notes)

    @override
    def within(self, tally: Tally, level: int, low: float, high: float) -> float:
        x = self._x[level - 1]
        low_b, high_b = (b_at(p, x, self.model, self.intercept) for p in (high, low))
        grid = grid_of(self.skeleton, self.model, self.prior_sd, self.intercept, (low_b, high_b))
        weights = grid.posterior(tally.n, tally.dlt, self._partly(tally))
        return float(weights[(grid.b > low_b) & (grid.b < high_b)].sum())

    @property
    def _x(self) -> tuple[float, ...]:
        return tuple(scaled(s, self.model, self.intercept) for s in self.skeleton)

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
    at_target = b_at(
        design.target,
        scaled(design.skeleton[0], design.model, design.intercept),
        design.model,
        design.intercept,
    )
    grid = grid_of(design.skeleton, design.model, design.prior_sd, design.intercept, (at_target,))
    weights = grid.posterior(n, dlt, waiting)
    mean = float(weights @ grid.b)
    variance = float(weights @ (grid.b - mean) ** 2)
    p = tuple(curve(mean, x, design.model, design.intercept) for x in grid.x)
    away = [abs(value - design.target) for value in p]
    # All DLT probabilities fall as b rises.
    too_toxic = float(weights[grid.b < at_target].sum())
    return CrmPosterior(mean, variance, p, too_toxic, away.index(min(away)) + 1)

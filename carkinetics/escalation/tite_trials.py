"""Trials simulated in calendar time: patients arrive, DLTs come late, and the design decides with what is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import log
from typing import Literal, NamedTuple

import numpy as np

from carkinetics.errors import ConfigError, did_you_mean
from carkinetics.escalation.arguments import number, probabilities, whole
from carkinetics.escalation.cohort import Tally
from carkinetics.escalation.design import Design, layers

ONSETS = ("uniform", "weibull")


@dataclass(frozen=True)
class TiteTrials:
    """What came of each simulated trial.

    Parameters
    ----------
    n, dlt : ndarray of int, shape (trials, doses)
        Patients treated and DLTs, those after the trial's last decision included.
    selected : ndarray of int, shape (trials,)
        Number of the dose selected; 0 for none.
    duration : ndarray of float, shape (trials,)
        Days from the first infusion to the last outcome that the end was decided with.
    waited : ndarray of float, shape (trials,)
        Days on which a patient was there and could not be treated.
    """

    n: np.ndarray
    dlt: np.ndarray
    selected: np.ndarray
    duration: np.ndarray
    waited: np.ndarray


class _Patient(NamedTuple):
    level: int
    entry: float
    end: float  # day of the DLT, or the end of the window
    dlt: bool
    grade2: bool


def tite_trials(
    design: Design,
    truth: Sequence[float],
    *,
    accrual_days: float,
    trials: int = 1000,
    seed: int = 0,
    window: float = 28.0,
    onset: Literal["uniform", "weibull"] = "uniform",
    late: float = 0.5,
    arrivals: Literal["exponential", "fixed"] = "exponential",
    grade2: Sequence[float] | None = None,
) -> TiteTrials:
    """Simulate trials in calendar time.

    Parameters
    ----------
    design : Design
        One that ends every trial, such as ``StopAfter(TiteBoin(...), n=30)``. A design that cannot decide while patients
        are in their window waits for all windows to end.
    truth : sequence of float
        DLT probability within the window, by dose.
    accrual_days : float
        Mean days from one patient to the next who is there to be treated.
    trials : int
        How many.
    seed : int
        Seed. Patient number i of trial number j has the same luck whatever the design.
    window : float
        Length of the DLT window in days; for a design for times to an event that of the design.
    onset : {"uniform", "weibull"}
        Distribution of the day of a DLT within the window.
    late : float
        With ``"weibull"``, the share of the DLTs that come in the second half of the window.
    arrivals : {"exponential", "fixed"}
        Whether patients come at random or at regular intervals.
    grade2 : sequence of float, optional
        Probability of a grade 2 by dose among those without a DLT, known at the end of the window.

    Returns
    -------
    TiteTrials
        Arrays with a row per trial.

    Raises
    ------
    ConfigError
        If the design does not end every trial, or a number makes no sense.

    Notes
    -----
    A dose is decided on when the first patient of a cohort is there; the others of the cohort follow. While the design
    waits, the next patient waits as well and is treated as soon as it goes on; decisions are asked for again at every
    outcome. Days between patients that the design asks for (`Staggered`) are kept.

    Examples
    --------
    >>> from carkinetics.escalation import StopAfter, TiteBoin
    >>> found = tite_trials(
    ...     StopAfter(TiteBoin(doses=3, target=0.3), n=12), [0.1, 0.3, 0.5], accrual_days=10, trials=20, seed=1
    ... )
    >>> found.n.sum(axis=1).max()
    np.int64(12)
    """
    doses = len(design.doses)
    p = probabilities(truth, "truth", "tite_trials", doses)
    second = probabilities(grade2 if grade2 is not None else (0.0,) * doses, "grade2", "tite_trials", doses)
    whole(trials, "trials", "tite_trials")
    whole(seed, "seed", "tite_trials", least=0)
    if not design.ends:
        raise ConfigError(
            f"tite_trials: {design.name} does not end every trial; put StopAfter(design, n=) round it"
        )
    _refuse_clock(design, window, accrual_days)
    if arrivals not in ("exponential", "fixed"):
        raise ConfigError(
            f"tite_trials: arrivals is {arrivals!r}{did_you_mean(str(arrivals), ('exponential', 'fixed'))}"
        )
    day = [_onset(onset, value, window, late) for value in p]
    n, dlt = np.zeros((trials, doses), dtype=int), np.zeros((trials, doses), dtype=int)
    selected, duration, waited = np.zeros(trials, dtype=int), np.zeros(trials), np.zeros(trials)

    def patient(rng: np.random.Generator, level: int, entry: float) -> tuple[_Patient, float]:
        """One more, and the days until the next is there."""
        luck, mild, gap = rng.random(3)
        toxic = luck < p[level - 1]
        end = entry + (day[level - 1](luck) if toxic else window)
        days = accrual_days if arrivals == "fixed" else -accrual_days * log(1 - gap)
        return _Patient(level, entry, end, toxic, not toxic and mild < second[level - 1]), days

    for trial in range(trials):
        rng = np.random.default_rng([seed, trial])
        treated, level, duration[trial], waited[trial] = _one(design, partial(patient, rng))
        selected[trial] = level
        for one in treated:
            n[trial, one.level - 1] += 1
            dlt[trial, one.level - 1] += one.dlt
    return TiteTrials(n, dlt, selected, duration, waited)


def _one(
    design: Design, patient: Callable[[int, float], tuple[_Patient, float]]
) -> tuple[list[_Patient], int, float, float]:
    """One trial: its patients, the dose selected, its length and the days a patient had to wait."""
    treated: list[_Patient] = []
    now = waited = held = 0.0
    while True:
        if not design.uses_waiting and treated:
            last = max(one.end for one in treated)
            held, now = held + max(last - now, 0.0), max(last, now)
        decision = design.rule(_tally(treated, len(design.doses), now))
        if decision.action == "stop":
            known = [one.end for one in treated if one.end <= now]
            return treated, decision.mtd_level or 0, max(known, default=0.0), waited
        if decision.action == "wait":
            following = min(one.end for one in treated if one.end > now)
            held, now = held + following - now, following
            continue
        waited, held = waited + held, 0.0
        for _ in range(decision.n):
            one, gap = patient(decision.level, now)
            treated.append(one)
            now += max(gap, design.stagger_days)


def _tally(treated: list[_Patient], doses: int, now: float) -> Tally:
    """What is known on a day."""
    n, dlt, grade2 = [0] * doses, [0] * doses, [0] * doses
    waiting = []
    for one in treated:
        if one.end <= now:
            n[one.level - 1] += 1
            dlt[one.level - 1] += one.dlt
            grade2[one.level - 1] += one.grade2
        else:
            waiting.append((one.level, now - one.entry))
    current = treated[-1].level if treated else 0
    return Tally(tuple(n), tuple(dlt), tuple(grade2), current, tuple(waiting))


def _onset(onset: str, p: float, window: float, late: float) -> Callable[[float], float]:
    """The day of a DLT for somebody whose uniform number is below p, the probability of one within the window."""
    if onset not in ONSETS:
        raise ConfigError(f"tite_trials: onset is {onset!r}{did_you_mean(str(onset), ONSETS)}")
    number(late, "late", "tite_trials", above=0, below=1)
    if onset == "uniform" or not 0 < p < 1:
        return lambda luck: window * luck / p
    # The distribution function is p at the end of the window and (1 - late) p in its middle.
    shape = log(log(1 - p) / log(1 - (1 - late) * p)) / log(2)
    return lambda luck: float(window * (log(1 - luck) / log(1 - p)) ** (1 / shape))


def _refuse_clock(design: Design, window: float, accrual_days: float) -> None:
    for name, value in (("window", window), ("accrual_days", accrual_days)):
        number(value, name, "tite_trials", above=0)
    inner = layers(design)[-1]
    own = getattr(inner, "window", window)
    if own != window:
        raise ConfigError(
            f"tite_trials: window is {window:g} days, and that of {inner.name} {own:g}; expected the same window"
        )

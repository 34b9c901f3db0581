"""A whole trial from cells: patients, curves, toxicity, the design's decisions, response, survival, measurements."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from carkinetics.model.observe import draw_values
from carkinetics.model.residual import residual_error
from carkinetics.trial.escalate import NOT_TREATED, Escalations, escalate
from carkinetics.trial.outcomes import Courses, follow, scan_days
from carkinetics.trial.plan import TrialPlan, Visits

Floats = NDArray[np.float64]
UNIFORM = (
    "member", "crs", "crs_onset", "crs_limits", "other", "other_day", "other_grade2", "tocilizumab", "steroid", "leaves",
    "leaves_day", "ada_existing", "ada_induced", "centre", "short", "short_share",
)  # fmt: skip
NORMAL = ("shrinkage", "growth", "dose")
EXPONENTIAL = ("gap", "new_lesion", "death", "lost")
TOLERANCE = 0.2  # of the dose planned, within which the dose given counts as that
# What a trial's random numbers are for: each has a stream of its own, so that one does not shift another.
PATIENTS, SAMPLES, MARKERS, POPULATION = 0, 1, 2, 3


def stream(seed: int, trial: int, purpose: int) -> np.random.Generator:
    """Random numbers of one trial for one purpose, the same in whatever company it is simulated.

    Parameters
    ----------
    seed, trial, purpose : int
        What they depend on.

    Returns
    -------
    numpy.random.Generator
        Those numbers.
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(trial, purpose)))


@dataclass(frozen=True, eq=False)
class Block:
    """Simulated trials side by side.

    Parameters
    ----------
    plan : TrialPlan
        What they intended.
    seed : int
        Of all.
    trials : ndarray of int, shape (n_trials,)
        Their numbers.
    escalations : Escalations
        Who was treated when, and what was decided.
    frame : pandas.DataFrame
        The treated of all trials: ``trial`` and ``patient`` (positions), ``dose``, covariates, ``cmax``, ``tmax`` and
        ``auc_0_28`` of the true curve.
    parameters : dict of str to ndarray, shape (n_treated,)
        Their kinetic parameters.
    courses : Courses or None
        Their tumours and survival.
    draw : ndarray of int, shape (n_treated,)
        The posterior draw that is the population of their trial; 0 without a posterior.
    luck : dict of str to ndarray, shape (n_treated,)
        Their random numbers.
    """

    plan: TrialPlan
    seed: int
    trials: NDArray[np.intp]
    escalations: Escalations
    frame: pd.DataFrame
    parameters: dict[str, Floats]
    courses: Courses | None
    draw: NDArray[np.intp]
    luck: dict[str, Floats]

    def of_treated(self, array: NDArray[Any]) -> NDArray[Any]:
        """One value per treated patient, of an array (n_trials, n_patients)."""
        return array[self.frame["trial"], self.frame["patient"]]

    @property
    def end(self) -> Floats:
        """Day on which each treated patient's follow-up ended."""
        leaves = self.luck["leaves_day"]
        if self.courses is None:
            return np.minimum(leaves, self.plan.conduct.follow_up)
        return np.minimum(leaves, self.courses.os_day)

    def level(self, days: Floats) -> Floats:
        """True level of the treated on days (n_treated, n_days); NaN where the day is."""
        asked = np.where(np.isnan(days), 0.0, days)
        level = self.plan.population.levels(asked, self.parameters, self.frame["dose"].to_numpy(float))
        links = self.plan.links.antibodies
        if links is not None and links.loss:
            rose = self.luck["ada_induced"] < links.induced
            level = level * np.exp(-links.loss * np.maximum(asked - links.onset, 0.0) * rose[:, None])
        return np.where(np.isnan(days), np.nan, level)

    @cached_property
    def samples(self) -> tuple[Floats, Floats]:
        """Actual days of the qPCR samples, NaN where there was none, and what an assay without limits would read."""
        plan, end = self.plan, self.end
        days = np.full((len(self.frame), len(plan.qpcr.days)), np.nan)
        rngs = {}
        for t, own in self.frame.groupby("trial").indices.items():
            rngs[t] = stream(self.seed, int(self.trials[int(t)]), SAMPLES)
            days[own] = actual_days(plan.qpcr, end[own], rngs[t])
        level, read = self.level(days), np.full_like(days, np.nan)
        error = residual_error(plan.population.model.error)
        sigmas = plan.population.sigmas(self.draw)
        for t, own in self.frame.groupby("trial").indices.items():
            sigma = {name: value[own] if np.ndim(value) else value for name, value in sigmas.items()}
            read[own] = draw_values(error, level[own], sigma, rngs[t])
        return days, read


def actual_days(visits: Visits, end: Floats, rng: np.random.Generator) -> Floats:
    """Days on which visits happened.

    Parameters
    ----------
    visits : Visits
        As planned.
    end : ndarray, shape (n_patients,)
        Last day of follow-up.
    rng : numpy.random.Generator
        Of what is missed and how visits drift.

    Returns
    -------
    ndarray, shape (n_patients, n_visits)
        Increasing days; NaN for a visit that did not happen.
    """
    planned = np.array(visits.days, dtype=float)
    shape = (len(end), len(planned))
    drift = np.where(planned > 28, 3.0, np.where(planned > 7, 0.6, 0.15)) * rng.standard_normal(shape)
    moved = np.round(np.maximum(planned + drift, 0.2), 2) if visits.drift else planned
    days = np.sort(np.where(planned > 0, moved, planned), axis=1)
    # Two visits on the same hundredth of a day are one.
    again = np.diff(days, axis=1, prepend=-np.inf) == 0
    happened = (rng.random(shape) > visits.missed) & (days <= end[:, None]) & ~again
    return np.where(happened, days, np.nan)


def simulate_block(plan: TrialPlan, seed: int, trials: NDArray[np.intp]) -> Block:
    """Simulate trials by their numbers.

    Parameters
    ----------
    plan : TrialPlan
        What they intend.
    seed : int
        Of all.
    trials : ndarray of int, shape (n_trials,)
        Their numbers.

    Returns
    -------
    Block
        What happened.
    """
    world = _World.of(plan, seed, trials)
    luck, conduct = world.luck, plan.conduct

    def outcome(
        trial: NDArray[np.intp], patient: NDArray[np.intp], level: NDArray[np.intp]
    ) -> dict[str, NDArray[Any]]:
        frame, _, own = world.patients(trial, patient, level)
        found = plan.links.toxicity.of(frame, own, conduct.window)
        return found | {
            "counted": counted_at(plan.design.doses, frame["dose"].to_numpy(), level, found["dlt"])
        }

    inside = luck["leaves"] < conduct.leave_window
    leaves = np.where(inside, 1.0 + luck["leaves_day"] * (conduct.window - 1.0), np.inf)
    found = escalate(plan, luck["gap"], leaves, outcome)
    trial, patient = np.nonzero(found.level != NOT_TREATED)
    frame, values, own = world.patients(trial, patient, found.level[trial, patient])
    own["leaves_day"] = leaves[trial, patient]
    lost = conduct.window + own["lost"] / max(conduct.lost_per_day, 1e-12)
    lost = np.floor(np.minimum(lost, own["leaves_day"]))
    tumour = plan.links.tumour
    courses = (
        follow(tumour, frame, own, lost, window=conduct.window, follow_up=conduct.follow_up)
        if tumour
        else None
    )
    return Block(plan, seed, trials, found, frame, values, courses, world.draw[trial], own)


def counted_at(
    doses: tuple[float, ...], given: Floats, level: NDArray[np.intp], dlt: NDArray[np.bool_]
) -> NDArray[np.intp]:
    """Number of the dose at which a design counts a patient: `cohorts_from`'s rule with a tolerance of 20 %.

    Parameters
    ----------
    doses : tuple of float
        Of the design.
    given : ndarray, shape (n_patients,)
        Doses received.
    level : ndarray of int, shape (n_patients,)
        Numbers of the doses planned.
    dlt : ndarray of bool, shape (n_patients,)
        Whether there was a DLT.

    Returns
    -------
    ndarray of int, shape (n_patients,)
        From 1; 0 for who does not count.
    """
    sizes = np.array(doses, dtype=float)
    as_planned = np.abs(given / sizes[level - 1] - 1) <= TOLERANCE + 1e-9
    near = np.abs(given[:, None] / sizes - 1)
    nearest = np.where(
        near.min(axis=1) <= TOLERANCE, near.argmin(axis=1) + 1, np.searchsorted(sizes, given, side="right")
    )
    return np.where(as_planned, level, np.where((nearest == 0) & dlt, 1, nearest))


def patients_at(
    plan: TrialPlan, level: int, n: int, seed: int
) -> tuple[pd.DataFrame, dict[str, NDArray[Any]], Courses | None]:
    """Virtual patients who all get one dose, and just that, outside any trial.

    Parameters
    ----------
    plan : TrialPlan
        Whose.
    level : int
        Number of the dose, from 1.
    n : int
        How many; where the population is a posterior, each from a draw of their own.
    seed : int
        Of them; the same patients for every dose.

    Returns
    -------
    frame : pandas.DataFrame
        Dose, covariates and exposures.
    toxicity : dict of str to ndarray
        What `Toxicity.of` gives.
    courses : Courses or None
        Tumours and survival, all followed to the end.
    """
    numbers = np.arange(-(-n // plan.n))
    world = _World.of(plan, seed, numbers)
    trial, patient = (index.ravel()[:n] for index in np.indices((len(numbers), plan.n)))
    rng = stream(seed, 0, POPULATION)
    draw = np.array([plan.population.draw_for(rng) for _ in range(n)])
    dose = np.full(n, plan.design.doses[level - 1], dtype=float)
    frame, _, own = world.patients(trial, patient, np.full(n, level), dose=dose, draw=draw)
    tumour, conduct = plan.links.tumour, plan.conduct
    never = np.full(n, np.inf)
    courses = (
        follow(tumour, frame, own, never, window=conduct.window, follow_up=conduct.follow_up)
        if tumour
        else None
    )
    return frame, plan.links.toxicity.of(frame, own, plan.conduct.window), courses


@dataclass(frozen=True, eq=False)
class _World:
    """Everyone who could come, and what would happen to them at each dose."""

    plan: TrialPlan
    luck: dict[str, NDArray[Any]]
    draw: NDArray[np.intp]
    covariates: dict[str, NDArray[Any]]

    @classmethod
    def of(cls, plan: TrialPlan, seed: int, trials: NDArray[np.intp]) -> _World:
        luck = _luck(plan, seed, trials)
        draw = np.array([plan.population.draw_for(stream(seed, t, POPULATION)) for t in trials.tolist()])
        covariates = {name: one.values(luck[f"cov_{name}"]) for name, one in plan.covariates.items()}
        return cls(plan, luck, draw, covariates)

    def patients(
        self,
        trial: NDArray[np.intp],
        patient: NDArray[np.intp],
        level: NDArray[np.intp],
        *,
        dose: Floats | None = None,
        draw: NDArray[np.intp] | None = None,
    ) -> tuple[pd.DataFrame, dict[str, Floats], dict[str, Floats]]:
        """Covariates and exposures, kinetic parameters and random numbers of some, at the doses given.

        These are what each product has of the dose planned, and the population is that of the trial, if not said.
        """
        planned = np.array(self.plan.design.doses, dtype=float)[level - 1]
        own = {name: value[trial, patient] for name, value in self.luck.items()}
        dose = planned * self._share_given(own) if dose is None else dose
        covariates = {name: value[trial, patient] for name, value in self.covariates.items()}
        frame = pd.DataFrame(
            {"trial": trial, "patient": patient, "planned": planned, "dose": dose, **covariates}
        )
        values = self.plan.population.parameters(frame, own, self.draw[trial] if draw is None else draw)
        return frame.assign(**self.plan.population.exposures(values, dose)), values, own

    def _share_given(self, own: dict[str, Floats]) -> Floats:
        """Dose given over dose planned."""
        conduct = self.plan.conduct
        usual = np.exp(np.clip(conduct.dose_spread * own["dose"], np.log(0.8), np.log(1.2)))
        return np.where(own["short"] < conduct.short, 0.3 + 0.6 * own["short_share"], usual)


def _luck(plan: TrialPlan, seed: int, trials: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
    """Random numbers of every patient who could come, by name: (n_trials, n_patients)."""
    uniform = (*UNIFORM, *(f"cov_{name}" for name in plan.covariates))
    normal = (*NORMAL, *(f"eta_{name}" for name in plan.population.random))
    scans = len(scan_days(plan.links.tumour, plan.conduct.follow_up)) if plan.links.tumour else 0
    parts = []
    for number in trials.tolist():
        rng = stream(seed, number, PATIENTS)
        parts.append(
            (
                rng.random((len(uniform), plan.n)), rng.standard_normal((len(normal), plan.n)),
                rng.standard_exponential((len(EXPONENTIAL), plan.n)), rng.standard_normal((plan.n, scans)),
            )
        )  # fmt: skip
    u, z, e, scan = (np.stack(part) for part in zip(*parts, strict=True))
    named = {name: u[:, k] for k, name in enumerate(uniform)}
    named |= {name: z[:, k] for k, name in enumerate(normal)}
    return named | {name: e[:, k] for k, name in enumerate(EXPONENTIAL)} | {"scan": scan}

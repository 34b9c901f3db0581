"""The structured sampler: draws from the posterior of a hierarchical model, subject by subject.

Subjects are independent given a dozen or two population values. This sampler uses it: transported
Metropolis-within-Gibbs, no gradients while sampling, its proposals learnt in a warm-up from an approximate fit and
from its own draws. See `carkinetics.fit.surrogate` and `carkinetics.fit.sweep` for what is computed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from carkinetics.fit.adapt import (
    coordinate_sets,
    first_surrogate,
    matched_surrogate,
    population_tuning,
    several_modes,
)
from carkinetics.fit.approximate import Approximation
from carkinetics.fit.chain import N_MOVES, Record, Tuning, Workspace
from carkinetics.fit.goal import Goal, Progress, how_far, progress_of
from carkinetics.fit.layout import TOLERANCE
from carkinetics.fit.population_start import make_population, spread_of, vector_of
from carkinetics.fit.problem import Problem
from carkinetics.fit.surrogate import Surrogate
from carkinetics.fit.sweep import run_chain
from carkinetics.fit.vector import Population, sizes

Floats = NDArray[np.float64]
WARM_UP_SWEEPS, WARM_UP_ROUNDS, REPEATS = 300, 4, 2
BATCH = 1000  # sweeps between two looks at the goal
MOST_KEPT, FEWEST_KEPT, MOST_BYTES = 4000, 500, 200e6
# A chain whose likelihood lies this far below the best (in standard deviations, plus a constant) teaches nothing.
LEFT_OUT = (6.0, 10.0)
PRIOR_STARTS = "prior"


@dataclass
class Chain:
    """Present state of one chain."""

    x: Floats
    theta: Floats
    population: Population
    tuning: Tuning
    work: Workspace


@dataclass
class Draws:
    """What the structured sampler returns.

    Parameters
    ----------
    x : ndarray, shape (n_chains, n_draws, n_x)
        Population vectors.
    effect : ndarray, shape (n_chains, n_draws, n_subject, n_random)
        Subjects' random parameters on the free scale.
    log_posterior, log_likelihood : ndarray, shape (n_chains, n_draws)
        Up to a constant; of all rows.
    every : int
        Sweeps between two kept draws.
    warm_up, sweeps : int
        Sweeps of every chain before and while drawing.
    progress : Progress
        At the end.
    reached : bool
        Whether the goal was reached.
    acceptance : dict of str to float
        Accepted share by kind of move.
    subject_acceptance : ndarray, shape (n_subject,)
        Accepted updates per sweep and update.
    failed : ndarray of int, shape (n_subject,)
        Proposals whose equations could not be solved.
    failed_at : ndarray, shape (n_subject, n_free)
        Free parameters of the first of them.
    n_modes : ndarray of int, shape (n_subject,)
        Modes that were found.
    seconds, cpu_seconds : float
        Wall and processor time, warm-up included.
    """

    x: Floats
    effect: Floats
    log_posterior: Floats
    log_likelihood: Floats
    every: int
    warm_up: int
    sweeps: int
    progress: Progress
    reached: bool
    acceptance: dict[str, float]
    subject_acceptance: Floats
    failed: NDArray[np.int64]
    failed_at: Floats
    n_modes: NDArray[np.int64]
    seconds: float
    cpu_seconds: float


class StructuredSampler:
    """A problem, ready to be sampled; `run` does all of it.

    Parameters
    ----------
    problem : Problem
        With at least one random effect.
    state : Approximation
        Where chains start.
    chains, cores : int
        How many, and how many at a time.
    seed : int
        Of everything random.
    start : str
        ``"approximate"``: dispersed around the approximate fit; ``"prior"``: drawn from the prior.
    """

    def __init__(
        self, problem: Problem, state: Approximation, *, chains: int = 4, cores: int | None = None, seed: int = 1,
        start: str = "approximate",
    ) -> None:  # fmt: skip
        self.problem, self.layout, self.state = problem, problem.layout, state
        self.population = make_population(state.effects)
        self.surrogate: Surrogate = first_surrogate(state)
        self.n_chains, self.cores = chains, min(cores or os.cpu_count() or 1, chains)
        self.seeds, self.rng = np.random.SeedSequence(seed), np.random.default_rng([seed, 7])
        self.seed = seed
        self.centre, spread = vector_of(state, self.population), spread_of(state, self.population)
        around = self.centre + self.rng.multivariate_normal(np.zeros(len(spread)), spread, size=2000)
        tuning = self._first_tuning(around)
        self.chains = [self._first_chain(around[k], tuning, start) for k in range(chains)]

    # ---- starts ---------------------------------------------------------------------------------------------

    @property
    def omegas(self) -> slice:
        """Where the log standard deviations of the random effects are."""
        c, d, q, _ = sizes(self.population)
        return slice(c + d, c + d + q)

    @property
    def sigmas(self) -> slice:
        """Where the logs of the residual standard deviations are."""
        start = sum(sizes(self.population))
        return slice(start, start + len(self.population.sigma_scale))

    def _first_tuning(self, around: Floats) -> Tuning:
        n, q = self.problem.n_subjects, self.state.effects.n_random
        size = around.shape[1]
        empty = Tuning(
            np.zeros((1, size), np.int64), np.zeros(1, np.int64), np.ones(1), np.zeros(size), np.zeros((1, size, size)),
            np.zeros((1, size, size)), np.zeros(size), np.zeros((1, 2)),
            np.full(len(self.population.sigma_scale), np.log(0.07)), np.full(n, np.log(0.8)), np.ones(n, np.int64),
            np.zeros((n, 1, q)), np.zeros((n, 1, q, q)), np.zeros((n, 1)),
        )  # fmt: skip
        tuning = population_tuning(around, empty, [(list(range(size)), 1.0)], self.omegas)
        return several_modes(
            self.centre, self.surrogate.centre, self.layout, self.population, tuning, self.seed
        )

    def _first_chain(self, near: Floats, tuning: Tuning, start: str) -> Chain:
        n, p = self.problem.n_subjects, self.state.theta.shape[1]
        c, _, q, _ = sizes(self.population)
        x = self.centre + 2 * (near - self.centre)  # twice as dispersed as the guess
        theta = self.state.theta.copy()
        if start == PRIOR_STARTS:
            x = self._prior_vector()
            theta[:, self.population.random] = self.state.effects.mean.means(x[:c], q)
        omega = np.exp(x[self.omegas])
        noise = 1.0 if start == PRIOR_STARTS else 0.5
        theta[:, self.population.random] += noise * omega * self.rng.standard_normal((n, q))
        rows, k = len(self.layout.time), len(self.surrogate.power)
        work = Workspace(
            e=np.zeros((n, q)), log_likelihood=np.zeros(n), log_stand_in=np.zeros(n), expected=np.zeros((n, q)),
            common=np.zeros((n, p - q)), weight=np.zeros(k), log_sigma=np.zeros(k), root=np.zeros((q, q, n)),
            middle=np.zeros((q, n)), predicted=np.zeros(rows), theta2=np.zeros((n, p)), log_likelihood2=np.zeros(n),
            log_stand_in2=np.zeros(n), root2=np.zeros((q, q, n)), middle2=np.zeros((q, n)), predicted2=np.zeros(rows),
            nothing=np.zeros((rows, 0)), each=np.zeros(n), own_root=np.zeros((q, q)), own_middle=np.zeros(q),
            effect2=np.zeros((q, n)), row=np.zeros(n),
        )  # fmt: skip
        return Chain(x, theta, self._own_population(), _own(tuning), work)

    def _own_population(self) -> Population:
        """The population with classes drawn for one chain, which goes on to draw its own."""
        members = self.population.member
        if not len(members):
            return self.population
        design = self.population.mean_design.copy()
        design[members] = self.rng.random(design.shape[1]) < design[members[0]]
        return self.population._replace(mean_design=design, mean_gram=design @ design.T)

    def _prior_vector(self) -> Floats:
        p, rng = self.population, self.rng
        c, d, q, r = sizes(p)
        x = np.empty_like(self.centre)
        x[:c] = p.mean_centre + p.mean_spread * rng.standard_normal(c)
        x[c : c + d] = p.shared_centre + p.shared_spread * rng.standard_normal(d)
        x[c + d : c + d + q] = np.log(np.maximum(np.abs(p.omega_scale * rng.standard_normal(q)), 0.05))
        x[c + d + q : c + d + q + r] = 0.3 * rng.standard_normal(r)
        sigma = np.abs(p.sigma_scale * rng.standard_normal(len(p.sigma_scale)))
        x[self.sigmas] = np.log(np.maximum(sigma, 0.1 * p.sigma_scale))
        if len(p.member):
            x[-1] = rng.normal(*p.share)
        return x

    # ---- sweeps ---------------------------------------------------------------------------------------------

    def sweep(self, sweeps: int, *, adapt: bool, every: int = 1) -> list[Record]:
        """Run every chain on, some at a time.

        Parameters
        ----------
        sweeps, every : int
            How many, and after how many a draw is kept.
        adapt : bool
            Whether step sizes are tuned.

        Returns
        -------
        list of Record
            One per chain.
        """
        seeds = [int(s.generate_state(1)[0]) for s in self.seeds.spawn(self.n_chains)]
        records = [self._record(sweeps // every) for _ in self.chains]

        def work(k: int) -> None:
            chain = self.chains[k]
            run_chain(
                self.layout.values.address, chain.x, chain.theta, sweeps, every, REPEATS, adapt, seeds[k],
                chain.population, self.surrogate, self.layout.data, TOLERANCE, chain.tuning, chain.work, records[k],
            )  # fmt: skip

        with ThreadPoolExecutor(self.cores) as pool:
            list(pool.map(work, range(self.n_chains)))
        return records

    def _record(self, kept: int) -> Record:
        n, p = self.problem.n_subjects, self.state.theta.shape[1]
        q, d = self.state.effects.n_random, len(self.surrogate.shared)
        return Record(
            np.empty((kept, len(self.centre))), np.empty((kept, n, q)), np.empty(kept), np.empty(kept), np.zeros((n, q)),
            np.zeros((n, q, q)), np.zeros((n, q, d)), np.zeros(n), np.zeros(N_MOVES), np.zeros(N_MOVES), np.zeros(n),
            np.zeros(n, np.int64), np.zeros((n, p)),
        )  # fmt: skip

    def warm_up(self) -> int:
        """Adapt everything, then freeze it; returns the number of sweeps."""
        done, last = 0, list[Floats]()
        for number in range(WARM_UP_ROUNDS):
            final = number == WARM_UP_ROUNDS - 1
            sweeps = WARM_UP_SWEEPS * 3 // 2 if final else WARM_UP_SWEEPS
            records = self.sweep(sweeps, adapt=True)
            done += sweeps
            skip = sweeps // 3 if number < 2 else sweeps // 6
            good = _good_chains([r.log_likelihood[skip:] for r in records])
            previous, last = (last if number >= 2 else []), [records[k].x[skip:] for k in good]
            pooled = np.concatenate(last)
            tuning = self.chains[0].tuning
            if len(self.population.member):
                self._learn_classes([records[k].member / sweeps for k in good])
            if number in (0, 2):
                tuning = several_modes(
                    pooled.mean(axis=0), self.surrogate.centre, self.layout, self.population, tuning,
                    self.seed + number,
                )  # fmt: skip
            if not final:
                self.surrogate = matched_surrogate(
                    self.surrogate, self.population, self.layout, pooled, [records[k] for k in good],
                    sweeps * len(good),
                )  # fmt: skip
            everything = (list(range(pooled.shape[1])), 1.0)
            sets = coordinate_sets(last, self.population) if number else [everything]
            tuning = population_tuning(np.concatenate([pooled, *previous]), tuning, sets, self.omegas)
            for chain in self.chains:
                own = chain.tuning
                chain.tuning = _own(tuning)._replace(
                    subject_scale=own.subject_scale, sigma_scale=own.sigma_scale
                )
        self.sweep(WARM_UP_SWEEPS // 3, adapt=True)
        return done + WARM_UP_SWEEPS // 3

    def _learn_classes(self, member: Sequence[Floats]) -> None:
        """What warm-up matches is matched at the subjects' mean class."""
        design = self.population.mean_design.copy()
        design[self.population.member] = np.mean(member, axis=0)
        self.population = self.population._replace(mean_design=design)

    def run(
        self, goal: Goal, *, draws: int | None = None, say: Callable[[str], None] = lambda message: None
    ) -> Draws:
        """Warm up, then draw until the goal is reached or the time is up.

        Parameters
        ----------
        goal : Goal
            What to reach.
        draws : int, optional
            Exactly so many kept draws per chain instead, whatever the goal.
        say : callable
            Is told how far the run is.

        Returns
        -------
        Draws
            From all chains.
        """
        wall, cpu = time.perf_counter(), time.process_time()
        warm_up = self.warm_up()
        say(f"warm-up of {warm_up} sweeps done in {time.perf_counter() - wall:.1f} s")
        n, q = self.problem.n_subjects, self.state.effects.n_random
        room = int(np.clip(MOST_BYTES / (self.n_chains * n * q * 8), FEWEST_KEPT, MOST_KEPT))
        every, sweeps, kept, totals = 2, 0, list[list[Record]](), list[Record]()
        while True:
            batch = BATCH if draws is None else draws * every
            records = self.sweep(batch, adapt=False, every=every)
            sweeps += batch
            kept.append(records)
            totals += records
            x = _join(kept, "x")
            quality = progress_of(self.population_values(x))
            reached = quality.meets(goal)
            if draws is not None or reached or goal.seconds_left < 0:
                break
            say(how_far(quality, goal, time.perf_counter() - wall))
            if x.shape[1] > room:
                kept, every = [[_thinned(r) for r in part] for part in kept], 2 * every
        return Draws(
            x=x, effect=_join(kept, "effect"), log_posterior=_join(kept, "log_posterior"),
            log_likelihood=_join(kept, "log_likelihood"), every=every, warm_up=warm_up, sweeps=sweeps, progress=quality,
            reached=reached, acceptance=_acceptance(totals),
            subject_acceptance=np.sum([r.subject_accepted for r in totals], axis=0) / (sweeps * REPEATS * self.n_chains),
            failed=np.sum([r.failed for r in totals], axis=0), failed_at=_first_failures(totals),
            n_modes=self.chains[0].tuning.n_modes, seconds=time.perf_counter() - wall,
            cpu_seconds=time.process_time() - cpu,
        )  # fmt: skip

    def population_values(self, x: Floats) -> Floats:
        """The quantities that the goal is about: coefficients, omega, correlations and sigma on their natural scales."""
        c, d, q, r = sizes(self.population)
        values = x.copy()
        values[..., c + d : c + d + q] = np.exp(x[..., c + d : c + d + q])
        values[..., c + d + q : c + d + q + r] = np.tanh(x[..., c + d + q : c + d + q + r])
        values[..., self.sigmas] = np.exp(x[..., self.sigmas])
        if len(self.population.member):
            values[..., -1] = expit(x[..., -1])
        return values


def _own(tuning: Tuning) -> Tuning:
    """A copy whose step sizes are its own."""
    return tuning._replace(
        set_scale=tuning.set_scale.copy(), sigma_scale=tuning.sigma_scale.copy(),
        subject_scale=tuning.subject_scale.copy(),
    )  # fmt: skip


def _good_chains(log_likelihood: Sequence[Floats]) -> list[int]:
    """Chains that may teach the proposals: not far below the best. All of them are sampled and reported."""
    middle = np.array([np.median(chain) for chain in log_likelihood])
    spread = float(np.median([chain.std() for chain in log_likelihood]))
    return np.flatnonzero(middle > middle.max() - LEFT_OUT[0] * spread - LEFT_OUT[1]).tolist()


def _join(kept: list[list[Record]], name: str) -> Floats:
    """Kept draws of all batches, chain by chain."""
    return np.stack([np.concatenate([getattr(part[k], name) for part in kept]) for k in range(len(kept[0]))])


def _thinned(record: Record) -> Record:
    return record._replace(
        **{
            name: getattr(record, name)[1::2].copy()
            for name in ("x", "effect", "log_likelihood", "log_posterior")
        }
    )


def _acceptance(records: Sequence[Record]) -> dict[str, float]:
    names = (
        "subject",
        "subject_walk",
        "population",
        "population_walk",
        "sigma",
        "jump",
        "covariance",
        "class",
    )
    proposed = np.sum([r.proposed for r in records], axis=0)
    accepted = np.sum([r.accepted for r in records], axis=0)
    return {
        name: round(float(a / p), 3) for name, a, p in zip(names, accepted, proposed, strict=True) if p > 0
    }


def _first_failures(records: Sequence[Record]) -> Floats:
    found = np.full_like(records[0].failed_at, np.nan)
    for record in reversed(records):
        found[record.failed > 0] = record.failed_at[record.failed > 0]
    return found
